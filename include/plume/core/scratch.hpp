#pragma once
// Short-lived working memory of a kernel: a stack of bytes per thread that is kept between calls,
// so that a kernel allocates nothing once it has run at its largest size.

#include <cstddef>
#include <new>
#include <type_traits>

#include "plume/core/dtype.hpp"

namespace plume {

namespace detail {

// Blocks never move while someone holds bytes of them. A closing frame replaces the blocks it
// leaves empty by one of their total size, so a loop that opens the same frames again finds
// everything in one block.
struct ScratchStack {
  static constexpr std::size_t alignment = 64;

  struct Block {
    Block* previous;
    std::size_t capacity;  // of the bytes that follow the header
    std::size_t used;
  };
  static_assert(sizeof(Block) <= alignment);

  Block* top = nullptr;
  int frames = 0;

  ScratchStack() = default;
  ScratchStack(const ScratchStack&) = delete;
  ScratchStack& operator=(const ScratchStack&) = delete;
  ~ScratchStack() { release(); }

  static char* bytes(Block* block) noexcept { return reinterpret_cast<char*>(block) + alignment; }

  void grow(std::size_t size) {
    const std::size_t at_least = std::size_t{1} << 16;
    const std::size_t capacity = size > at_least ? size : at_least;
    void* memory = ::operator new (alignment + capacity, std::align_val_t{alignment});
    top = ::new (memory) Block{top, capacity, 0};
  }
  void pop() noexcept {
    Block* previous = top->previous;
    ::operator delete (top, std::align_val_t{alignment});
    top = previous;
  }
  void release() noexcept {
    while (top != nullptr) pop();
  }
  void* take(std::size_t size) {
    size = (size + alignment - 1) / alignment * alignment;
    if (top == nullptr || top->capacity - top->used < size) grow(size);
    char* result = bytes(top) + top->used;
    top->used += size;
    return result;
  }
  // Closes the frame that was opened when `block` was on top with `used` bytes taken. Only the
  // outermost frame may replace that block itself: the others' openers remember it too.
  void close(Block* block, std::size_t used) noexcept {
    if (block != nullptr) block->used = used;
    Block* keep = --frames == 0 ? nullptr : block;
    if (top == keep) return;
    if (top->previous == keep) {
      top->used = 0;
      return;
    }
    std::size_t total = 0;
    for (; top != keep; pop()) total += top->capacity;
    try {
      grow(total);
    } catch (...) {  // the next frame asks for what it needs
    }
  }
};

inline ScratchStack& scratch_stack() noexcept {
  static thread_local ScratchStack stack;
  return stack;
}

}  // namespace detail

/// Arrays taken from a frame are valid until it closes. Frames nest as scopes do and stay on their
/// thread; other threads may use the memory while the frame is open. The content is whatever was
/// there.
class ScratchFrame {
 public:
  ScratchFrame() noexcept
      : stack_(detail::scratch_stack()),
        block_(stack_.top),
        used_(block_ != nullptr ? block_->used : 0) {
    ++stack_.frames;
  }
  ~ScratchFrame() { stack_.close(block_, used_); }
  ScratchFrame(const ScratchFrame&) = delete;
  ScratchFrame& operator=(const ScratchFrame&) = delete;

  /// `count` elements, aligned to a cache line.
  template <class T>
  T* array(index_t count) const {
    static_assert(std::is_trivially_destructible_v<T>);
    return static_cast<T*>(stack_.take(static_cast<std::size_t>(count) * sizeof(T)));
  }

 private:
  detail::ScratchStack& stack_;
  detail::ScratchStack::Block* block_;
  std::size_t used_;
};

/// Gives this thread's scratch memory back to the system; no frame may be open on the thread.
inline void release_scratch() noexcept { detail::scratch_stack().release(); }

}  // namespace plume
