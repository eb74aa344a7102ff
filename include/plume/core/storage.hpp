#pragma once
// Storage: a run of bytes on one device, freed when its last tensor goes.

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "plume/core/device.hpp"
#include "plume/core/dry_run.hpp"
#include "plume/core/ref.hpp"

namespace plume {

class Storage final : public Counted {
 public:
  /// `bytes` uninitialised bytes on `device`, accounted under the current MemoryScope.
  Storage(std::size_t bytes, Device device)
      : bytes_(bytes), device_(device), tag_(detail::current_memory_tag) {
    if (DryRun::active() && device.is_cpu()) {
      owner_ = DryRun::innermost()->take(bytes, tag_);
      data_ = owner_.get();
      borrowed_ = true;
      return;
    }
    data_ = device.is_cpu() ? cpu_memory().allocate(bytes, tag_)
                            : device_backend(device).allocate(device.index, bytes);
  }
  /// Bytes that belong to `owner` (a mapped file, a user's buffer), on the CPU.
  Storage(void* data, std::size_t bytes, std::shared_ptr<void> owner)
      : data_(data), bytes_(bytes), owner_(std::move(owner)), borrowed_(true) {}
  ~Storage() override {
    if (borrowed_) return;
    if (device_.is_cpu()) {
      cpu_memory().deallocate(data_, bytes_, tag_);
    } else {
      device_backend(device_).deallocate(device_.index, data_, bytes_);
    }
  }

  [[nodiscard]] void* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  [[nodiscard]] Device device() const noexcept { return device_; }
  /// How often its numbers were changed in place; Tensor counts. Not counted: what is written through data().
  [[nodiscard]] std::uint32_t version() const noexcept {
    return version_.load(std::memory_order_relaxed);
  }
  void changed() noexcept {  // threads that change one storage at a time count at least once
    version_.store(version() + 1, std::memory_order_relaxed);
  }

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  Device device_;
  MemoryTag tag_ = MemoryTag::other;
  std::atomic<std::uint32_t> version_{0};
  std::shared_ptr<void> owner_;
  bool borrowed_ = false;
};

}  // namespace plume
