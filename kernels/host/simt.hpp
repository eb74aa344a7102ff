#pragma once
// Host SIMT: compiles CUDA kernel sources with a plain C++ compiler and runs them on the CPU.
//
// Not fast (some 20 ns per thread and barrier) and not parallel, but strict: it finds divergent
// barriers, shuffles from absent lanes, writes past the end of shared and of device memory,
// impossible launches and host pointers, and it can run threads and blocks in other orders.
// kernels/common.cuh includes this file when the compiler is not nvcc; kernels themselves use
// common.cuh and stay plain CUDA.
//
//   fiber.hpp   call stacks and the switch between them
//   types.hpp   dim3, vector and 16-bit types
//   memory.hpp  device and shared memory with guards
//   block.hpp   the threads of a block, __syncthreads, divergence reports
//   warp.hpp    shuffles, votes, __syncwarp
//   simt.hpp    the CUDA words, atomics, launches, cudaMalloc and friends
//
// Differences from a GPU: one block at a time; warps do not run in lock step; no textures,
// clusters, grid-wide barriers or dynamic parallelism. `__shared__` arrays work but are static
// here: only PLUME_SHARED and PLUME_DYNAMIC_SHARED arrays are guarded and start as NaN in every
// block.

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "block.hpp"
#include "memory.hpp"
#include "types.hpp"
#include "warp.hpp"

#define __global__ inline
#define __device__
#define __host__
#define __constant__ static
#define __shared__ static thread_local
#define __forceinline__ inline
#define __launch_bounds__(...)
#define PLUME_SHARED_PIECE(T, key, bytes, name) \
  reinterpret_cast<T*>(::plume::simt::detail::this_block().shared.declare(key, bytes, name))

/// T name[count] in shared memory. Same words under nvcc (see common.cuh).
#define PLUME_SHARED(T, name, count)      \
  static const char plume_key_##name = 0; \
  T* const name =                         \
      PLUME_SHARED_PIECE(T, &plume_key_##name, sizeof(T) * (count), "shared array " #name)
/// T* name: the shared memory whose size the launch gives.
#define PLUME_DYNAMIC_SHARED(T, name) \
  T* const name = reinterpret_cast<T*>(::plume::simt::detail::this_block().shared.dynamic())

namespace plume::simt {

namespace detail {

inline std::string to_text(dim3 d) {
  return "(" + std::to_string(d.x) + ", " + std::to_string(d.y) + ", " + std::to_string(d.z) + ")";
}

/// "" or why no GPU would accept the launch.
inline std::string launch_problem(dim3 grid, dim3 block, std::size_t shared_bytes) {
  const std::uint64_t threads = std::uint64_t{block.x} * block.y * block.z;
  if (block.x > 1024 || block.y > 1024 || block.z > 64 || threads > 1024)
    return "more than 1024 threads in a block";
  if (threads == 0 || grid.x == 0 || grid.y == 0 || grid.z == 0) return "an empty grid or block";
  if (grid.x > 0x7fffffffU || grid.y > 65535 || grid.z > 65535)
    return "a grid beyond (2^31-1, 65535, 65535)";
  if (shared_bytes > SharedMemory::limit) return "more shared memory than a block may have";
  return {};
}

template <class T>
void check_pointer(const T& argument, int position, bool guards) {
  if constexpr (std::is_pointer_v<T>) {
    if (argument == nullptr) return;
    const auto* piece = device_memory().find(argument);
    const std::string which = "argument " + std::to_string(position);
    if (piece == nullptr) throw Error(which + " is not a device pointer");
    const std::string broken =
        guards ? broken_guard(piece->first, piece->second.bytes) : std::string();
    if (!broken.empty()) {
      throw Error(broken + "the device allocation of " + which + " (" +
                  std::to_string(piece->second.bytes) + " bytes)");
    }
  }
}

/// Runs `body` for every block of the grid, in the order that the options ask for.
template <class Body>
void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, Body& body) {
  static thread_local Block runner;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  std::uint64_t random = options().seed;
  // Multiplying by a number coprime to the count visits every block once, without a list of them.
  std::uint64_t step = 1, start = 0;
  if (random != 0 && blocks > 1) {
    do step = 1 + next_random(random) % blocks;
    while (std::gcd(step, blocks) != 1);
    start = next_random(random) % blocks;
  }
  gridDim = grid;
  blockDim = block;
  std::uint64_t id = start;
  for (std::uint64_t i = 0; i < blocks; ++i, id = (id + step) % blocks) {
    blockIdx = {static_cast<unsigned>(id % grid.x), static_cast<unsigned>(id / grid.x % grid.y),
                static_cast<unsigned>(id / grid.x / grid.y)};
    const std::uint64_t seed = random == 0 ? 0 : next_random(random) | 1U;
    try {
      runner.run(
          block, shared_bytes, [](void* f) { (*static_cast<Body*>(f))(); }, &body, seed,
          options().seed % 2 == 0);
    } catch (const Error& error) {
      throw Error("block " + to_text({blockIdx.x, blockIdx.y, blockIdx.z}) + ": " + error.what());
    }
  }
}

}  // namespace detail

/// kernel<<<grid, block, shared_bytes>>>(arguments...), finished when it returns. Throws Error.
template <class... Parameters, class... Arguments>
void launch(const char* name, void (*kernel)(Parameters...), dim3 grid, dim3 block,
            std::size_t shared_bytes, const Arguments&... arguments) {
  const auto where = [&] {
    return std::string("[") + name + "] grid " + detail::to_text(grid) + " block " +
           detail::to_text(block) + " shared " + std::to_string(shared_bytes) + ": ";
  };
  const std::string problem = detail::launch_problem(grid, block, shared_bytes);
  if (!problem.empty()) throw Error(where() + problem);
  if (detail::Block::running() != nullptr) throw Error(where() + "launched from inside a kernel");
  ++detail::observed.launch;
  try {
    int position = 0;
    if (options().check_pointers) (detail::check_pointer(arguments, position++, false), ...);
    auto body = [&] { kernel(static_cast<Parameters>(arguments)...); };
    detail::run_grid(grid, block, shared_bytes, body);
    position = 0;
    if (options().check_pointers) (detail::check_pointer(arguments, position++, true), ...);
  } catch (const Error& error) {
    throw Error(where() + error.what());
  }
}

/// An array in device memory, for tests: copied in and out as a std::vector. Its guards are checked
/// when it is read and, with a report on stderr, when it goes.
template <class T>
class DeviceArray {
 public:
  explicit DeviceArray(std::size_t size)
      : size_(size), data_(static_cast<T*>(detail::device_memory().allocate(size * sizeof(T)))) {}
  explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
    std::copy(values.begin(), values.end(), data_);
  }
  ~DeviceArray() {
    try {
      detail::device_memory().release(data_);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
    }
  }
  DeviceArray(const DeviceArray&) = delete;
  DeviceArray& operator=(const DeviceArray&) = delete;

  [[nodiscard]] T* data() noexcept { return data_; }
  [[nodiscard]] std::vector<T> values() const { return std::vector<T>(data_, data_ + size_); }

 private:
  std::size_t size_;
  T* data_;
};

}  // namespace plume::simt

