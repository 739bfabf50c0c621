# What find_package(edgetl) finds.
include_guard(GLOBAL)
include(CMakePackageConfigHelpers)

set(edgetl_package "${CMAKE_INSTALL_LIBDIR}/cmake/edgetl")
set(edgetl_engines null)
foreach(engine IN ITEMS onnxruntime openvino tensorrt)
  if(edgetl_has_${engine})
    list(APPEND edgetl_engines ${engine})
  endif()
endforeach()
configure_package_config_file(cmake/edgetlConfig.cmake.in "${PROJECT_BINARY_DIR}/edgetlConfig.cmake"
  INSTALL_DESTINATION "${edgetl_package}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/edgetlConfigVersion.cmake" COMPATIBILITY SameMinorVersion)

# pkg-config, for those who do not build with CMake. Paths count from the file, so that the folder can be moved.
file(RELATIVE_PATH edgetl_prefix_from_pc "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
set(edgetl_pc_libraries "-L\${libdir} -ledgetl_runtime")
set(edgetl_pc_definitions "")
if(EDGETL_BUILD_SHARED)
  set(edgetl_pc_definitions " -DEDGETL_SHARED=1")
else()
  # C programs link this archive of C++ code too
  string(APPEND edgetl_pc_libraries " -lstdc++ -lm -ldl")
endif()
configure_file(cmake/edgetl.pc.in "${PROJECT_BINARY_DIR}/edgetl.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/edgetl.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")

install(TARGETS edgetl_runtime EXPORT edgetlTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY runtime/include/edgetl DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT edgetlTargets NAMESPACE edgetl:: DESTINATION "${edgetl_package}")
install(FILES "${PROJECT_BINARY_DIR}/edgetlConfig.cmake" "${PROJECT_BINARY_DIR}/edgetlConfigVersion.cmake"
  cmake/EdgetlBundles.cmake cmake/EdgetlBundleFiles.cmake DESTINATION "${edgetl_package}")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
