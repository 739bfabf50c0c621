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

install(TARGETS edgetl_runtime EXPORT edgetlTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(DIRECTORY runtime/include/edgetl DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(EXPORT edgetlTargets NAMESPACE edgetl:: DESTINATION "${edgetl_package}")
install(FILES "${PROJECT_BINARY_DIR}/edgetlConfig.cmake" "${PROJECT_BINARY_DIR}/edgetlConfigVersion.cmake"
  cmake/EdgetlBundles.cmake cmake/EdgetlBundleFiles.cmake DESTINATION "${edgetl_package}")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")