// --- Atomics: one thread runs at a time, so these are plain. They return the old value. ----------

namespace plume::simt::detail {
template <class T, class F>
T exchange(T* address, F f) {
  observed.atomic = true;
  const T old = *address;
  *address = f(old);
  observed.atomic = false;
  return old;
}
}  // namespace plume::simt::detail

template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T old) { return static_cast<T>(old + value); });
}
template <class T>
T atomicSub(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T old) { return static_cast<T>(old - value); });
}
template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T old) { return std::max(old, value); });
}
template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T old) { return std::min(old, value); });
}
template <class T>
T atomicAnd(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T old) { return static_cast<T>(old & value); });
}
template <class T>
T atomicOr(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T old) { return static_cast<T>(old | value); });
}
template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address, [&](T) { return value; });
}
template <class T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  return plume::simt::detail::exchange(address,
                                       [&](T old) { return old == compare ? value : old; });
}
inline void __threadfence() {}
inline void __threadfence_block() {}

// --- Arithmetic ----------------------------------------------------------------------------------

inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __clz(int x) { return x == 0 ? 32 : __builtin_clz(static_cast<unsigned>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline float rsqrtf(float x) { return 1.0F / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
inline float __expf(float x) { return std::exp(x); }
inline float __fdividef(float a, float b) { return a / b; }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
template <class T>
T __ldg(const T* p) {
  return *p;
}

// --- The host API that small programs use --------------------------------------------------------

template <class T>
cudaError_t cudaMalloc(T** p, std::size_t bytes) {
  *p = static_cast<T*>(plume::simt::detail::device_memory().allocate(bytes));
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* p) {
  plume::simt::detail::device_memory().release(p);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpy(void* to, const void* from, std::size_t bytes, cudaMemcpyKind) {
  if (bytes != 0) std::memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes,
                                   cudaMemcpyKind kind, cudaStream_t = nullptr) {
  return cudaMemcpy(to, from, bytes, kind);
}
inline cudaError_t cudaMemset(void* p, int value, std::size_t bytes) {
  if (bytes != 0) std::memset(p, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemsetAsync(void* p, int value, std::size_t bytes, cudaStream_t = nullptr) {
  return cudaMemset(p, value, bytes);
}
inline cudaError_t cudaDeviceSynchronize() { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline const char* cudaGetErrorString(cudaError_t e) {
  return e == cudaSuccess ? "no error" : "error";
}
