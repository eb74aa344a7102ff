# plume::cuda: kernels/*.cu compiled for the device.
#
# Its objects register the device kernels in static initialisers, and nothing refers to them by name, so
# whoever links plume::cuda must take the whole archive.

if(NOT CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES "80-real;90a-real" CACHE STRING "Architectures that plume::cuda is built for")
endif()
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX} AND EXISTS /usr/local/cuda/bin/nvcc)
  set(CMAKE_CUDA_COMPILER /usr/local/cuda/bin/nvcc CACHE FILEPATH "The CUDA compiler")
endif()
include(CheckLanguage)
check_language(CUDA)
if(NOT CMAKE_CUDA_COMPILER)
  message(FATAL_ERROR
          "PLUME_CUDA=ON needs nvcc, which was not found.\n"
          "  Debian, Ubuntu:  sudo apt-get install nvidia-cuda-toolkit, or NVIDIA's own packages\n"
          "  elsewhere:       set CUDACXX to the path of nvcc\n"
          "Without it, configure with -DPLUME_CUDA=OFF: everything else builds.")
endif()
enable_language(CUDA)
plume_find(CUDAToolkit)

file(GLOB_RECURSE plume_kernels CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/kernels/*.cu"
     "${PROJECT_SOURCE_DIR}/kernels/*.cpp")
add_library(plume_cuda_kernels STATIC ${plume_kernels})
set_target_properties(plume_cuda_kernels PROPERTIES
  EXPORT_NAME cuda_kernels POSITION_INDEPENDENT_CODE ON CUDA_RUNTIME_LIBRARY Shared)
target_include_directories(plume_cuda_kernels PRIVATE "${PROJECT_SOURCE_DIR}")
target_link_libraries(plume_cuda_kernels PUBLIC plume CUDA::cudart CUDA::cublasLt)
# -std is spelled out because CMake before 3.26 does not know that nvcc speaks C++20.
target_compile_options(plume_cuda_kernels PRIVATE
  ${PLUME_WARNINGS}
  "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++20;-O3;--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra,-Wshadow;-Xptxas=--warn-on-spills>")
if(PLUME_WERROR)
  target_compile_options(plume_cuda_kernels PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings>"
                                                    "$<$<COMPILE_LANGUAGE:CXX>:-Werror>")
endif()

add_library(plume::cuda_kernels ALIAS plume_cuda_kernels)
add_library(plume_cuda INTERFACE)
add_library(plume::cuda ALIAS plume_cuda)
set_target_properties(plume_cuda PROPERTIES EXPORT_NAME cuda)
# The name inside LINK_LIBRARY is exported as it stands, so it must be the one that users have.
target_link_libraries(plume_cuda INTERFACE "$<LINK_LIBRARY:WHOLE_ARCHIVE,plume::cuda_kernels>" plume)

# The smallest program that links plume::cuda: proves that nothing is missing.
if(PROJECT_IS_TOP_LEVEL)
  add_executable(plume_cuda_link EXCLUDE_FROM_ALL "${PROJECT_SOURCE_DIR}/tests/guards/cuda_link.cpp")
  plume_program(plume_cuda_link)
endif()
