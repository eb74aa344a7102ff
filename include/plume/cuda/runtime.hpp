#pragma once
// plume::gpu: what a program may ask of a GPU beyond what tensors do by themselves: which devices
// there are, streams, memory figures, a few switches. (plume::cuda(0) is a Device, hence the name.)
//  Plain C++, no CUDA header. The functions reach the library plume::cuda through the backend that
// it registers when it is linked. In a build without it they throw a DeviceError that says what to
// do; is_available() and device_count() answer false and 0.

#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include "plume/core/device.hpp"

namespace plume::gpu {

/// CUDA itself reported a failure. The message names the last kernel launches, their grids and
/// sizes.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

struct DeviceInfo {
  std::string name;
  int major = 0, minor = 0;  ///< Compute capability.
  int multiprocessors = 0;
  std::size_t memory_bytes = 0;
  std::size_t free_bytes = 0;  ///< At the time of the call, for all processes together.
  std::size_t l2_bytes = 0;
  double memory_bandwidth = 0;  ///< Theoretical, bytes per second; 0 if unknown.
};

/// Of the pool that device tensors come from.
struct MemoryStatistics {
  std::size_t used = 0, peak_used = 0;          ///< By tensors and operations in flight.
  std::size_t reserved = 0, peak_reserved = 0;  ///< Taken from the device and kept for reuse.
  std::uint64_t allocations = 0;                ///< Since the start.
};

/// What plume::cuda registers. Programs use the functions below.
struct Runtime : DeviceBackend {
  virtual DeviceInfo info(int device) = 0;
  virtual MemoryStatistics memory(int device) = 0;
  virtual void reset_memory_peaks(int device) = 0;
  virtual void trim(int device) = 0;
  virtual void* create_stream(int device) = 0;
  virtual void destroy_stream(int device, void* stream) noexcept = 0;
  virtual void synchronize_stream(int device, void* stream) = 0;
  virtual void* current_stream(int device) = 0;
  virtual void* set_current_stream(int device, void* stream) = 0;
  virtual void allow_tf32(bool allow) = 0;
  virtual std::string recent_launches() = 0;
};

/// Throws DeviceError in a build without plume::cuda.
inline Runtime& runtime() {
  auto* runtime = dynamic_cast<Runtime*>(&device_backend(plume::cuda(0)));
  if (runtime == nullptr) fail<DeviceError>("cuda", "the backend of plume::cuda", "another one");
  return *runtime;
}

/// Is there a GPU that this program can use?
inline bool is_available() { return cuda_is_available(); }
inline int device_count() { return is_available() ? runtime().device_count() : 0; }
inline DeviceInfo device_info(int device = 0) { return runtime().info(device); }

/// Waits for all work on the device. Errors of earlier kernels appear here at the latest.
inline void synchronize(int device = 0) { runtime().synchronize(device); }

inline MemoryStatistics memory_statistics(int device = 0) { return runtime().memory(device); }
inline void reset_memory_peaks(int device = 0) { runtime().reset_memory_peaks(device); }
/// Gives memory that the pool keeps for reuse back to the device.
inline void trim_memory(int device = 0) { runtime().trim(device); }

/// float products may round their inputs to TF32: several times faster, three decimal digits. Off
/// at first.
inline void allow_tf32(bool allow) { runtime().allow_tf32(allow); }

/// The last 32 kernel launches with grids and sizes, one a line; what an Error also prints.
inline std::string recent_launches() { return runtime().recent_launches(); }

/// A queue of work of its own on a device. Work in one stream is ordered; two streams are not.
class Stream {
 public:
  explicit Stream(int device = 0) : device_(device), handle_(runtime().create_stream(device)) {}
  ~Stream() {
    if (handle_ != nullptr) runtime().destroy_stream(device_, handle_);
  }
  Stream(Stream&& other) noexcept
      : device_(other.device_), handle_(std::exchange(other.handle_, nullptr)) {}
  Stream& operator=(Stream&& other) noexcept {
    std::swap(device_, other.device_);
    std::swap(handle_, other.handle_);
    return *this;
  }

  void synchronize() { runtime().synchronize_stream(device_, handle_); }
  [[nodiscard]] int device() const noexcept { return device_; }
  /// A cudaStream_t, for code that includes CUDA.
  [[nodiscard]] void* native_handle() const noexcept { return handle_; }

 private:
  int device_;
  void* handle_;
};

/// While it lives, this thread's work for the stream's device goes to that stream. A tensor must
/// not be freed in one stream while another still uses it: synchronise first.
class StreamScope {
 public:
  explicit StreamScope(const Stream& stream)
      : device_(stream.device()),
        previous_(runtime().set_current_stream(device_, stream.native_handle())) {}
  ~StreamScope() { runtime().set_current_stream(device_, previous_); }
  StreamScope(const StreamScope&) = delete;
  StreamScope& operator=(const StreamScope&) = delete;

 private:
  int device_;
  void* previous_;
};

/// The cudaStream_t on which this thread's work for `device` goes.
inline void* current_stream(int device = 0) { return runtime().current_stream(device); }

}  // namespace plume::gpu
