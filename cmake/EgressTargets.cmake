# SPDX-License-Identifier: GPL-2.0
# The library (core, sys, engine; arrows point that way) and the command.

# Not build/egress/: that is the command.
configure_file("${PROJECT_SOURCE_DIR}/include/egress/version.hpp.in"
               "${PROJECT_BINARY_DIR}/include/egress/version.hpp" @ONLY)

# egress_add_layer(<name> <directory>): static library egress_<name> of the sources in src/<name>,
# when there are any. Remaining arguments are linked.
set(EGRESS_LAYERS "")
function(egress_add_layer name)
  file(GLOB sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/src/${name}/*.cpp")
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  if(NOT sources)
    return()
  endif()
  add_library(egress_${name} STATIC ${sources})
  target_link_libraries(egress_${name} PUBLIC egress_options ${ARGN})
  foreach(object IN LISTS EGRESS_BPF_NAME EGRESS_STRICT_BPF)
    add_dependencies(egress_${name} bpf_${object})
  endforeach()
  set(EGRESS_LAYERS ${EGRESS_LAYERS} egress_${name} PARENT_SCOPE)
endfunction()

egress_add_layer(core egress_libraries)
egress_add_layer(sys egress_libraries)
egress_add_layer(engine egress_libraries)

# libegress: the three layers in one archive, as it is installed and as everything here links it.
if(EGRESS_LAYERS)
  list(TRANSFORM EGRESS_LAYERS REPLACE "(.+)" "$<TARGET_OBJECTS:\\1>" OUTPUT_VARIABLE layer_objects)
  add_library(libegress STATIC ${layer_objects})
  set_target_properties(libegress PROPERTIES OUTPUT_NAME egress LINKER_LANGUAGE CXX)
  target_link_libraries(libegress PUBLIC egress_options egress_libraries)

  # The verbs are a library too, so that tests can link them.
  set(layers_of_libegress ${EGRESS_LAYERS})
  egress_add_layer(cli libegress CLI11::CLI11)
  set(EGRESS_LAYERS ${layers_of_libegress})
endif()

if(TARGET egress_cli AND EXISTS "${PROJECT_SOURCE_DIR}/src/cli/main.cpp")
  add_executable(egress "${PROJECT_SOURCE_DIR}/src/cli/main.cpp")
  target_link_libraries(egress PRIVATE egress_cli)
  if(EGRESS_ARCHIVES_LINK)
    target_link_options(egress PRIVATE ${EGRESS_STATIC_RUNTIME})
  endif()
endif()
