# SPDX-License-Identifier: GPL-2.0
# tests/fuzz/<name>_fuzz.cpp → build/<name>_fuzz, libFuzzer with ASan and UBSan; scripts/fuzz runs them.

if(NOT CMAKE_CXX_COMPILER_ID MATCHES Clang)
  message(FATAL_ERROR "EGRESS_FUZZ needs libFuzzer: configure with -DCMAKE_CXX_COMPILER=clang++")
endif()
target_compile_options(egress_options INTERFACE -fsanitize=fuzzer-no-link)
# The skeleton is C; of C++ compilers only g++ knows its word for bool under -std=c++20.
target_compile_definitions(egress_options INTERFACE _Bool=bool)

# The maps and the machine of the engine, in memory.
add_library(fuzz_support OBJECT EXCLUDE_FROM_ALL
  "${PROJECT_SOURCE_DIR}/tests/support/fake_tables.cpp" "${PROJECT_SOURCE_DIR}/tests/support/fake_world.cpp")
target_include_directories(fuzz_support PRIVATE "${PROJECT_SOURCE_DIR}/tests")
target_link_libraries(fuzz_support PRIVATE libegress)

add_custom_target(all_fuzzers)
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp")
foreach(source IN LISTS fuzz_sources)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(${name} EXCLUDE_FROM_ALL "${source}")
  target_include_directories(${name} PRIVATE "${PROJECT_SOURCE_DIR}/tests")
  target_link_libraries(${name} PRIVATE fuzz_support libegress)
  target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  add_dependencies(all_fuzzers ${name})
endforeach()
