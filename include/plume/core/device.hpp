#pragma once
// Device: where a tensor's bytes live. A run-time value, so that one model file runs on every device.
//
// Core knows no GPU: a GPU library registers a DeviceBackend when it is linked. Without one, asking for
// `cuda:0` throws a DeviceError that says what to do. This is the "stub" of a build without a GPU.

#include <atomic>
#include <cstddef>
#include <string>

#include "plume/core/error.hpp"

namespace plume {

struct Device {
  enum class Kind : unsigned char { cpu, cuda };
  Kind kind = Kind::cpu;
  int index = 0;

  [[nodiscard]] bool is_cpu() const noexcept { return kind == Kind::cpu; }
  friend bool operator==(Device a, Device b) noexcept {
    return a.kind == b.kind && (a.is_cpu() || a.index == b.index);
  }
  friend std::string to_string(Device d) { return d.is_cpu() ? "cpu" : cat("cuda:", d.index); }
};

inline constexpr Device cpu{};
constexpr Device cuda(int index = 0) { return Device{Device::Kind::cuda, index}; }

/// "cpu", "cuda" or "cuda:N" to a Device; throws ValueError for anything else.
inline Device parse_device(std::string_view text) {
  if (text == "cpu") return cpu;
  if (text == "cuda") return cuda(0);
  int index = 0;
  bool ok = text.size() > 5 && text.size() <= 8 && text.substr(0, 5) == "cuda:";
  for (const char c : ok ? text.substr(5) : std::string_view{}) {
    ok = ok && c >= '0' && c <= '9';
    index = index * 10 + (c - '0');
  }
  if (!ok) fail<ValueError>("device", "cpu, cuda or cuda:N", text);
  return cuda(index);
}

/// What a device must be able to do for core. Work is ordered: each call sees the effects of those
/// before it on the same device. Pointers are of that device unless the name says host.
struct DeviceBackend {
  virtual ~DeviceBackend() = default;
  virtual void* allocate(int device, std::size_t bytes) = 0;
  virtual void deallocate(int device, void* p, std::size_t bytes) noexcept = 0;
  virtual void copy_from_host(int device, void* to, const void* host, std::size_t bytes) = 0;
  virtual void copy_to_host(int device, void* host, const void* from, std::size_t bytes) = 0;
  virtual void copy(int device, void* to, const void* from, std::size_t bytes) = 0;
  virtual void set_zero(int device, void* to, std::size_t bytes) = 0;
  virtual void synchronize(int device) = 0;
  virtual int device_count() = 0;
};

/// The slot a GPU library fills when it is linked.
inline std::atomic<DeviceBackend*>& cuda_backend() noexcept {
  static std::atomic<DeviceBackend*> backend{nullptr};
  return backend;
}

inline bool cuda_is_available() {
  DeviceBackend* backend = cuda_backend().load();
  return backend != nullptr && backend->device_count() > 0;
}

/// The backend of a non-CPU device. Throws DeviceError where there is none.
inline DeviceBackend& device_backend(Device device) {
  DeviceBackend* backend = device.is_cpu() ? nullptr : cuda_backend().load();
  if (backend == nullptr) {
    fail<DeviceError>("device",
                      "a build of Plume with CUDA (cmake -DPLUME_CUDA=ON, link plume::cuda)",
                      cat("device ", device, " in a build without it"));
  }
  return *backend;
}

}  // namespace plume
