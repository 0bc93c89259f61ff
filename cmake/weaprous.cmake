# Shared build rules: warnings, sanitizers, and the function that makes one target of one folder.

option(WEAPROUS_TESTS "build the tests (needs cmocka)" OFF)
option(WEAPROUS_FUZZ "build the fuzz targets (needs clang)" OFF)
option(WEAPROUS_BENCH "build the measuring programs of bench/" OFF)
set(WEAPROUS_SANITIZE "" CACHE STRING "value for -fsanitize=, empty for none")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_C_VISIBILITY_PRESET hidden)
if(NOT CMAKE_SYSTEM_PROCESSOR STREQUAL "wasm32") # one module: nothing is ever moved
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_compile_options(
  $<$<COMPILE_LANGUAGE:C>:-Wall> $<$<COMPILE_LANGUAGE:C>:-Wextra> $<$<COMPILE_LANGUAGE:C>:-Wshadow>
  $<$<COMPILE_LANGUAGE:C>:-Wconversion> $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wvla> $<$<COMPILE_LANGUAGE:C>:-Werror>
  -ffile-prefix-map=${CMAKE_SOURCE_DIR}=.)
if(WEAPROUS_SANITIZE)
  add_compile_options(-fsanitize=${WEAPROUS_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${WEAPROUS_SANITIZE})
endif()

# weaprous_library(NAME SOURCES file... [USES target...]): the static library of the folder it is called in.
# Public headers are included as "NAME/header.h"; USES is the only way to see another folder's headers.
function(weaprous_library name)
  cmake_parse_arguments(ARG "" "" "SOURCES;USES" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  # Headers are reached through a folder that holds only this module, never through src/ as a whole.
  set(view ${CMAKE_BINARY_DIR}/view/${name})
  file(MAKE_DIRECTORY ${view})
  if(NOT EXISTS ${view}/${name})
    file(CREATE_LINK ${CMAKE_CURRENT_SOURCE_DIR} ${view}/${name} SYMBOLIC)
  endif()
  target_include_directories(${name} PUBLIC ${view})
  target_link_libraries(${name} PUBLIC ${ARG_USES})
endfunction()

function(weaprous_subdirectory folder)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${folder}/CMakeLists.txt)
    add_subdirectory(${folder})
  endif()
endfunction()
