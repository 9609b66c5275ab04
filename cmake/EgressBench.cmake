# SPDX-License-Identifier: GPL-2.0
# bench/*.cpp → build/egress_bench; bench/*.bpf.c → programs to compare with.

egress_add_bpf_of("bench" bench_bpf_targets)

add_custom_target(all_benchmarks)
file(GLOB bench_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/bench/*.cpp")
if(bench_sources AND TARGET libegress)
  add_executable(egress_bench EXCLUDE_FROM_ALL ${bench_sources})
  target_compile_definitions(egress_bench PRIVATE
    EGRESS_COMMAND="${PROJECT_BINARY_DIR}/egress" EGRESS_SOURCE_DIR="${PROJECT_SOURCE_DIR}" EGRESS_BUILD_DIR="${PROJECT_BINARY_DIR}"
    EGRESS_BPF_OBJECT="${PROJECT_BINARY_DIR}/${EGRESS_BPF_NAME}.bpf.o")
  if(TARGET test_support) # namespaces, cgroups and traffic are made by the same code as in the tests
    target_link_libraries(egress_bench PRIVATE test_support)
  endif()
  target_link_libraries(egress_bench PRIVATE libegress)
  foreach(dependency egress bpf_${EGRESS_BPF_NAME} ${bench_bpf_targets})
    if(TARGET ${dependency})
      add_dependencies(egress_bench ${dependency})
    endif()
  endforeach()
  add_dependencies(all_benchmarks egress_bench)
endif()
