# 32-bit ARM Linux, hard float, ARMv7, with Debian's cross compiler: apt-get install g++-arm-linux-gnueabihf
#   cmake -S . -B build/armhf -DCMAKE_TOOLCHAIN_FILE=targets/toolchains/armhf-linux-gnueabihf.cmake
set(edgetl_processor armv7l)
set(edgetl_triple arm-linux-gnueabihf)
set(edgetl_qemu qemu-arm)
include(${CMAKE_CURRENT_LIST_DIR}/linux-cross.cmake)
