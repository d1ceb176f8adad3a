set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release)
endif()

find_program(LINSCOPE_CCACHE ccache)
if(LINSCOPE_CCACHE)
  # The sloppiness is what ccache asks for with precompiled headers.
  set(CMAKE_CXX_COMPILER_LAUNCHER "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros
                                  "${LINSCOPE_CCACHE}")
endif()

add_library(linscope_flags INTERFACE)
target_include_directories(linscope_flags INTERFACE "${PROJECT_SOURCE_DIR}")
target_compile_options(linscope_flags INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor
                                                -fno-math-errno -fno-trapping-math)
# Designated initialisers leave members at their defaults on purpose.
target_compile_options(linscope_flags INTERFACE -Wno-missing-field-initializers)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  target_compile_options(linscope_flags INTERFACE -Wno-restrict)  # false alarm on std::string, GCC bug 105329
endif()
if(LINSCOPE_WERROR)
  target_compile_options(linscope_flags INTERFACE -Werror)
endif()
if(LINSCOPE_NATIVE)
  target_compile_options(linscope_flags INTERFACE -march=native)
endif()
if(LINSCOPE_SANITIZE)
  target_compile_options(linscope_flags INTERFACE -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(linscope_flags INTERFACE -fsanitize=address,undefined)
endif()
