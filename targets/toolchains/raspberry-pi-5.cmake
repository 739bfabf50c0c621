# Raspberry Pi 5: four Cortex-A76, 64-bit system.
set(EDGETL_CPU cortex-a76)
include(${CMAKE_CURRENT_LIST_DIR}/aarch64-linux-gnu.cmake)
