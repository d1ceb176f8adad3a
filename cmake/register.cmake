# A mechanism, a task or a view is one folder and one line. The line compiles the folder's sources
# into the library and puts NAME into a table that linscope_write_table() writes when all lines are
# read. (Self-registering statics would be dropped from a static library.)

function(_linscope_register target kind name)
  file(GLOB sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cpp")
  if(LINSCOPE_HAS_CUDA)
    file(GLOB cuda_sources CONFIGURE_DEPENDS "${CMAKE_CURRENT_SOURCE_DIR}/${name}/*.cu")
    list(APPEND sources ${cuda_sources})
  endif()
  target_sources(${target} PRIVATE ${sources})
  set_property(TARGET ${target} APPEND PROPERTY LINSCOPE_${kind}_NAMES ${name})
endfunction()

function(linscope_add_mechanism name)
  _linscope_register(linscope_core MECHANISM ${name})
endfunction()

function(linscope_add_task name)
  _linscope_register(linscope_core TASK ${name})
endfunction()

function(linscope_add_view name)
  _linscope_register(linscope_viz VIEW ${name})
endfunction()

# Writes a source file that defines `const std::vector<TYPE>& FUNCTION()`, the values of
# `TYPE NAME<Suffix>()` of every registered NAME, in the order of their lines.
#   linscope_write_table(linscope_core MECHANISM TYPE MechanismInfo FUNCTION mechanisms
#                        SUFFIX Mechanism HEADER core/attention/mechanism.h NAMESPACE linscope)
function(linscope_write_table target kind)
  cmake_parse_arguments(ARG "" "TYPE;FUNCTION;SUFFIX;HEADER;NAMESPACE" "" ${ARGN})
  get_property(names TARGET ${target} PROPERTY LINSCOPE_${kind}_NAMES)
  set(declarations "")
  set(calls "")
  foreach(name IN LISTS names)
    string(REGEX REPLACE "_(.)" ";\\1" parts "${name}")
    set(camel "")
    set(first TRUE)
    foreach(part IN LISTS parts)
      if(first)
        set(camel "${part}")
        set(first FALSE)
      else()
        string(SUBSTRING "${part}" 0 1 head)
        string(SUBSTRING "${part}" 1 -1 tail)
        string(TOUPPER "${head}" head)
        string(APPEND camel "${head}${tail}")
      endif()
    endforeach()
    string(APPEND declarations "${ARG_TYPE} ${camel}${ARG_SUFFIX}();\n")
    string(APPEND calls "        ${camel}${ARG_SUFFIX}(),\n")
  endforeach()
  set(file "${CMAKE_CURRENT_BINARY_DIR}/${ARG_FUNCTION}_table.cpp")
  file(CONFIGURE OUTPUT "${file}" CONTENT
"// Written by linscope_write_table (cmake/register.cmake).
#include \"@ARG_HEADER@\"

namespace @ARG_NAMESPACE@ {

@declarations@
const std::vector<@ARG_TYPE@>& @ARG_FUNCTION@() {
    static const std::vector<@ARG_TYPE@> table{
@calls@    };
    return table;
}

}  // namespace @ARG_NAMESPACE@
" @ONLY)
  target_sources(${target} PRIVATE "${file}")
endfunction()
