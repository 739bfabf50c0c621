# `cmake --build BUILD --target tidy`: clang-format over all C and C++, clang-tidy over the library and the apps. In a unity
# build it reads each header once for many sources; these are included, so the analyzer must look at what is included too.
include_guard(GLOBAL)

find_program(EDGETL_CLANG_FORMAT NAMES clang-format-14 clang-format)
find_program(EDGETL_RUN_CLANG_TIDY NAMES run-clang-tidy-14 run-clang-tidy)
mark_as_advanced(EDGETL_CLANG_FORMAT EDGETL_RUN_CLANG_TIDY)
if(NOT EDGETL_CLANG_FORMAT OR NOT EDGETL_RUN_CLANG_TIDY)
  edgetl_note("target tidy" "left out (needs clang-format and run-clang-tidy)")
  return()
endif()
edgetl_note("target tidy" "in, ${EDGETL_CLANG_FORMAT}, ${EDGETL_RUN_CLANG_TIDY}")
file(GLOB_RECURSE edgetl_written CONFIGURE_DEPENDS
  runtime/*.h runtime/*.hpp runtime/*.c runtime/*.cpp benchmarks/*.h benchmarks/*.c benchmarks/*.cpp)
add_custom_target(tidy
  COMMAND "${EDGETL_CLANG_FORMAT}" --dry-run -Werror ${edgetl_written}
  COMMAND "${EDGETL_RUN_CLANG_TIDY}" -quiet -j 2 -checks=-bugprone-suspicious-include
          -extra-arg=-Xclang -extra-arg=-analyzer-opt-analyze-headers -p "${PROJECT_BINARY_DIR}" "/runtime/(src|apps|CMakeFiles)/"
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" USES_TERMINAL VERBATIM)
add_custom_target(format
  COMMAND "${EDGETL_CLANG_FORMAT}" -i ${edgetl_written}
  WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}" VERBATIM)
