#pragma once
// DryRun: running code for what it would ask of memory, without the memory and without the work.
//
// While one lives, on its thread:
//   - storage on the CPU is what `take` returns, which must read as zeros;
//   - parallel loops of more than one chunk, and matrix products, are skipped. Shorter loops run, so that the few
//     numbers that decide what is done next (ids, counts) are there.
//
// So the same code makes the same requests in the same order; the numbers mean nothing. Tensors made under it may
// outlive it. Those that were there before may be written to: give what matters as stand-ins. Who counts what is
// asked for: train/memory_count.hpp.

#include <memory>

#include "plume/core/allocator.hpp"

namespace plume {

class DryRun {
 public:
  /// Whether this thread is under one.
  static bool active() noexcept { return current != nullptr; }
  /// The innermost of this thread, or null.
  static DryRun* innermost() noexcept { return current; }

  /// `bytes` bytes that read as zeros; giving up the pointer frees them. Throws OutOfMemory.
  [[nodiscard]] virtual std::shared_ptr<void> take(std::size_t bytes, MemoryTag tag) = 0;

  DryRun(const DryRun&) = delete;
  DryRun& operator=(const DryRun&) = delete;

 protected:
  DryRun() noexcept : before_(current) { current = this; }
  ~DryRun() { current = before_; }

 private:
  static inline constinit thread_local DryRun* current = nullptr;
  DryRun* before_;
};

}  // namespace plume
