# SPDX-License-Identifier: GPL-2.0
# How C++ is compiled here: standard, warnings, hardening, sanitizers.
# Everything that is to be compiled this way links `egress_options`.

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Debug, Release, RelWithDebInfo" FORCE)
endif()

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
include(CheckPIESupported)
check_pie_supported()

find_program(EGRESS_CCACHE ccache)
if(EGRESS_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${EGRESS_CCACHE})
endif()

add_library(egress_options INTERFACE)
target_include_directories(egress_options INTERFACE "${PROJECT_SOURCE_DIR}/include" "${PROJECT_SOURCE_DIR}/src")
# Generated headers: bpftool's skeletons are not ours to keep free of warnings.
target_include_directories(egress_options SYSTEM INTERFACE "${PROJECT_BINARY_DIR}" "${PROJECT_BINARY_DIR}/include")

target_compile_options(egress_options INTERFACE
  -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual -Wcast-qual
  -Wformat=2 -Wundef
  $<$<CXX_COMPILER_ID:GNU>:-Wduplicated-cond -Wduplicated-branches -Wlogical-op>
  $<$<BOOL:${EGRESS_WERROR}>:-Werror>
  -fstack-protector-strong)

if(EGRESS_SANITIZE OR EGRESS_FUZZ)
  set(EGRESS_SANITIZERS -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_compile_options(egress_options INTERFACE ${EGRESS_SANITIZERS})
  target_link_options(egress_options INTERFACE ${EGRESS_SANITIZERS})
else()
  # Fortification needs optimisation and hides what ASan would see.
  target_compile_options(egress_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2>)
endif()
target_link_options(egress_options INTERFACE -Wl,-z,relro,-z,now)
