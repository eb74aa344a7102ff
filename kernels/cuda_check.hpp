#pragma once
// For the C++ files of plume::cuda: errors of the CUDA API become exceptions.

#include "library.hpp"
#include "plume/cuda/runtime.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

/// Throws Error with the last launches unless `error`, a cudaError_t, is success.
void check(int error, const char* what);

/// The one backend, whether registered or not.
Runtime& cuda_runtime();

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
