#pragma once
// What every kernel family here uses: launching, 16-bit floats, 128-bit loads, sums over a warp or
// block.
//
// Compiled by nvcc it includes the CUDA headers; compiled by any other C++20 compiler it includes
// the host SIMT header, and the same kernels run on the CPU (see host/simt.hpp). Kernels and
// launchers live in namespace plume::kernels, take raw device pointers, sizes and a stream, and
// need nothing else of Plume.
//
// Both worlds may meet in one program (the tests, built with CUDA), so each has an inline
// namespace.
//
// Conventions: sizes are 64-bit; a launcher with nothing to do launches nothing; outputs are
// overwritten; arithmetic happens in accumulate_t<T> (float for 16-bit types, T otherwise).

#if defined(__CUDACC__)
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#define PLUME_WORLD device
#define PLUME_UNROLL _Pragma("unroll")
#define PLUME_SHARED(T, name, count) __shared__ T name[count]
#define PLUME_DYNAMIC_SHARED(T, name)                                   \
  extern __shared__ __align__(16) unsigned char plume_dynamic_shared[]; \
  T* const name = reinterpret_cast<T*>(plume_dynamic_shared)
#else
#include "host/simt.hpp"
#define PLUME_WORLD host
#define PLUME_UNROLL
#endif

#include <cmath>
#include <cstdint>
#include <initializer_list>
#include <type_traits>

#include "launch_log.hpp"

namespace plume::kernels::inline PLUME_WORLD {

using index_t = std::int64_t;
using bfloat16 = __nv_bfloat16;
using half = __half;

// --- Scalars -------------------------------------------------------------------------------------

template <class T>
using accumulate_t = std::conditional_t<std::is_same_v<T, double>, double, float>;

template <class T>
__device__ __forceinline__ accumulate_t<T> widen(T x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return __bfloat162float(x);
  } else if constexpr (std::is_same_v<T, half>) {
    return __half2float(x);
  } else {
    return x;
  }
}

/// Rounds to nearest even.
template <class T, class A>
__device__ __forceinline__ T narrow(A x) {
  if constexpr (std::is_same_v<T, bfloat16>) {
    return __float2bfloat16(static_cast<float>(x));
  } else if constexpr (std::is_same_v<T, half>) {
    return __float2half(static_cast<float>(x));
  } else {
    return static_cast<T>(x);
  }
}

// --- Vectors -------------------------------------------------------------------------------------

/// N neighbouring elements, moved by one 128-bit instruction, or several if they are more than 16
/// bytes.
template <class T, int N>
struct alignas(sizeof(T) * N < 16 ? sizeof(T) * N : 16) Vec {
  T at[N];
};

template <int N, class T>
__device__ __forceinline__ Vec<T, N> load(const T* p) {
  return *reinterpret_cast<const Vec<T, N>*>(p);
}
template <class T, int N>
__device__ __forceinline__ void store(T* p, const Vec<T, N>& v) {
  *reinterpret_cast<Vec<T, N>*>(p) = v;
}

/// May `p` be accessed as Vec<T, N>? Null may: nobody will.
template <int N, class T>
bool is_aligned(const T* p) {
  return reinterpret_cast<std::uintptr_t>(p) % alignof(Vec<T, N>) == 0;
}

// --- Reductions. The order of additions is fixed, so results repeat bit for bit. -----------------

inline constexpr unsigned full_mask = 0xffffffffU;

/// The sum of `x` over the 32 lanes, in every lane. Butterfly order.
template <class A>
__device__ __forceinline__ A warp_sum(A x) {
  PLUME_UNROLL
  for (int offset = 16; offset > 0; offset /= 2) x += __shfl_xor_sync(full_mask, x, offset);
  return x;
}

/// The sum of `x` over a block of kWarps warps, in every thread. `scratch` is kWarps elements of
/// shared memory; the two barriers let it be used again at once.
template <int kWarps, class A>
__device__ __forceinline__ A block_sum(A x, A* scratch) {
  const unsigned warp = threadIdx.x / 32;
  x = warp_sum(x);
  if (threadIdx.x % 32 == 0) scratch[warp] = x;
  __syncthreads();
  A total = scratch[0];
  PLUME_UNROLL
  for (int i = 1; i < kWarps; ++i) total += scratch[i];
  __syncthreads();
  return total;
}

// --- Launching -----------------------------------------------------------------------------------

constexpr index_t ceil_div(index_t a, index_t b) { return (a + b - 1) / b; }

struct Launch {
  const char* name;
  index_t blocks;  // a one-dimensional grid is all that is needed so far
  unsigned threads;
  std::size_t shared_bytes = 0;
  cudaStream_t stream = nullptr;
};

/// kernel<<<blocks, threads, shared, stream>>>(arguments...). `sizes` appear in error messages.
/// Throws LaunchError (host SIMT: simt::Error) naming the kernel, its grid and the sizes.
template <class... Parameters, class... Arguments>
void launch(const Launch& config, std::initializer_list<NamedSize> sizes,
            void (*kernel)(Parameters...), Arguments... arguments) {
  const LaunchRecord record(config.name, {static_cast<unsigned>(config.blocks), 1, 1},
                            {config.threads, 1, 1}, config.shared_bytes, sizes);
  if (config.blocks > 0x7fffffff) {
    throw LaunchError(record.text() + ": needs " + std::to_string(config.blocks) +
                      " blocks, more than 2^31 - 1");
  }
  launch_log().add(record);
  const dim3 grid(static_cast<unsigned>(config.blocks));
#if defined(__CUDACC__)
  cudaError_t error = cudaSuccess;
  if (config.shared_bytes > 48 * 1024) {  // more than the default must be asked for
    error = cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel),
                                 cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(config.shared_bytes));
  }
  if (error == cudaSuccess) {
    kernel<<<grid, config.threads, config.shared_bytes, config.stream>>>(
        static_cast<Parameters>(arguments)...);
    error = cudaGetLastError();
  }
  if (error == cudaSuccess && synchronize_every_launch())
    error = cudaStreamSynchronize(config.stream);
  if (error != cudaSuccess) throw LaunchError(error_text(record.text(), cudaGetErrorString(error)));
#else
  simt::launch(config.name, kernel, grid, config.threads, config.shared_bytes,
               static_cast<Parameters>(arguments)...);
#endif
}

}  // namespace plume::kernels::inline PLUME_WORLD
