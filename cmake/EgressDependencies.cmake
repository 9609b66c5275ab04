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

# Half of the time that a command takes to start is the dynamic linker's: what comes as an archive too, and can be linked
# into a position independent program, becomes part of it.
pkg_check_modules(YAML_CPP QUIET yaml-cpp)
set(archives "")
foreach(name ${YAML_CPP_STATIC_LIBRARIES} ${LIBBPF_STATIC_LIBRARIES})
  # Only where the shared ones are: another version may be elsewhere.
  find_library(EGRESS_ARCHIVE_${name} lib${name}.a NO_DEFAULT_PATH
               HINTS ${YAML_CPP_STATIC_LIBRARY_DIRS} ${LIBBPF_STATIC_LIBRARY_DIRS})
  list(APPEND archives "${EGRESS_ARCHIVE_${name}}")
endforeach()
set(EGRESS_STATIC_RUNTIME -static-libstdc++ -static-libgcc)
if(EGRESS_STATIC AND YAML_CPP_FOUND AND NOT EGRESS_SANITIZE AND NOT EGRESS_FUZZ AND NOT archives MATCHES NOTFOUND)
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_FLAGS -fPIE)
  set(CMAKE_REQUIRED_LINK_OPTIONS -pie ${EGRESS_STATIC_RUNTIME})
  set(CMAKE_REQUIRED_INCLUDES ${LIBBPF_INCLUDE_DIRS})
  set(CMAKE_REQUIRED_LIBRARIES ${archives})
  check_cxx_source_compiles("
    #include <bpf/libbpf.h>
    #include <yaml-cpp/yaml.h>
    int main() { return bpf_object__open(\"\") != nullptr || YAML::Load(\"\").IsNull(); }" EGRESS_ARCHIVES_LINK)
endif()

# What the library and the command are made of.
add_library(egress_libraries INTERFACE)
target_link_libraries(egress_libraries INTERFACE nlohmann_json::nlohmann_json PkgConfig::LIBMNL)
if(EGRESS_ARCHIVES_LINK)
  target_include_directories(egress_libraries SYSTEM INTERFACE ${LIBBPF_INCLUDE_DIRS})
  target_link_libraries(egress_libraries INTERFACE fmt::fmt-header-only ${archives})
else()
  target_link_libraries(egress_libraries INTERFACE fmt::fmt yaml-cpp::yaml-cpp PkgConfig::LIBBPF)
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
