# SPDX-License-Identifier: GPL-2.0
# Tests, by what each kind may assume: unit nothing, abi the BPF object, bpf root, net root and network namespaces.
# They are built by target all_tests only, so that a plain `make` stays quick.
include(GoogleTest)
enable_testing()

add_custom_target(all_tests)
set(EGRESS_TEST_TIMEOUT 120)

# What ctest may hand out at once: at most two tests that make namespaces and load programs (scripts/run-tests).
file(WRITE "${PROJECT_BINARY_DIR}/test-resources.json"
  [[{"version": {"major": 1, "minor": 0}, "local": [{"kernel": [{"id": "0", "slots": 1}, {"id": "1", "slots": 1}]}]}
]])

# Programs that tests or benchmarks attach beside ours: build/<name>.bpf.o, build/<name>.skel.h.
egress_add_bpf_of("tests/*" test_bpf_targets)

add_library(test_options INTERFACE)
target_include_directories(test_options INTERFACE "${PROJECT_SOURCE_DIR}/tests")
target_compile_definitions(test_options INTERFACE
  EGRESS_COMMAND="${PROJECT_BINARY_DIR}/egress"
  EGRESS_BPF_OBJECT="${PROJECT_BINARY_DIR}/${EGRESS_BPF_NAME}.bpf.o"
  EGRESS_BPFTOOL="${EGRESS_BPFTOOL}"
  EGRESS_BUILD_DIR="${PROJECT_BINARY_DIR}"
  EGRESS_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
target_link_libraries(test_options INTERFACE egress_options GTest::gtest egress_libraries)
if(TARGET GTest::gmock)
  target_link_libraries(test_options INTERFACE GTest::gmock)
endif()
foreach(library libegress egress_cli)
  if(TARGET ${library})
    target_link_libraries(test_options INTERFACE ${library})
  endif()
endforeach()

# Preloaded into the command: ends it at, or fails, its n-th system call.
add_library(syscall_faults MODULE EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tests/support/preload/syscall_faults.c")
target_compile_options(syscall_faults PRIVATE -Wall -Wextra)
target_link_libraries(syscall_faults PRIVATE ${CMAKE_DL_LIBS})
target_compile_definitions(test_options INTERFACE EGRESS_SYSCALL_FAULTS="$<TARGET_FILE:syscall_faults>")

# Sanitized are the library and the command. What drives the command with real packets takes twice as long to compile
# with checks in it, and is checked by being run.
set(EGRESS_UNCHECKED $<$<BOOL:${EGRESS_SANITIZE}>:-fno-sanitize=all>)

file(GLOB support_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/support/*.cpp")
if(support_sources)
  add_library(test_support STATIC EXCLUDE_FROM_ALL ${support_sources})
  target_link_libraries(test_support PUBLIC test_options)
  target_compile_options(test_support PRIVATE ${EGRESS_UNCHECKED})
  foreach(dependency syscall_faults bpf_${EGRESS_BPF_NAME} ${test_bpf_targets})
    if(TARGET ${dependency})
      add_dependencies(test_support ${dependency})
    endif()
  endforeach()
endif()

# Names of sanitized tests begin with "asan.", so that one ctest run can hold both builds.
set(test_prefix "")
set(test_extra_label "")
if(EGRESS_SANITIZE)
  set(test_prefix TEST_PREFIX asan.)
  set(test_extra_label ";asan")
endif()

# egress_add_tests(<kind> [<property> <value>]...): binary <kind>_tests of tests/<kind>/*.cpp.
function(egress_add_tests kind)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/${kind}/*.cpp")
  if(NOT kind IN_LIST EGRESS_TEST_KINDS OR NOT sources)
    return()
  endif()
  add_executable(${kind}_tests EXCLUDE_FROM_ALL ${sources})
  if(TARGET test_support)
    target_link_libraries(${kind}_tests PRIVATE test_support)
  endif()
  target_link_libraries(${kind}_tests PRIVATE test_options GTest::gtest_main)
  # Compiling tests takes longer than running them: a third of the time without optimisation and names of locals.
  # Not bpf: its judges are compared a hundred thousand times.
  target_compile_options(${kind}_tests PRIVATE -g1
    "$<$<NOT:$<STREQUAL:${kind},bpf>>:-O0;-Wno-cpp>") # cpp: fortification says that it needs optimisation
  if(kind STREQUAL net)
    target_compile_options(net_tests PRIVATE ${EGRESS_UNCHECKED})
    target_compile_definitions(net_tests PRIVATE $<$<BOOL:${EGRESS_SANITIZE}>:EGRESS_SANITIZED>)
  endif()
  foreach(dependency egress bpf_${EGRESS_BPF_NAME} ${test_bpf_targets})
    if(TARGET ${dependency})
      add_dependencies(${kind}_tests ${dependency})
    endif()
  endforeach()
  add_dependencies(all_tests ${kind}_tests)
  # A sanitized process takes long to start: a thousand unit tests are one test there. No SKIP_REGULAR_EXPRESSION:
  # one skip would hide every failure; scripts/run-tests finds skips in the output of passed tests too.
  if(EGRESS_SANITIZE AND kind STREQUAL unit)
    add_test(NAME asan.unit_tests COMMAND unit_tests WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(asan.unit_tests PROPERTIES TIMEOUT 600 LABELS "unit;asan")
    return()
  endif()
  gtest_discover_tests(${kind}_tests
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}"
    ${test_prefix}
    TEST_FILTER "-*DISABLED_*" # for tests/vm only
    NO_PRETTY_VALUES # values may hold what neither CMake nor a terminal likes
    DISCOVERY_TIMEOUT 60
    PROPERTIES TIMEOUT ${EGRESS_TEST_TIMEOUT} LABELS "${kind}${test_extra_label}" ${ARGN})
endfunction()

egress_add_tests(unit)
egress_add_tests(abi)
egress_add_tests(bpf RESOURCE_GROUPS kernel:1)
egress_add_tests(net RESOURCE_GROUPS kernel:1)

# The fuzz targets for three seconds each, without libFuzzer: see tests/fuzz/short_run.cpp, and EgressFuzz.cmake.
file(GLOB fuzz_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/fuzz/*_fuzz.cpp")
if(EGRESS_SANITIZE AND TARGET test_support)
  foreach(source IN LISTS fuzz_sources)
    get_filename_component(fuzzer "${source}" NAME_WE)
    string(REPLACE "_fuzz" "" corpus "${fuzzer}")
    add_executable(${fuzzer}_short_run EXCLUDE_FROM_ALL "${source}" "${PROJECT_SOURCE_DIR}/tests/fuzz/short_run.cpp")
    target_link_libraries(${fuzzer}_short_run PRIVATE test_support test_options)
    target_compile_options(${fuzzer}_short_run PRIVATE -g1)
    set_target_properties(${fuzzer}_short_run PROPERTIES UNITY_BUILD OFF) # two files that do not know each other
    add_dependencies(all_tests ${fuzzer}_short_run)
    add_test(NAME asan.fuzz.${corpus}
      COMMAND ${fuzzer}_short_run "${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${corpus}" 3)
    set_tests_properties(asan.fuzz.${corpus} PROPERTIES TIMEOUT ${EGRESS_TEST_TIMEOUT} LABELS "fuzz;asan")
  endforeach()
endif()
