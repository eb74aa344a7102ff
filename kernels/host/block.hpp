#pragma once
// One block at a time: its threads as fibres, __syncthreads, and the report when they disagree.
//
// Threads run one after another, each until it waits or returns, in the order of a ready list;
// whoever completes a barrier refills the list. With a seed the next thread is drawn at random, and
// blocks come in another order too: a kernel that needs a barrier it does not have gives another
// result. When nobody is ready and somebody still waits, the barrier is divergent and the error
// says who waits where.

#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fiber.hpp"
#include "memory.hpp"
#include "observed.hpp"
#include "types.hpp"

// What a kernel reads. constinit: without it every access would pass through an initialisation
// guard.
inline constinit thread_local uint3 threadIdx{};
inline constinit thread_local uint3 blockIdx{};
inline constinit thread_local dim3 blockDim{};
inline constinit thread_local dim3 gridDim{};
inline constexpr int warpSize = 32;

namespace plume::simt {

/// How kernels run. One per OS thread: `options().seed = 3;`.
struct Options {
  /// 0: threads and blocks in order. Odd: any ready thread may be next. Even: a warp runs as far as
  /// it gets, and is overtaken by nobody; that is what shows a missing barrier between warps.
  std::uint64_t seed = 0;
  bool check_pointers = true;  ///< Launches accept only device pointers.
};
inline Options& options() {
  static thread_local Options value;
  return value;
}

namespace detail {

enum class Wait : std::uint8_t { no, barrier, warp, returned };

struct Thread {
  Context context;
  Stack stack;
  uint3 index{};
  unsigned linear = 0;
  Wait wait = Wait::no;
  const char* what = "";  // the function it waits in, and where it was called
  const char* file = "";
  int line = 0;
  std::uint64_t result = 0;  // of its last warp operation
  std::uint64_t warp_syncs = 0;
};

/// A warp operation that some lanes have entered.
struct Rendezvous {
  std::uint32_t mask = 0;
  std::uint32_t arrived = 0;
  bool vote = false;  // result = ballot of the values; otherwise the value of lane source[lane]
  const char* what = "";
  const char* file = "";
  int line = 0;
  int source[32]{};
  std::uint64_t value[32]{};
};

/// splitmix64: a small generator for orders.
inline std::uint64_t next_random(std::uint64_t& state) {
  std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
  return z ^ (z >> 31);
}
class Block {
 public:
  SharedMemory shared;

  /// Runs one block; `body(argument)` is the kernel with its arguments bound. Throws Error, or what
  /// the kernel threw.
  void run(dim3 dims, std::size_t shared_bytes, void (*body)(void*), void* argument,
           std::uint64_t seed, bool stay_in_warp) {
    start(dims, shared_bytes);
    body_ = body;
    argument_ = argument;
    random_ = seed;
    stay_in_warp_ = stay_in_warp;
    last_warp_ = (count_ + 31) / 32;  // none
    make_all_ready();
    running() = this;
    observed.in_kernel = true;
    switch_from(launcher_);
    observed.in_kernel = false;
    running() = nullptr;

    if (returned_ < count_) {  // some stacks hold the frames of an unfinished kernel
      const std::exception_ptr error = std::exchange(error_, nullptr);
      const std::string waits = describe();
      for (auto& t : threads_) prepare(t->context, t->stack, &Block::fiber_main);
      if (error != nullptr) std::rethrow_exception(error);
      throw Error("divergent synchronisation: " + waits);
    }
    const std::string report = take_report != nullptr ? take_report() : std::string();
    if (!report.empty()) throw Error(report);
    const std::string overrun = shared.check();
    if (!overrun.empty()) throw Error(overrun);
  }

  /// The block that the calling fibre belongs to.
  static Block*& running() {
    static constinit thread_local Block* block = nullptr;
    return block;
  }

  Thread& current() noexcept { return *current_; }

  /// Waits for all threads of the block; returns how many of them brought `predicate` == true.
  unsigned barrier(const char* what, const char* file, int line, bool predicate = false) {
    wait_at(Wait::barrier, what, file, line);
    votes_ += predicate ? 1U : 0U;
    if (++waiting_ == count_) {
      const Thread& first = *threads_[0];
      for (unsigned i = 1; i < count_; ++i) {
        if (threads_[i]->line != first.line || std::string_view(threads_[i]->file) != first.file) {
          throw Error("different barriers in one block: " + describe());
        }
      }
      vote_result_ = votes_;
      waiting_ = votes_ = 0;
      ++observed.barriers;
      make_all_ready();
    }
    switch_from(current_->context);
    return vote_result_;
  }

  /// The current thread has passed a __syncwarp.
  void passed_warp_sync() noexcept { observed.warp_syncs = ++current_->warp_syncs; }

  /// Meets the other lanes of `mask`. Shuffles give the source lane, votes a value of 0 or 1.
  std::uint64_t warp(const char* what, std::uint32_t mask, std::uint64_t value, int source,
                     bool vote, const char* file, int line);

 private:
  static void fiber_main() {
    entered_fiber(&running()->launcher_);
    running()->show_current();
    for (;;) {
      Block& block = *running();
      bool failed = false;
      try {
        block.body_(block.argument_);
        block.retire();
      } catch (...) {
        block.error_ = std::current_exception();
        failed = true;
      }
      if (failed) {
        switch_context(block.current_->context, block.launcher_);
      } else {
        block.switch_from(block.current_->context);
      }
    }
  }

