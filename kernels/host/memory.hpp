#pragma once
// Device memory and shared memory of the host world, made to show mistakes:
//   * every byte starts as 0xff, which reads as NaN in all floating types and as -1 in integers;
//   * each piece has exactly the size asked for, between guards that are checked when a block or a
//     launch ends; a guard also reads as NaN, so an out-of-bounds read does not go unnoticed
//     either;
//   * a launch accepts only pointers into device memory (a host pointer is an error, as on a GPU).
// Under AddressSanitizer the guards are poisoned as well, which names the very line.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

#include "fiber.hpp"
#include "observed.hpp"

namespace plume::simt {

/// A mistake in a kernel or in its launch.
struct Error : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {

inline constexpr std::size_t guard_bytes = 256;
inline constexpr unsigned char blank = 0xff;

inline void poison([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t bytes) {
#if PLUME_SIMT_ASAN
  __asan_poison_memory_region(p, bytes);
#endif
}
inline void unpoison([[maybe_unused]] const void* p, [[maybe_unused]] std::size_t bytes) {
#if PLUME_SIMT_ASAN
  __asan_unpoison_memory_region(p, bytes);
#endif
}

/// "" if the guards around [p, p + bytes) are whole, otherwise what was overwritten.
inline std::string broken_guard(const unsigned char* p, std::size_t bytes) {
  std::string message;
  unpoison(p - guard_bytes, guard_bytes);
  unpoison(p + bytes, guard_bytes);
  for (std::size_t i = 0; i < guard_bytes && message.empty(); ++i) {
    const auto before = -1 - static_cast<std::ptrdiff_t>(i);
    if (p[before] != blank) message = "wrote at byte " + std::to_string(before) + " of ";
    if (p[bytes + i] != blank) message = "wrote at byte " + std::to_string(bytes + i) + " of ";
  }
  poison(p - guard_bytes, guard_bytes);
  poison(p + bytes, guard_bytes);
  return message;
}

/// All live device allocations of the process, by address. Not for concurrent use.
class DeviceMemory {
 public:
  struct Piece {
    std::size_t bytes;
    std::unique_ptr<unsigned char[]> owner;
  };

  void* allocate(std::size_t bytes) {
    const std::size_t alignment = 256;  // as cudaMalloc
    auto owner = std::make_unique<unsigned char[]>(bytes + 2 * guard_bytes + alignment);
    std::memset(owner.get(), blank, bytes + 2 * guard_bytes + alignment);
    const auto start = reinterpret_cast<std::uintptr_t>(owner.get()) + guard_bytes;
    auto* p = owner.get() + guard_bytes + (alignment - start % alignment) % alignment;
    poison(p - guard_bytes, guard_bytes);
    poison(p + bytes, guard_bytes);
    pieces_[p] = Piece{bytes, std::move(owner)};
    return p;
  }

  /// Throws Error for a pointer that allocate() did not return, and for broken guards.
  void release(void* p) {
    if (p == nullptr) return;
    const auto it = pieces_.find(static_cast<unsigned char*>(p));
    if (it == pieces_.end())
      throw Error("[simt] free of a pointer that is not a device allocation");
    const std::string broken = broken_guard(it->first, it->second.bytes);
    const std::size_t bytes = it->second.bytes;
    unpoison(it->first - guard_bytes, bytes + 2 * guard_bytes);
    pieces_.erase(it);
    if (!broken.empty()) {
      throw Error("[simt] a kernel " + broken + "a device allocation of " + std::to_string(bytes) +
                  " bytes");
    }
  }

  /// The allocation that holds `p` (its end included), or null.
  [[nodiscard]] const std::pair<unsigned char* const, Piece>* find(const void* p) const {
    auto* key = static_cast<unsigned char*>(const_cast<void*>(p));
    auto it = pieces_.upper_bound(key);
    if (it == pieces_.begin()) return nullptr;
    --it;
    return key <= it->first + it->second.bytes ? &*it : nullptr;
  }

  /// The allocation that `p` lies in or in whose guards it lies, or null.
  [[nodiscard]] const std::pair<unsigned char* const, Piece>* near(const void* p) const {
    auto* byte = static_cast<unsigned char*>(const_cast<void*>(p));
    auto it = pieces_.upper_bound(byte + guard_bytes);
    if (it == pieces_.begin()) return nullptr;
    --it;
    return byte < it->first + it->second.bytes + guard_bytes ? &*it : nullptr;
  }

  [[nodiscard]] std::size_t live() const noexcept { return pieces_.size(); }

 private:
  std::map<unsigned char*, Piece> pieces_;
};

inline DeviceMemory& device_memory() {
  static DeviceMemory memory;
  return memory;
}

/// The shared memory of the running block: one dynamic piece and one per PLUME_SHARED declaration.
class SharedMemory {
 public:
  static constexpr std::size_t limit = 227 * 1024;  // what one block may have on the largest GPU

  /// Starts a block: nothing declared yet, `dynamic_bytes` of dynamic shared memory.
  void start(std::size_t dynamic_bytes) {
    pieces_.clear();
    used_ = 0;
    total_ = 0;
    static const char dynamic_key = 0;
    if (buffer_.empty()) buffer_.resize(2 * limit);
    dynamic_ = declare(&dynamic_key, dynamic_bytes, "dynamic shared memory");
  }

  [[nodiscard]] unsigned char* dynamic() const noexcept { return dynamic_; }

  /// The piece of the declaration identified by `key`; the block's first thread there creates it.
  unsigned char* declare(const void* key, std::size_t bytes, const char* name) {
    for (const Piece& piece : pieces_) {
      if (piece.key == key) return piece.data;
    }
    const NotObserved scope;
    total_ += bytes;
    const std::size_t start = (used_ + guard_bytes + 127) / 128 * 128;
    if (total_ > limit || start + bytes + guard_bytes > buffer_.size()) {
      throw Error("[simt] a block may have " + std::to_string(limit) + " bytes of shared memory; " +
                  name + " brings it to " + std::to_string(total_));
    }
    unpoison(buffer_.data() + used_, start + bytes + guard_bytes - used_);
    std::memset(buffer_.data() + used_, blank, start + bytes + guard_bytes - used_);
    unsigned char* data = buffer_.data() + start;
    poison(data - guard_bytes, guard_bytes);
    poison(data + bytes, guard_bytes);
    used_ = start + bytes + guard_bytes;
    pieces_.push_back({key, data, bytes, name});
    return data;
  }

  struct Piece {
    const void* key;
    unsigned char* data;
    std::size_t bytes;
    const char* name;
  };
  [[nodiscard]] const std::vector<Piece>& pieces() const noexcept { return pieces_; }
  /// Is `p` in the memory that pieces are cut from?
  [[nodiscard]] bool contains(const void* p) const noexcept {
    const auto* byte = static_cast<const unsigned char*>(p);
    return byte >= buffer_.data() && byte < buffer_.data() + buffer_.size();
  }

  /// "" or which piece was overrun.
  [[nodiscard]] std::string check() const {
    for (const Piece& piece : pieces_) {
      const std::string broken = broken_guard(piece.data, piece.bytes);
      if (!broken.empty())
        return broken + piece.name + " (" + std::to_string(piece.bytes) + " bytes)";
    }
    return {};
  }

 private:
  std::vector<unsigned char> buffer_;
  std::vector<Piece> pieces_;
  std::size_t used_ = 0;
  std::size_t total_ = 0;
  unsigned char* dynamic_ = nullptr;
};

}  // namespace detail
}  // namespace plume::simt
