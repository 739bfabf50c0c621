# NVIDIA Jetson Orin Nano: six Cortex-A78AE.
set(EDGETL_CPU cortex-a78ae)
include(${CMAKE_CURRENT_LIST_DIR}/aarch64-linux-gnu.cmake)
