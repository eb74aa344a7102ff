#pragma once
// What an observer of memory accesses needs to know of the running kernel thread. The runtime keeps
// it up to date; the race checker (tests/kernels/races/) reads it from its hooks. Without a checker
// it costs a few stores.

#include <cstdint>
#include <string>

namespace plume::simt::detail {

struct ObservedThread {
  bool in_kernel = false;        // outside, accesses to device memory are the host's
  bool atomic = false;           // inside an atomic function
  unsigned thread = 0;           // linear, in its block
  std::uint64_t block = 0;       // linear, in its grid
  std::uint64_t launch = 0;      // counts launches: all of one is ordered before all of the next
  std::uint64_t block_run = 0;   // counts blocks that have run: shared memory is new in each
  std::uint64_t barriers = 0;    // that the block has passed
  std::uint64_t warp_syncs = 0;  // __syncwarp calls that the thread has passed
};
inline constinit thread_local ObservedThread observed{};

/// Filled by a checker: the first mistake it saw since the last call, or "".
using ReportFunction = std::string (*)();
inline constinit ReportFunction take_report = nullptr;

/// Around what the runtime itself does to device or shared memory while a kernel runs.
class NotObserved {
 public:
  NotObserved() noexcept : before_(observed.in_kernel) { observed.in_kernel = false; }
  ~NotObserved() { observed.in_kernel = before_; }
  NotObserved(const NotObserved&) = delete;
  NotObserved& operator=(const NotObserved&) = delete;

 private:
  bool before_;
};

}  // namespace plume::simt::detail
