// Devices, streams, memory and copies: the DeviceBackend behind cuda:N tensors.
//  Memory comes from the device's stream-ordered pool, which keeps what is freed: after the first
// steps of a training run an allocation is a few hundred nanoseconds and never waits for the
// device. Work of a thread goes to one stream per device, the same for all threads unless a
// StreamScope says otherwise, so work is ordered as the program is.
#include "plume/cuda/runtime.hpp"

#include <cuda_runtime_api.h>

#include <array>
#include <atomic>
#include <limits>
#include <mutex>

#include "cuda_check.hpp"
#include "launch_log.hpp"
#include "library.hpp"

namespace plume::gpu::detail::inline PLUME_LIBRARY {

namespace {

constexpr int max_devices = 64;

/// What is set up once for each device, when it is first used.
struct DeviceState {
  std::once_flag once;
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
  std::atomic<std::uint64_t> allocations{0};
};

DeviceState& state(int device) {
  static std::array<DeviceState, max_devices> states;
  DeviceState& s = states[static_cast<std::size_t>(device)];
  std::call_once(s.once, [device, &s] {
    check(cudaStreamCreateWithFlags(&s.stream, cudaStreamNonBlocking), "create stream");
    check(cudaDeviceGetDefaultMemPool(&s.pool, device), "memory pool");
    std::uint64_t keep = std::numeric_limits<std::uint64_t>::max();
    check(cudaMemPoolSetAttribute(s.pool, cudaMemPoolAttrReleaseThreshold, &keep), "memory pool");
  });
  return s;
}

/// This thread's choice of stream per device; null: the device's own.
std::array<cudaStream_t, max_devices>& chosen_streams() {
  static thread_local std::array<cudaStream_t, max_devices> streams{};
  return streams;
}

/// How many devices, and if none, why.
struct Inventory {
  int count = 0;
  std::string problem;
};
const Inventory& inventory() {
  static const Inventory found = [] {
    Inventory i;
    const cudaError_t error = cudaGetDeviceCount(&i.count);
    if (error != cudaSuccess) {
      i.count = 0;
      i.problem = cudaGetErrorString(error);
      (void)cudaGetLastError();
    }
    i.count = std::min(i.count, max_devices);
    if (i.count == 0 && i.problem.empty()) i.problem = "the driver shows no device";
    return i;
  }();
  return found;
}

/// Makes `device` the current one for CUDA calls of this scope. Throws DeviceError if there is none
/// such.
class CurrentDevice {
 public:
  explicit CurrentDevice(int device) {
    const Inventory& found = inventory();
    if (device < 0 || device >= found.count) {
      fail<DeviceError>(
          "cuda",
          found.count == 0 ? std::string("a CUDA device") : cat("cuda:0 to cuda:", found.count - 1),
          found.count == 0 ? cat("none (", found.problem, ")") : cat("cuda:", device));
    }
    check(cudaGetDevice(&previous_), "get device");
    if (device != previous_) check(cudaSetDevice(device), "set device");
    device_ = device;
  }
  ~CurrentDevice() {
    if (device_ != previous_) (void)cudaSetDevice(previous_);
  }
  CurrentDevice(const CurrentDevice&) = delete;
  CurrentDevice& operator=(const CurrentDevice&) = delete;

 private:
  int previous_ = 0;
  int device_ = 0;
};

cudaStream_t stream_of(int device) {
  const cudaStream_t chosen = chosen_streams()[static_cast<std::size_t>(device)];
  return chosen != nullptr ? chosen : state(device).stream;
}

std::uint64_t pool_attribute(int device, cudaMemPoolAttr attribute) {
  std::uint64_t value = 0;
  check(cudaMemPoolGetAttribute(state(device).pool, attribute, &value), "memory pool");
  return value;
}

/// Allocates; if the device is full, gives back what the pool keeps idle and tries once more.
void* pool_allocate(int device, std::size_t bytes, cudaStream_t stream) {
  void* p = nullptr;
  cudaError_t error = cudaMallocAsync(&p, bytes, stream);
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    check(cudaStreamSynchronize(stream), "synchronize");
    check(cudaMemPoolTrimTo(state(device).pool, 0), "trim memory");
    error = cudaMallocAsync(&p, bytes, stream);
  }
  if (error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();
    std::size_t free_bytes = 0, total = 0;
    check(cudaMemGetInfo(&free_bytes, &total), "memory info");
    throw Error(cat("[cuda] out of memory on cuda:", device, ": asked for ", bytes, " bytes; ",
                    total, " in all, ", free_bytes, " free, ",
                    pool_attribute(device, cudaMemPoolAttrUsedMemCurrent),
                    " used by this process"));
  }
  check(error, "allocate");
  state(device).allocations.fetch_add(1, std::memory_order_relaxed);
  return p;
}

class CudaRuntime final : public Runtime {
 public:
  void* allocate(int device, std::size_t bytes) override {
    const CurrentDevice scope(device);
    return bytes == 0 ? nullptr : pool_allocate(device, bytes, stream_of(device));
  }

  // Errors are left for the next call to find: at exit the driver may be gone already.
  void deallocate(int device, void* p, std::size_t) noexcept override {
    if (p == nullptr) return;
    try {
      const CurrentDevice scope(device);
      (void)cudaFreeAsync(p, stream_of(device));
    } catch (...) {
    }
  }

