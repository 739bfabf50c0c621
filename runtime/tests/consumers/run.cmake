# Configures, builds and runs the consumer project `way` in the empty folder `place`.
cmake_policy(VERSION 3.20)
include("${source}/bundle.cmake")

function(run)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE code OUTPUT_VARIABLE out ERROR_VARIABLE out)
  set(code "${code}" PARENT_SCOPE)
  set(out "${out}" PARENT_SCOPE)
endfunction()

function(must)
  run(${ARGN})
  if(NOT code EQUAL 0)
    list(JOIN ARGN " " line)
    message(FATAL_ERROR "${line}\nended with ${code}:\n${out}")
  endif()
endfunction()

function(program_says expected)
  run(${emulator} "${place}/build/predict")
  if(NOT code EQUAL 0 OR NOT out STREQUAL expected)
    message(FATAL_ERROR "predict ended with ${code}, expected:\n${expected}found:\n${out}")
  endif()
endfunction()

file(REMOVE_RECURSE "${place}")
write_bundle("${place}/bundles/tiny-null" "good" "scr\\\"atch?? \\\\ é;[x]")

set(options "-DCMAKE_PREFIX_PATH=${installed}" "-Dedgetl_source=${source}/../../.." "-Dbundles=${place}/bundles"
  "-Dconsumers=${source}")
if(toolchain)
  list(APPEND options "-DCMAKE_TOOLCHAIN_FILE=${toolchain}" "-DEDGETL_CROSS_ROOT=${cross_root}"
    "-DCMAKE_FIND_ROOT_PATH_MODE_PACKAGE=BOTH")
else()
  list(APPEND options "-DCMAKE_C_COMPILER=${c}" "-DCMAKE_CXX_COMPILER=${cxx}")
endif()
if(way STREQUAL "fetch_content")
  list(APPEND options "-DCMAKE_UNITY_BUILD=ON")  # as a user's project may have it, and built in a third of the time
endif()
must("${CMAKE_COMMAND}" -S "${source}/${way}" -B "${place}/build" -G "${generator}" ${options})
set(build "${CMAKE_COMMAND}" --build "${place}/build")
must(${build})
program_says("tiny-null, 2 classes: good\nthe other one: scr\"atch?? \\ é;[x]\n")

if(way STREQUAL "compile_bundle")
  return()
endif()
write_bundle("${place}/bundles/tiny-null" "fine" "a] dent; [🙂")
must(${build})
program_says("tiny-null, 2 classes: fine\nthe other one: a] dent; [🙂\n")

file(WRITE "${place}/bundles/tiny-null/model.onnx" "an other model")
run(${build})
if(code EQUAL 0 OR NOT out MATCHES "its[ \n]+SHA-256[ \n]+is[ \n]+not")  # lines break anywhere
  message(FATAL_ERROR "a changed model was built in:\n${out}")
endif()
