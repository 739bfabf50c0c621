# 64-bit ARM Linux with Debian's cross compiler: apt-get install g++-aarch64-linux-gnu qemu-user-static
#   cmake -S . -B build/arm64 -DCMAKE_TOOLCHAIN_FILE=targets/toolchains/aarch64-linux-gnu.cmake
set(edgetl_processor aarch64)
set(edgetl_triple aarch64-linux-gnu)
set(edgetl_qemu qemu-aarch64)
include(${CMAKE_CURRENT_LIST_DIR}/linux-cross.cmake)
