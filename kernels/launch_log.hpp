#pragma once
// The last kernel launches of the process. A CUDA error is often reported by a later call than the
// one that caused it; the log is what its message prints, so that one can see what ran. Plain C++.

#include <array>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>

namespace plume::kernels {

/// A launch was refused, or a kernel failed.
struct LaunchError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A size worth reading in an error message: {"rows", 128}. The name must outlive the process.
struct NamedSize {
  const char* name;
  std::int64_t value;
};

struct LaunchRecord {
  static constexpr int max_sizes = 6;
  std::uint64_t number = 0;  // counts from 1
  const char* kernel = "";
  std::array<unsigned, 3> grid{}, block{};
  std::size_t shared_bytes = 0;
  std::array<NamedSize, max_sizes> sizes{};
  int size_count = 0;

  LaunchRecord() = default;
  LaunchRecord(const char* name, std::array<unsigned, 3> grid_, std::array<unsigned, 3> block_,
               std::size_t shared, std::initializer_list<NamedSize> named)
      : kernel(name), grid(grid_), block(block_), shared_bytes(shared) {
    for (const NamedSize& size : named) {
      if (size_count < max_sizes) sizes[static_cast<std::size_t>(size_count++)] = size;
    }
  }

  /// "layer_norm_forward(N = 7, D = 1024) grid 1x1x1 block 256x1x1 shared 0"
  [[nodiscard]] std::string text() const {
    const auto triple = [](const std::array<unsigned, 3>& d) {
      return std::to_string(d[0]) + "x" + std::to_string(d[1]) + "x" + std::to_string(d[2]);
    };
    std::string out = kernel;
    for (int i = 0; i < size_count; ++i) {
      const NamedSize& size = sizes[static_cast<std::size_t>(i)];
      out.append(i == 0 ? "(" : ", ")
          .append(size.name)
          .append(" = ")
          .append(std::to_string(size.value));
    }
    if (size_count > 0) out.append(")");
    out.append(" grid ").append(triple(grid)).append(" block ").append(triple(block));
    return out.append(" shared ").append(std::to_string(shared_bytes));
  }
};

class LaunchLog {
 public:
  static constexpr std::size_t capacity = 32;

  void add(const LaunchRecord& record) {
    const std::lock_guard lock(mutex_);
    LaunchRecord& slot = records_[count_ % capacity];
    slot = record;
    slot.number = ++count_;
  }
  [[nodiscard]] std::uint64_t count() const {
    const std::lock_guard lock(mutex_);
    return count_;
  }
  /// One launch a line, the latest last; "" if there was none.
  [[nodiscard]] std::string text() const {
    const std::lock_guard lock(mutex_);
    std::string out;
    for (std::uint64_t i = count_ > capacity ? count_ - capacity : 0; i < count_; ++i) {
      const LaunchRecord& record = records_[i % capacity];
      out.append("\n  #").append(std::to_string(record.number)).append(" ").append(record.text());
    }
    return out;
  }

 private:
  mutable std::mutex mutex_;
  std::array<LaunchRecord, capacity> records_{};
  std::uint64_t count_ = 0;
};

inline LaunchLog& launch_log() {
  static LaunchLog log;
  return log;
}

/// True if PLUME_CUDA_SYNC=1: every launch waits for its kernel, so that errors name the guilty
/// one.
inline bool synchronize_every_launch() {
  static const bool value = [] {
    const char* text = std::getenv("PLUME_CUDA_SYNC");
    return text != nullptr && std::string_view(text) != "" && std::string_view(text) != "0";
  }();
  return value;
}

/// What to say about a CUDA error seen at `what`.
inline std::string error_text(std::string_view what, std::string_view cuda_error) {
  std::string text = "[";
  text.append(what).append("] CUDA error: ").append(cuda_error);
  const std::string launches = launch_log().text();
  if (launches.empty()) return text;
  text.append("\nlast launches (an error may stem from an earlier one");
  text.append(synchronize_every_launch() ? "):" : "; PLUME_CUDA_SYNC=1 tells which):");
  return text.append(launches);
}

}  // namespace plume::kernels
