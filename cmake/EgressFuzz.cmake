# SPDX-License-Identifier: GPL-2.0
# tests/fuzz/<name>_fuzz.cpp → build/<name>_fuzz, libFuzzer with ASan and UBSan; scripts/fuzz runs them.

if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "EGRESS_FUZZ needs libFuzzer: configure with -DCMAKE_CXX_COMPILER=clang++")
endif()
target_compile_options(egress_options INTERFACE -fsanitize=fuzzer-no-link)

add_custom_target(all_fuzzers)
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp")
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL "${source}")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE libegress)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(all_fuzzers ${name})
endforeach()
