#pragma once
// Ref<T>: a counted pointer to an object that carries its own count, made by make_ref in the memory pool.
//
// A std::shared_ptr would do the same; its inlined destructors were a fifth of the code, and of the
// compile time, of a small program.

#include <atomic>
#include <cstddef>
#include <type_traits>
#include <utility>

#include "plume/core/allocator.hpp"

namespace plume {

/// The base of what a Ref points to. Lives in the pool under MemoryTag::graph.
class Counted {
 public:
  Counted() = default;
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  virtual ~Counted() = default;

  static void* operator new(std::size_t bytes) {
    return cpu_memory().allocate(bytes, MemoryTag::graph);
  }
  static void operator delete(void* p, std::size_t bytes) noexcept {
    cpu_memory().deallocate(p, bytes, MemoryTag::graph);
  }

 private:
  template <class>
  friend class Ref;
  std::atomic<std::size_t> references_{0};
};

template <class T>
class Ref {
 public:
  Ref() = default;
  Ref(std::nullptr_t) noexcept {}
  explicit Ref(T* object) noexcept : object_(object) { retain(); }
  Ref(const Ref& other) noexcept : object_(other.object_) { retain(); }
  Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  template <class U>
  requires std::is_convertible_v<U*, T*> Ref(Ref<U> other)
  noexcept : object_(other.detach()) {}
  Ref& operator=(Ref other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Ref() {
    if (object_ != nullptr) release(object_);
  }

  [[nodiscard]] T* get() const noexcept { return object_; }
  T* operator->() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }
  [[nodiscard]] std::size_t use_count() const noexcept {
    return object_ == nullptr ? 0 : count(object_).load(std::memory_order_acquire);
  }
  /// Gives up the pointer without counting down.
  T* detach() noexcept { return std::exchange(object_, nullptr); }

  template <class U>
  friend bool operator==(const Ref& a, const Ref<U>& b) noexcept {
    return a.get() == b.get();
  }
  friend bool operator==(const Ref& a, std::nullptr_t) noexcept { return a.object_ == nullptr; }

 private:
  static std::atomic<std::size_t>& count(T* object) noexcept {
    return static_cast<Counted*>(object)->references_;
  }
  void retain() noexcept {
    if (object_ != nullptr) count(object_).fetch_add(1, std::memory_order_relaxed);
  }
  [[gnu::noinline]] static void release(T* object) noexcept {
    if (count(object).fetch_sub(1, std::memory_order_acq_rel) == 1) delete object;
  }

  T* object_ = nullptr;
};

template <class T, class... Args>
Ref<T> make_ref(Args&&... args) {
  return Ref<T>(new T(std::forward<Args>(args)...));
}

}  // namespace plume
