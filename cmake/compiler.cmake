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
# nvcc has words of its own; its sources take the few flags below.
set(cxx "$<COMPILE_LANGUAGE:C,CXX>")
set(flags -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -fno-math-errno -fno-trapping-math
          -Wno-missing-field-initializers)  # designated initialisers leave members at their defaults on purpose
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  list(APPEND flags -Wno-restrict)  # false alarm on std::string, GCC bug 105329
  # Where vectors have 512 bits: false alarms in the compiler's own headers, GCC bug 105593, and on lists of texts.
  if(LINSCOPE_NATIVE)
    include(CheckCXXSourceCompiles)
    set(CMAKE_REQUIRED_FLAGS -march=native)
    check_cxx_source_compiles("int main() { return __AVX512F__ - 1; }" LINSCOPE_WIDE_VECTORS)
    unset(CMAKE_REQUIRED_FLAGS)
  endif()
  if(LINSCOPE_WIDE_VECTORS)
    list(APPEND flags -Wno-uninitialized -Wno-maybe-uninitialized -Wno-array-bounds -Wno-stringop-overread
         -Wno-stringop-overflow)
  endif()
endif()
if(LINSCOPE_WERROR)
  list(APPEND flags -Werror)
endif()
if(LINSCOPE_NATIVE)
  list(APPEND flags -march=native)
endif()
if(LINSCOPE_SANITIZE)
  list(APPEND flags -fsanitize=address,undefined -fno-omit-frame-pointer)
  target_link_options(linscope_flags INTERFACE -fsanitize=address,undefined)
endif()
target_compile_options(linscope_flags INTERFACE "$<${cxx}:${flags}>")
target_compile_options(linscope_flags INTERFACE
  "$<$<COMPILE_LANGUAGE:CUDA>:--expt-extended-lambda;-Xcompiler=-Wall;-Xcudafe;--display_error_number>")
