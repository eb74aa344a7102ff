# cmake --install, and what find_package(plume) reads afterwards.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(plume_config_dir "${CMAKE_INSTALL_LIBDIR}/cmake/plume")
set(plume_exported plume)
set(PLUME_INSTALLED_COMPILED OFF)
set(PLUME_INSTALLED_CUDA OFF)
if(PLUME_BUILD_COMPILED)
  list(APPEND plume_exported plume_compiled)
  set(PLUME_INSTALLED_COMPILED ON)
endif()
if(PLUME_CUDA)
  list(APPEND plume_exported plume_cuda plume_cuda_kernels)
  set(PLUME_INSTALLED_CUDA ON)
endif()
# The archives call OpenMP if they were built with it; the headers alone can do without.
set(PLUME_INSTALLED_NEEDS_OPENMP OFF)
if(OpenMP_CXX_FOUND AND (PLUME_BUILD_COMPILED OR PLUME_CUDA))
  set(PLUME_INSTALLED_NEEDS_OPENMP ON)
endif()

install(TARGETS ${plume_exported} EXPORT plumeTargets)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/plume" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}"
        FILES_MATCHING PATTERN "*.hpp")
install(EXPORT plumeTargets NAMESPACE plume:: DESTINATION "${plume_config_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/plumeConfig.cmake.in"
                              "${PROJECT_BINARY_DIR}/plumeConfig.cmake"
                              INSTALL_DESTINATION "${plume_config_dir}")
# The headers are the same for every architecture; archives are not.
if(PLUME_BUILD_COMPILED OR PLUME_CUDA)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/plumeConfigVersion.cmake"
                                   COMPATIBILITY SameMinorVersion)
else()
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/plumeConfigVersion.cmake"
                                   COMPATIBILITY SameMinorVersion ARCH_INDEPENDENT)
endif()
install(FILES "${PROJECT_BINARY_DIR}/plumeConfig.cmake" "${PROJECT_BINARY_DIR}/plumeConfigVersion.cmake"
              "${PROJECT_SOURCE_DIR}/cmake/PlumePictures.cmake"
        DESTINATION "${plume_config_dir}")
