# Included by the toolchain files beside it, which set edgetl_processor, edgetl_triple and edgetl_qemu.
#
#   EDGETL_CROSS_ROOT   a folder with libraries for the device (scripts/native-deps)
#   EDGETL_CPU          for -mcpu, for example cortex-a76
#   EDGETL_QEMU_ROOT    the folder in which emulated programs look for their loader and libraries (scripts/arm-sysroot);
#                       default: the cross compiler's own
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR ${edgetl_processor})
set(CMAKE_C_COMPILER ${edgetl_triple}-gcc)
set(CMAKE_CXX_COMPILER ${edgetl_triple}-g++)
set(CMAKE_LIBRARY_ARCHITECTURE ${edgetl_triple})
list(APPEND CMAKE_TRY_COMPILE_PLATFORM_VARIABLES EDGETL_CROSS_ROOT EDGETL_CPU EDGETL_QEMU_ROOT)

if(EDGETL_CPU)
  set(CMAKE_C_FLAGS_INIT "-mcpu=${EDGETL_CPU}")
  set(CMAKE_CXX_FLAGS_INIT "-mcpu=${EDGETL_CPU}")
endif()

set(CMAKE_FIND_ROOT_PATH ${EDGETL_CROSS_ROOT} /usr/${edgetl_triple})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE BOTH)

find_program(EDGETL_QEMU NAMES ${edgetl_qemu}-static ${edgetl_qemu})
if(EDGETL_QEMU)
  if(NOT EDGETL_QEMU_ROOT)
    set(EDGETL_QEMU_ROOT /usr/${edgetl_triple})
  endif()
  set(CMAKE_CROSSCOMPILING_EMULATOR ${EDGETL_QEMU} -cpu max -L ${EDGETL_QEMU_ROOT})
endif()