  void start(dim3 dims, std::size_t shared_bytes) {
    count_ = dims.x * dims.y * dims.z;
    while (threads_.size() < count_) {
      threads_.push_back(std::make_unique<Thread>());
      prepare(threads_.back()->context, threads_.back()->stack, &Block::fiber_main);
    }
    returned_ = waiting_ = votes_ = 0;
    error_ = nullptr;
    observed.block = (std::uint64_t{blockIdx.z} * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    observed.barriers = 0;
    ++observed.block_run;
    shared.start(shared_bytes);
    warps_.resize((count_ + 31) / 32);
    for (auto& warp : warps_) warp.clear();
    for (unsigned i = 0; i < count_; ++i) {
      threads_[i]->index = {i % dims.x, i / dims.x % dims.y, i / dims.x / dims.y};
      threads_[i]->linear = i;
      threads_[i]->warp_syncs = 0;
    }
  }

  void show_current() const noexcept {
    threadIdx = current_->index;
    observed.thread = current_->linear;
    observed.warp_syncs = current_->warp_syncs;
  }

  /// The current thread is at the end of the kernel.
  void retire() {
    Thread& self = *current_;
    self.wait = Wait::returned;
    ++returned_;
    const unsigned warp = self.linear / 32;
    std::erase_if(warps_[warp], [&](Rendezvous& r) { return complete(r, warp); });
  }

  void wait_at(Wait wait, const char* what, const char* file, int line) {
    Thread& self = *current_;
    self.wait = wait;
    self.what = what;
    self.file = file;
    self.line = line;
  }

  // The ready list is a ring: a thread is in it at most once, so it never outgrows the block.
  void make_ready(unsigned thread) {
    threads_[thread]->wait = Wait::no;
    ready_[(head_ + ready_count_++) % count_] = thread;
  }
  void make_all_ready() {
    ready_.resize(count_);
    head_ = ready_count_ = 0;
    for (unsigned i = 0; i < count_; ++i) make_ready(i);
  }
  Thread* pop_ready() {
    if (random_ != 0) {
      std::size_t other = (head_ + next_random(random_) % ready_count_) % count_;
      for (unsigned i = 0; stay_in_warp_ && i < ready_count_; ++i) {
        const std::size_t candidate = (head_ + i) % count_;
        if (ready_[candidate] / 32 == last_warp_) {
          other = candidate;
          break;
        }
      }
      std::swap(ready_[head_], ready_[other]);
      last_warp_ = ready_[head_] / 32;
    }
    Thread* thread = threads_[ready_[head_]].get();
    head_ = (head_ + 1) % count_;
    --ready_count_;
    return thread;
  }

  /// Leaves the flow of control `self` for the next ready thread, or for the launcher if there is
  /// none.
  void switch_from(Context& self) {
    Context* to = &launcher_;
    if (ready_count_ > 0) {
      current_ = pop_ready();
      to = &current_->context;
    }
    if (to == &self) return;  // the last to arrive is also the next to go
    switch_context(self, *to);
    if (&self != &launcher_) show_current();
  }

  /// If every lane of the mask that still runs has arrived: gives each its result, makes it ready.
  bool complete(Rendezvous& r, unsigned warp);

  /// "threads 0-31 wait in __syncthreads at a.cuh:12; threads 32-63 have returned".
  [[nodiscard]] std::string describe() const {
    std::string text;
    std::vector<bool> told(count_, false);
    for (unsigned i = 0; i < count_; ++i) {
      if (told[i]) continue;
      const Thread& a = *threads_[i];
      const auto same = [&](const Thread& b) {
        return a.wait == b.wait && (a.wait == Wait::returned || a.wait == Wait::no ||
                                    (a.line == b.line && std::string_view(a.file) == b.file));
      };
      text += text.empty() ? "threads " : "; threads ";
      unsigned ranges = 0;
      for (unsigned j = i; j < count_; ++j) {
        if (told[j] || !same(*threads_[j])) continue;
        unsigned end = j;
        while (end < count_ && !told[end] && same(*threads_[end])) told[end++] = true;
        if (ranges < 8) text += (ranges != 0 ? "," : "") + std::to_string(j);
        if (ranges < 8 && end > j + 1) text += "-" + std::to_string(end - 1);
        if (ranges == 8) text += ",...";
        ++ranges;
        j = end - 1;
      }
      text += state_of(a);
    }
    return text;
  }
  static std::string state_of(const Thread& t) {
    if (t.wait == Wait::returned) return " have returned";
    if (t.wait == Wait::no) return " still run";
    return std::string(" wait in ") + t.what + " at " + t.file + ":" + std::to_string(t.line);
  }

  std::vector<std::unique_ptr<Thread>> threads_;  // kept for ever: stacks are dear
  std::vector<std::vector<Rendezvous>> warps_;
  std::vector<unsigned> ready_;
  std::size_t head_ = 0, ready_count_ = 0;
  Thread* current_ = nullptr;
  Context launcher_;
  void (*body_)(void*) = nullptr;
  void* argument_ = nullptr;
  unsigned count_ = 0, returned_ = 0, waiting_ = 0, votes_ = 0, vote_result_ = 0;
  unsigned last_warp_ = 0;
  bool stay_in_warp_ = false;
  std::uint64_t random_ = 0;
  std::exception_ptr error_;
};

/// The block of a fibre; an error if called outside a kernel.
inline Block& this_block() {
  Block* block = Block::running();
  if (block == nullptr) throw Error("[simt] a device function was called outside a kernel launch");
  return *block;
}

}  // namespace detail
}  // namespace plume::simt
