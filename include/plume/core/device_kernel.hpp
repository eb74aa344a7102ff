#pragma once
// DeviceKernel: a named place where a GPU library puts its implementation of an op.
//
// An op's header declares the slot and calls it when its operands are not on the CPU. The slot is empty
// until plume::cuda is linked; calling an empty one throws. So op headers include nothing of CUDA, and
// the table of which ops have a device path is read off the slots.

#include <atomic>
#include <string_view>

#include "plume/core/error.hpp"

namespace plume {

template <class Signature>
class DeviceKernel;

template <class... Args>
class DeviceKernel<void(Args...)> {
 public:
  using Function = void (*)(Args...);
  explicit constexpr DeviceKernel(const char* name) noexcept : name_(name) {}

  void set(Function function) noexcept { function_.store(function); }
  [[nodiscard]] bool available() const noexcept { return function_.load() != nullptr; }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }

  /// Runs the kernel; throws DeviceError where this build has none.
  void operator()(Args... args) const {
    const Function function = function_.load();
    if (function == nullptr) {
      fail<DeviceError>(name_, "a device kernel (build with -DPLUME_CUDA=ON and link plume::cuda)",
                        "none for this op and scalar type in this build");
    }
    function(args...);
  }

 private:
  const char* name_;
  std::atomic<Function> function_{nullptr};
};

}  // namespace plume
