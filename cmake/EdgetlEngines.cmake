# Which engines are built in. Engines are opened with dlopen on the device, so only their headers are needed here.
#
#   EDGETL_WITH_ONNXRUNTIME, EDGETL_WITH_OPENVINO, EDGETL_WITH_TENSORRT   AUTO (when the headers are found), ON or OFF
#   EDGETL_ONNXRUNTIME_INCLUDE   folder of onnxruntime_c_api.h; or ONNXRUNTIME_ROOT / ORT_ROOT (also environment)
#   EDGETL_OPENVINO_INCLUDE      folder of openvino/c/openvino.h; or OpenVINO_DIR / OPENVINO_ROOT
#   EDGETL_TENSORRT_INCLUDE      folder of NvInfer.h; or TENSORRT_ROOT
#   EDGETL_CUDA_INCLUDE          folder of cuda_runtime_api.h; or CUDAToolkit_ROOT / CUDA_HOME
include_guard(GLOBAL)

set(edgetl_engine_modes AUTO ON OFF)
set(EDGETL_WITH_ONNXRUNTIME AUTO CACHE STRING "The onnxruntime engine: AUTO, ON or OFF")
set(EDGETL_WITH_OPENVINO AUTO CACHE STRING "The openvino engine: AUTO, ON or OFF")
set(EDGETL_WITH_TENSORRT OFF CACHE STRING "The tensorrt engine: AUTO, ON or OFF")
foreach(engine IN ITEMS ONNXRUNTIME OPENVINO TENSORRT)
  set_property(CACHE EDGETL_WITH_${engine} PROPERTY STRINGS ${edgetl_engine_modes})
endforeach()

# Headers are the same for every machine: named folders count on the host too, /usr/include only in the sysroot.
function(edgetl_find_header variable header)
  cmake_parse_arguments(arg "" "" "HINTS;SUFFIXES" ${ARGN})
  find_path(${variable} ${header} HINTS ${arg_HINTS} PATH_SUFFIXES ${arg_SUFFIXES}
            NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH)
  find_path(${variable} ${header} PATH_SUFFIXES ${arg_SUFFIXES})
  mark_as_advanced(${variable})
  if(${variable} AND NOT EXISTS "${${variable}}/${header}")
    message(FATAL_ERROR "${variable}=${${variable}}: the folder has no ${header}; set it to the folder that holds it")
  endif()
endfunction()

# edgetl_engine(NAME header variable...): sets edgetl_has_<NAME> and notes it; every variable must hold a folder.
function(edgetl_engine name)
  string(TOUPPER "${name}" upper)
  set(mode "${EDGETL_WITH_${upper}}")
  set(edgetl_has_${name} FALSE PARENT_SCOPE)
  if(NOT mode STREQUAL "AUTO" AND NOT mode)
    edgetl_note("engine ${name}" "left out (EDGETL_WITH_${upper}=${mode})")
    return()
  endif()
  foreach(variable IN LISTS ARGN)
    if(NOT ${variable})
      set(missing "headers not found, set ${variable}")
      if(NOT mode STREQUAL "AUTO")
        message(FATAL_ERROR "EDGETL_WITH_${upper}=${mode}: ${missing}")
      endif()
      edgetl_note("engine ${name}" "left out (${missing})")
      return()
    endif()
  endforeach()
  set(edgetl_has_${name} TRUE PARENT_SCOPE)
  edgetl_note("engine ${name}" "in, headers of ${${ARGV1}}")
endfunction()

if(NOT EDGETL_WITH_ONNXRUNTIME STREQUAL "OFF")
  edgetl_find_header(EDGETL_ONNXRUNTIME_INCLUDE onnxruntime_c_api.h
    HINTS "${ONNXRUNTIME_ROOT}" "${ORT_ROOT}" "$ENV{ONNXRUNTIME_ROOT}" "$ENV{ORT_ROOT}"
    SUFFIXES onnxruntime include include/onnxruntime usr/include/onnxruntime include/onnxruntime/core/session)
endif()
if(NOT EDGETL_WITH_OPENVINO STREQUAL "OFF")
  edgetl_find_header(EDGETL_OPENVINO_INCLUDE openvino/c/openvino.h
    HINTS "${OpenVINO_DIR}/.." "${OpenVINO_DIR}/../../.." "${OPENVINO_ROOT}" "$ENV{OpenVINO_DIR}/.."
          "$ENV{OpenVINO_DIR}/../../.." "$ENV{OPENVINO_ROOT}"
    SUFFIXES include runtime/include)
endif()
if(EDGETL_WITH_TENSORRT)
  edgetl_find_header(EDGETL_TENSORRT_INCLUDE NvInfer.h
    HINTS "${TENSORRT_ROOT}" "$ENV{TENSORRT_ROOT}" SUFFIXES include "${CMAKE_LIBRARY_ARCHITECTURE}")
  edgetl_find_header(EDGETL_CUDA_INCLUDE cuda_runtime_api.h
    HINTS "${CUDAToolkit_ROOT}" "$ENV{CUDAToolkit_ROOT}" "$ENV{CUDA_HOME}" /usr/local/cuda SUFFIXES include)
endif()

edgetl_note("engine null" "in")
edgetl_engine(onnxruntime EDGETL_ONNXRUNTIME_INCLUDE)
edgetl_engine(openvino EDGETL_OPENVINO_INCLUDE)
edgetl_engine(tensorrt EDGETL_TENSORRT_INCLUDE EDGETL_CUDA_INCLUDE)
