// Puts the kernels into the slots that the ops declare, and the backend where core looks for one.
//  It happens before main, in a static initialiser that nobody refers to: whoever links plume::cuda
// takes the whole archive (the CMake target sees to it).
#include "register.hpp"

#include "cuda_check.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

namespace {
[[maybe_unused]] const bool registered =
    (register_kernels(), cuda_backend().store(&cuda_runtime()), true);
}  // namespace

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
