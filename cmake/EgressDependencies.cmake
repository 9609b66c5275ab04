# SPDX-License-Identifier: GPL-2.0
# Libraries and tools that `make deps` installs.

find_package(PkgConfig REQUIRED)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf>=1.0)
pkg_check_modules(LIBMNL REQUIRED IMPORTED_TARGET libmnl)
find_package(fmt REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(yaml-cpp REQUIRED)
if(NOT TARGET yaml-cpp::yaml-cpp) # before 0.8 the target had no namespace
  add_library(yaml-cpp::yaml-cpp ALIAS yaml-cpp)
endif()

if(EGRESS_TESTS)
  find_package(GTest QUIET)
  if(NOT GTest_FOUND)
    message(STATUS "GoogleTest not found: no tests (make deps installs it)")
    set(EGRESS_TESTS OFF)
  endif()
endif()

find_program(EGRESS_CLANG NAMES ${CLANG} clang REQUIRED DOC "clang with the BPF target")
find_program(EGRESS_LLVM_STRIP NAMES llvm-strip DOC "Strips DWARF from the BPF object; optional")
if(NOT EGRESS_BPFTOOL)
  # On Ubuntu /usr/sbin/bpftool looks for the running kernel's tools: ask the script that knows where they are.
  execute_process(COMMAND "${PROJECT_SOURCE_DIR}/scripts/find-bpftool"
                  OUTPUT_VARIABLE found OUTPUT_STRIP_TRAILING_WHITESPACE)
  set(EGRESS_BPFTOOL "${found}" CACHE FILEPATH "bpftool, makes the skeleton" FORCE)
endif()
if(NOT EGRESS_BPFTOOL)
  message(FATAL_ERROR "bpftool not found: run `make deps`, or name it with -DEGRESS_BPFTOOL=PATH")
endif()
find_program(EGRESS_SCDOC NAMES scdoc DOC "Makes the manual pages; optional")
