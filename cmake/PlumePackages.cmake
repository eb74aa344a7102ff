# plume_find(<package> ...): find_package that, where something is missing, names the package together
# with the command that installs it.

set(PLUME_APT_doctest doctest-dev)
set(PLUME_APT_Eigen3 libeigen3-dev)
set(PLUME_APT_nlohmann_json nlohmann-json3-dev)
set(PLUME_APT_CLI11 libcli11-dev)
set(PLUME_APT_LibArchive libarchive-dev)
set(PLUME_APT_benchmark libbenchmark-dev)
set(PLUME_APT_Threads libc6-dev)
set(PLUME_APT_CUDAToolkit nvidia-cuda-toolkit)

function(plume_find package)
  find_package(${package} ${ARGN} QUIET)
  if(NOT ${package}_FOUND)
    message(FATAL_ERROR
            "Plume needs ${package}, which was not found.\n"
            "  Debian, Ubuntu:  sudo apt-get install ${PLUME_APT_${package}}\n"
            "  elsewhere:       install ${package} and add its prefix to CMAKE_PREFIX_PATH\n"
            "What needs it can be switched off: PLUME_BUILD_TESTS, PLUME_BUILD_BENCH, PLUME_CUDA.")
  endif()
  foreach(result FOUND VERSION INCLUDE_DIR INCLUDE_DIRS)
    set(${package}_${result} "${${package}_${result}}" PARENT_SCOPE)
  endforeach()
endfunction()
