# What every target of this tree has in common.
include_guard(GLOBAL)
include(CheckCXXCompilerFlag)
include(CheckLinkerFlag)
include(CheckPIESupported)

# Flags that this compiler and linker have; sanitizers bring checks of their own.
set(edgetl_hardening_compile "")
set(edgetl_hardening_link "")
if(EDGETL_HARDENING AND NOT EDGETL_BUILD_FUZZERS)
  check_cxx_compiler_flag(-fstack-protector-strong edgetl_has_stack_protector)
  if(edgetl_has_stack_protector)
    list(APPEND edgetl_hardening_compile -fstack-protector-strong)
  endif()
  # works only with optimization and warns without it; some toolchains define it themselves
  list(APPEND edgetl_hardening_compile
    "$<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE>" "$<$<NOT:$<CONFIG:Debug>>:-D_FORTIFY_SOURCE=2>")
  foreach(flag IN ITEMS relro now noexecstack)
    check_linker_flag(CXX "LINKER:-z,${flag}" edgetl_has_z_${flag})
    if(edgetl_has_z_${flag})
      list(APPEND edgetl_hardening_link "LINKER:-z,${flag}")
    endif()
  endforeach()
  check_pie_supported(LANGUAGES CXX)
  edgetl_note("hardening" "in")
else()
  edgetl_note("hardening" "left out (EDGETL_HARDENING=OFF, or fuzzers)")
endif()

# edgetl_settings(target): C++17, warnings, sanitizers where asked for. Nothing of it reaches users of the library.
function(edgetl_settings target)
  set_target_properties(${target} PROPERTIES
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON POSITION_INDEPENDENT_CODE ON
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  # 32-bit systems: large files, and folders on large file systems
  target_compile_definitions(${target} PRIVATE _FILE_OFFSET_BITS=64)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wconversion -Wshadow)
  target_compile_options(${target} PRIVATE ${edgetl_hardening_compile})
  get_target_property(type ${target} TYPE)
  if(type STREQUAL "EXECUTABLE" OR type STREQUAL "SHARED_LIBRARY")
    target_link_options(${target} PRIVATE ${edgetl_hardening_link})
  endif()
  if(EDGETL_WARNINGS_AS_ERRORS)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
  if(EDGETL_BUILD_FUZZERS)
    target_compile_options(${target} PRIVATE
      -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(${target} PRIVATE -fsanitize=address,undefined)
  endif()
endfunction()

# edgetl_without_exceptions(target): for code that runs on a device and allocates little.
function(edgetl_without_exceptions target)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-fno-exceptions -fno-rtti>)
endfunction()
