#pragma once
// MemoryPool: the CPU allocator behind every tensor and every graph node.
//
// Freed blocks are kept by size class and handed out again, so a training step after warm-up asks the
// system for nothing. Blocks are aligned to 64 bytes; those of 2 MiB and more are aligned to 2 MiB and
// offered to the kernel as huge pages. Every byte is accounted under the tag that was current when it
// was asked for.

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <mutex>
#include <new>
#include <string>
#include <string_view>

#ifdef __linux__
#include <sys/mman.h>  // madvise
#endif

#include "plume/core/error.hpp"

namespace plume {

/// What memory is for. The current tag is per thread; see MemoryScope.
enum class MemoryTag : unsigned char {
  other,
  parameters,
  gradients,
  activations,
  optimizer,
  graph,
  scratch,
  data
};
inline constexpr std::size_t memory_tag_count = 8;

constexpr std::string_view name(MemoryTag tag) noexcept {
  constexpr std::string_view names[] = {"other",     "parameters", "gradients", "activations",
                                        "optimizer", "graph",      "scratch",   "data"};
  return names[static_cast<std::size_t>(tag)];
}

namespace detail {
inline constinit thread_local MemoryTag current_memory_tag = MemoryTag::other;
}

/// While it lives, allocations of this thread are accounted under `tag`.
class MemoryScope {
 public:
  explicit MemoryScope(MemoryTag tag) noexcept : before_(detail::current_memory_tag) {
    detail::current_memory_tag = tag;
  }
  ~MemoryScope() { detail::current_memory_tag = before_; }
  MemoryScope(const MemoryScope&) = delete;
  MemoryScope& operator=(const MemoryScope&) = delete;

 private:
  MemoryTag before_;
};

/// Memory could not be had; the message lists what holds it, by tag.
struct OutOfMemory : std::bad_alloc {
  explicit OutOfMemory(std::string message) : message_(std::move(message)) {}
  [[nodiscard]] const char* what() const noexcept override { return message_.c_str(); }

 private:
  std::string message_;
};

class MemoryPool {
 public:
  struct TagStats {
    std::size_t current = 0;  ///< bytes in use now (as requested)
    std::size_t peak = 0;     ///< most bytes in use at once since reset_peak()
    std::size_t count = 0;    ///< allocations so far
  };
  struct Stats {
    std::array<TagStats, memory_tag_count> by_tag{};
    TagStats total;
    std::size_t cached = 0;        ///< bytes kept for reuse
    std::size_t system_calls = 0;  ///< times the system was asked for memory
    const TagStats& operator[](MemoryTag tag) const {
      return by_tag[static_cast<std::size_t>(tag)];
    }
  };

  /// At least `bytes` bytes, uninitialised. For 0 an address that holds nothing and is not null: an
  /// offset may be added to it. Throws OutOfMemory.
  [[gnu::noinline]] void* allocate(std::size_t bytes, MemoryTag tag) {
    if (bytes == 0) return nowhere();
    const int size_class = class_of(bytes);
    const std::lock_guard lock(mutex_);
    account(tag, bytes);
    FreeBlock*& list = free_[static_cast<std::size_t>(size_class)];
    if (list != nullptr) {
      void* p = list;
      list = list->next;
      stats_.cached -= class_size(size_class);
      return p;
    }
    void* p = from_system(class_size(size_class));
    if (p == nullptr) {
      trim_locked();
      p = from_system(class_size(size_class));
    }
    if (p == nullptr) {
      std::string report = cat("[memory] expected ", bytes, " more bytes, got none; in use:");
      unaccount(tag, bytes);
      for (std::size_t i = 0; i < memory_tag_count; ++i) {
        const std::size_t n = stats_.by_tag[i].current;
        if (n != 0) report += cat(" ", name(static_cast<MemoryTag>(i)), " ", n);
      }
      throw OutOfMemory(std::move(report));
    }
    return p;
  }

  /// Gives back what allocate(bytes, tag) returned.
  [[gnu::noinline]] void deallocate(void* p, std::size_t bytes, MemoryTag tag) noexcept {
    if (p == nullptr || bytes == 0) return;
    const int size_class = class_of(bytes);
    const std::lock_guard lock(mutex_);
    unaccount(tag, bytes);
    stats_.cached += class_size(size_class);
    FreeBlock*& list = free_[static_cast<std::size_t>(size_class)];
    list = ::new (p) FreeBlock{list};
  }

