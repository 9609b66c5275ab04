# SPDX-License-Identifier: GPL-2.0
# Command, library, headers, manual pages, completions.

if(TARGET egress)
  install(TARGETS egress RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR})
endif()

if(TARGET libegress)
  install(TARGETS libegress ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/egress" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
          FILES_MATCHING PATTERN "*.hpp")
  install(FILES "${PROJECT_BINARY_DIR}/include/egress/version.hpp"
          DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/egress)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/egress.pc.in" "${PROJECT_BINARY_DIR}/egress.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/egress.pc" DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endif()
# For whoever writes the maps without the library, in whatever language.
install(FILES "${PROJECT_SOURCE_DIR}/include/drop_egress_by_cgroup.h" DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
if(TARGET bpf_${EGRESS_BPF_NAME})
  install(FILES "${PROJECT_BINARY_DIR}/${EGRESS_BPF_NAME}.bpf.o" DESTINATION ${CMAKE_INSTALL_LIBDIR}/egress)
endif()

# man/<name>.<section>.scd → build/man/<name>.<section>
file(GLOB man_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/man/*.scd")
if(EGRESS_SCDOC AND man_sources)
  set(man_pages "")
  file(MAKE_DIRECTORY "${PROJECT_BINARY_DIR}/man")
  foreach(source IN LISTS man_sources)
    get_filename_component(page "${source}" NAME_WLE)
    string(REGEX REPLACE ".*\\." "" section "${page}")
    set(output "${PROJECT_BINARY_DIR}/man/${page}")
    add_custom_command(OUTPUT "${output}"
      COMMAND sh -c "\"$1\" < \"$2\" > \"$3.part\" && mv \"$3.part\" \"$3\"" sh "${EGRESS_SCDOC}" "${source}" "${output}"
      DEPENDS "${source}" COMMENT "Manual page ${page}" VERBATIM)
    list(APPEND man_pages "${output}")
    install(FILES "${output}" DESTINATION ${CMAKE_INSTALL_MANDIR}/man${section})
  endforeach()
  add_custom_target(man ALL DEPENDS ${man_pages})
endif()

# The command knows its own grammar: completions are what it prints.
if(TARGET egress)
  configure_file("${PROJECT_SOURCE_DIR}/cmake/completions.cmake.in"
                 "${PROJECT_BINARY_DIR}/completions.cmake" @ONLY)
  install(SCRIPT "${PROJECT_BINARY_DIR}/completions.cmake")
endif()
