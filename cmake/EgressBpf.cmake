# SPDX-License-Identifier: GPL-2.0
# BPF objects and their skeletons. No headers or BTF of the build machine's kernel are used.

set(EGRESS_ARCH "${CMAKE_SYSTEM_PROCESSOR}" CACHE STRING "CPU of the hosts to filter on: x86_64 or arm64")
if(EGRESS_ARCH MATCHES "^(x86_64|amd64|AMD64|x86)$")
  set(EGRESS_BPF_ARCH x86)
elseif(EGRESS_ARCH MATCHES "^(aarch64|arm64)$")
  set(EGRESS_BPF_ARCH arm64)
else()
  message(FATAL_ERROR "ARCH=${EGRESS_ARCH}: x86_64 and arm64 are supported")
endif()

set(EGRESS_BPF_FLAGS -g -O2 -target bpf -mcpu=v3 -D__TARGET_ARCH_${EGRESS_BPF_ARCH}
    -Wall -Wextra -Wno-unused-parameter -Wno-address-of-packed-member)
if(EGRESS_WERROR)
  list(APPEND EGRESS_BPF_FLAGS -Werror)
endif()
# <asm/types.h> is in the multiarch directory on Debian; clang does not look there for the bpf target.
if(CMAKE_LIBRARY_ARCHITECTURE)
  list(APPEND EGRESS_BPF_FLAGS -idirafter "/usr/include/${CMAKE_LIBRARY_ARCHITECTURE}")
endif()
list(APPEND EGRESS_BPF_FLAGS "-I${PROJECT_SOURCE_DIR}/include" "-I${PROJECT_SOURCE_DIR}/src")

# egress_add_bpf(<name> <source>): build/<name>.bpf.o and build/<name>.skel.h, made by target bpf_<name>.
function(egress_add_bpf name source)
  set(object "${PROJECT_BINARY_DIR}/${name}.bpf.o")
  set(unstripped "${PROJECT_BINARY_DIR}/bpf/${name}.bpf.o")
  set(skeleton "${PROJECT_BINARY_DIR}/${name}.skel.h")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/bpf")

  add_custom_command(
    OUTPUT "${unstripped}"
    COMMAND "${EGRESS_CLANG}" ${EGRESS_BPF_FLAGS} -MMD -MF "${unstripped}.d" -MT "${unstripped}"
            -c "${source}" -o "${unstripped}"
    DEPENDS "${source}" DEPFILE "${unstripped}.d"
    COMMENT "BPF object ${name}.bpf.o" VERBATIM)
  if(EGRESS_LLVM_STRIP) # DWARF goes, BTF stays
    set(strip "${EGRESS_LLVM_STRIP}" -g "${unstripped}" -o "${object}")
  else()
    set(strip "${CMAKE_COMMAND}" -E copy "${unstripped}" "${object}")
  endif()
  add_custom_command(OUTPUT "${object}" COMMAND ${strip} DEPENDS "${unstripped}" VERBATIM)
  # Written aside first: a failing bpftool must not leave an empty header behind. Lint is told that it is not ours.
  add_custom_command(
    OUTPUT "${skeleton}"
    COMMAND sh -c "{ echo '// NOLINTBEGIN' && \"$1\" gen skeleton \"$2\" name \"$3\" && echo '// NOLINTEND'; } > \"$4.part\" && mv \"$4.part\" \"$4\""
            sh "${EGRESS_BPFTOOL}" "${object}" "${name}" "${skeleton}"
    DEPENDS "${object}" COMMENT "BPF skeleton ${name}.skel.h" VERBATIM)
  add_custom_target(bpf_${name} ALL DEPENDS "${object}" "${skeleton}")
endfunction()

# egress_add_bpf_of(<folders> <targets>): the same for every *.bpf.c that tests or benchmarks attach beside ours, not part
# of `all`; the names of the targets in <targets>.
function(egress_add_bpf_of folders targets)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/${folders}/*.bpf.c")
  set(made "")
  foreach(source IN LISTS sources)
    string(REGEX REPLACE ".*/([^/]+)\\.bpf\\.c$" "\\1" name "${source}")
    egress_add_bpf(${name} "${source}")
    set_target_properties(bpf_${name} PROPERTIES EXCLUDE_FROM_ALL ON)
    list(APPEND made bpf_${name})
  endforeach()
  set(${targets} ${made} PARENT_SCOPE)
endfunction()

set(EGRESS_BPF_NAME drop_egress_by_cgroup)
set(EGRESS_BPF_SOURCE "${PROJECT_SOURCE_DIR}/src/${EGRESS_BPF_NAME}.bpf.c")
egress_add_bpf(${EGRESS_BPF_NAME} "${EGRESS_BPF_SOURCE}")
set(EGRESS_STRICT_BPF egress_strict_tc egress_strict_xdp)
foreach(name IN LISTS EGRESS_STRICT_BPF)
  egress_add_bpf(${name} "${PROJECT_SOURCE_DIR}/src/${name}.bpf.c")
endforeach()