  /// Returns all cached blocks to the system.
  void trim() noexcept {
    const std::lock_guard lock(mutex_);
    trim_locked();
  }

  [[nodiscard]] Stats stats() const {
    const std::lock_guard lock(mutex_);
    return stats_;
  }
  /// Peaks start again from what is in use now.
  void reset_peak() noexcept {
    const std::lock_guard lock(mutex_);
    for (TagStats& tag : stats_.by_tag) tag.peak = tag.current;
    stats_.total.peak = stats_.total.current;
  }

 private:
  struct FreeBlock {
    FreeBlock* next;
  };
  static constexpr int steps_per_doubling = 4;  // at most a quarter of a block is slack
  static constexpr std::size_t huge = std::size_t{2} << 20;

  // In the page of the null pointer, so an access still ends the program. Aligned like a block.
  static void* nowhere() noexcept { return reinterpret_cast<void*>(std::uintptr_t{64}); }

  // Class 4e + s holds blocks of (4 + s) * 2^e * 16 bytes.
  static int class_of(std::size_t bytes) {
    constexpr std::size_t most = std::size_t{1} << 60;
    if (bytes > most) throw OutOfMemory(cat("[memory] expected at most 2^60 bytes, got ", bytes));
    const std::size_t units = (bytes < 64 ? 64 : bytes) - 1;
    const int exponent = static_cast<int>(std::bit_width(units)) - 7;
    const auto step = static_cast<int>((units >> (exponent + 4)) & 3U);
    return exponent * steps_per_doubling + step + 1;
  }
  static std::size_t class_size(int size_class) noexcept {
    const auto exponent = static_cast<unsigned>(size_class / steps_per_doubling);
    const auto step = static_cast<std::size_t>(size_class % steps_per_doubling);
    const std::size_t bytes = (4 + step) << (exponent + 4);
    return (bytes + 63) / 64 * 64;
  }

  void* from_system(std::size_t bytes) noexcept {
    ++stats_.system_calls;
    const std::size_t alignment = bytes >= huge ? huge : 64;
    void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
#ifdef __linux__
    if (p != nullptr && bytes >= huge) madvise(p, bytes, MADV_HUGEPAGE);
#endif
    return p;
  }
  void trim_locked() noexcept {
    for (FreeBlock*& list : free_) {
      while (list != nullptr) {
        FreeBlock* next = list->next;
        std::free(list);
        list = next;
      }
    }
    stats_.cached = 0;
  }
  void account(MemoryTag tag, std::size_t bytes) noexcept {
    for (TagStats* s : {&stats_.by_tag[static_cast<std::size_t>(tag)], &stats_.total}) {
      s->current += bytes;
      ++s->count;
      if (s->current > s->peak) s->peak = s->current;
    }
  }
  void unaccount(MemoryTag tag, std::size_t bytes) noexcept {
    stats_.by_tag[static_cast<std::size_t>(tag)].current -= bytes;
    stats_.total.current -= bytes;
  }

  mutable std::mutex mutex_;
  Stats stats_;
  std::array<FreeBlock*, 256> free_{};
};

/// The pool of the process. Never destroyed: tensors with static lifetime may outlive main.
inline MemoryPool& cpu_memory() {
  static MemoryPool& pool = *new MemoryPool;
  return pool;
}

/// Puts a standard container, or a shared object, into the pool under one tag.
template <class T>
struct PoolAllocator {
  using value_type = T;
  MemoryTag tag = MemoryTag::graph;

  PoolAllocator() = default;
  explicit PoolAllocator(MemoryTag t) noexcept : tag(t) {}
  template <class U>
  PoolAllocator(const PoolAllocator<U>& other) noexcept : tag(other.tag) {}

  T* allocate(std::size_t n) { return static_cast<T*>(cpu_memory().allocate(n * sizeof(T), tag)); }
  void deallocate(T* p, std::size_t n) noexcept { cpu_memory().deallocate(p, n * sizeof(T), tag); }
  friend bool operator==(const PoolAllocator& a, const PoolAllocator& b) noexcept {
    return a.tag == b.tag;
  }
};

}  // namespace plume