  void copy_from_host(int device, void* to, const void* host, std::size_t bytes) override {
    transfer(device, to, host, bytes, cudaMemcpyHostToDevice, "copy to the device");
  }
  void copy_to_host(int device, void* host, const void* from, std::size_t bytes) override {
    transfer(device, host, from, bytes, cudaMemcpyDeviceToHost, "copy to the host");
  }
  void copy(int device, void* to, const void* from, std::size_t bytes) override {
    if (bytes == 0) return;
    const CurrentDevice scope(device);
    check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_of(device)), "copy");
  }
  void set_zero(int device, void* to, std::size_t bytes) override {
    if (bytes == 0) return;
    const CurrentDevice scope(device);
    check(cudaMemsetAsync(to, 0, bytes, stream_of(device)), "set to zero");
  }

  void synchronize(int device) override {
    const CurrentDevice scope(device);
    check(cudaDeviceSynchronize(), "synchronize");
  }
  int device_count() override { return inventory().count; }

  DeviceInfo info(int device) override {
    const CurrentDevice scope(device);
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "device properties");
    DeviceInfo info;
    info.name = properties.name;
    info.major = properties.major;
    info.minor = properties.minor;
    info.multiprocessors = properties.multiProcessorCount;
    info.l2_bytes = static_cast<std::size_t>(properties.l2CacheSize);
    check(cudaMemGetInfo(&info.free_bytes, &info.memory_bytes), "memory info");
    int kilohertz = 0;
    if (cudaDeviceGetAttribute(&kilohertz, cudaDevAttrMemoryClockRate, device) == cudaSuccess) {
      // Two transfers a clock, memoryBusWidth bits each.
      info.memory_bandwidth = 2e3 * kilohertz * properties.memoryBusWidth / 8;
    }
    return info;
  }

  MemoryStatistics memory(int device) override {
    const CurrentDevice scope(device);
    MemoryStatistics m;
    m.used = pool_attribute(device, cudaMemPoolAttrUsedMemCurrent);
    m.peak_used = pool_attribute(device, cudaMemPoolAttrUsedMemHigh);
    m.reserved = pool_attribute(device, cudaMemPoolAttrReservedMemCurrent);
    m.peak_reserved = pool_attribute(device, cudaMemPoolAttrReservedMemHigh);
    m.allocations = state(device).allocations.load(std::memory_order_relaxed);
    return m;
  }
  void reset_memory_peaks(int device) override {
    const CurrentDevice scope(device);
    std::uint64_t zero = 0;  // any value means: down to what is current
    for (const cudaMemPoolAttr high :
         {cudaMemPoolAttrUsedMemHigh, cudaMemPoolAttrReservedMemHigh}) {
      check(cudaMemPoolSetAttribute(state(device).pool, high, &zero), "memory pool");
    }
  }
  void trim(int device) override {
    const CurrentDevice scope(device);
    check(cudaStreamSynchronize(stream_of(device)), "synchronize");
    check(cudaMemPoolTrimTo(state(device).pool, 0), "trim memory");
  }

  void* create_stream(int device) override {
    const CurrentDevice scope(device);
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "create stream");
    return stream;
  }
  void destroy_stream(int device, void* stream) noexcept override {
    try {
      const CurrentDevice scope(device);
      (void)cudaStreamDestroy(static_cast<cudaStream_t>(stream));
    } catch (...) {
    }
  }
  void synchronize_stream(int device, void* stream) override {
    const CurrentDevice scope(device);
    check(cudaStreamSynchronize(static_cast<cudaStream_t>(stream)), "synchronize");
  }
  void* current_stream(int device) override {
    const CurrentDevice scope(device);
    return stream_of(device);
  }
  void* set_current_stream(int device, void* stream) override {
    const CurrentDevice scope(device);
    return std::exchange(chosen_streams()[static_cast<std::size_t>(device)],
                         static_cast<cudaStream_t>(stream));
  }

  void allow_tf32(bool allow) override { detail::allow_tf32(allow); }
  std::string recent_launches() override { return kernels::launch_log().text(); }

 private:
  // Host memory may be freed or reused as soon as this returns, so it waits.
  static void transfer(int device, void* to, const void* from, std::size_t bytes,
                       cudaMemcpyKind kind, const char* what) {
    if (bytes == 0) return;
    const CurrentDevice scope(device);
    check(cudaMemcpyAsync(to, from, bytes, kind, stream_of(device)), what);
    check(cudaStreamSynchronize(stream_of(device)), what);
  }
};

}  // namespace

Runtime& cuda_runtime() {
  static CudaRuntime& runtime = *new CudaRuntime;  // never destroyed: tensors may outlive statics
  return runtime;
}

void check(int error, const char* what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();
  throw Error(kernels::error_text(what, cudaGetErrorString(static_cast<cudaError_t>(error))));
}

Stream stream_for(const void* pointer) {
  int device = 0;
  if (inventory().count == 0) const CurrentDevice throws_device_error(0);
  if (inventory().count > 1 && pointer != nullptr) {
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, pointer), "pointer");
    device = attributes.device;
    check(cudaSetDevice(device), "set device");  // the kernel that follows is launched there
  }
  return stream_of(device);
}

Workspace::Workspace(std::size_t bytes, Stream stream) : stream_(stream) {
  if (bytes == 0) return;
  int device = 0;
  check(cudaGetDevice(&device), "get device");
  data_ = pool_allocate(device, bytes, stream);
}
Workspace::~Workspace() {
  if (data_ != nullptr) (void)cudaFreeAsync(data_, stream_);
}

}  // namespace plume::gpu::detail::inline PLUME_LIBRARY
