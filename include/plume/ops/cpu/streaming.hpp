#pragma once
// Writing results that are larger than the caches. An ordinary store first fetches the line it overwrites;
// a streaming store does not, which saves a third of the traffic of y = f(x). It also leaves nothing of
// the result in the cache, so it is for results of which little would be left there anyway.

#include <cstring>

#include "plume/core/scratch.hpp"
#include "plume/ops/cpu/vector.hpp"

namespace plume::kernel {

/// Results of at least this many bytes stream: with an operand of the same size they fill a usual third
/// cache.
inline constexpr index_t streaming_bytes = index_t{16} << 20;

template <class T>
constexpr bool streams(index_t elements) noexcept {
  return elements >= streaming_bytes / static_cast<index_t>(sizeof(T));
}

inline namespace PLUME_VECTOR_ABI {

/// to[i] = from[i] with streaming stores where the machine has them. streams_end() comes after the last.
template <class T>
void stream(const T* from, T* to, index_t n) noexcept {
#if defined(__x86_64__)
  auto* p = reinterpret_cast<char*>(to);
  const auto* x = reinterpret_cast<const char*>(from);
  std::size_t bytes = static_cast<std::size_t>(n) * sizeof(T);
  const std::size_t ahead = (0 - reinterpret_cast<std::uintptr_t>(p)) % vector_bytes;
  const std::size_t head = ahead < bytes ? ahead : bytes;
  std::memcpy(p, x, head);
  for (p += head, x += head, bytes -= head; bytes >= vector_bytes; bytes -= vector_bytes) {
    Vector<float> v;
    std::memcpy(&v, x, sizeof v);
#if defined(__AVX__)
    __asm__("vmovntps %1, %0" : "=m"(*reinterpret_cast<Vector<float>*>(p)) : "v"(v));
#else
    __asm__("movntps %1, %0" : "=m"(*reinterpret_cast<Vector<float>*>(p)) : "x"(v));
#endif
    p += vector_bytes, x += vector_bytes;
  }
  std::memcpy(p, x, bytes);
#else
  std::memcpy(to, from, static_cast<std::size_t>(n) * sizeof(T));
#endif
}

}  // namespace PLUME_VECTOR_ABI

/// Streamed elements become visible to other threads in the order of ordinary stores again.
inline void streams_end() noexcept {
#if defined(__x86_64__)
  __asm__ volatile("sfence" ::: "memory");
#endif
}

/// fill(to, begin, end) writes elements [begin, end) of the n elements at y to to[0 .. end - begin):
/// straight there, or piece by piece into a buffer that is then streamed.
template <class T, class F>
void write_elements(T* y, index_t n, bool streaming, F&& fill) {
  if (!streaming) {
    fill(y, index_t{0}, n);
    return;
  }
  constexpr index_t piece = 4096 / sizeof(T);
  const ScratchFrame frame;
  T* buffer = frame.array<T>(piece);
  for (index_t begin = 0; begin < n; begin += piece) {
    const index_t end = n - begin < piece ? n : begin + piece;
    fill(buffer, begin, end);
    stream(buffer, y + begin, end - begin);
  }
  streams_end();
}

/// row(r, to) writes row r of n elements to `to`, for r in [begin, end); y is where row 0 belongs. A row may
/// be read again while it is written.
template <class T, class Row>
void write_rows(T* y, index_t begin, index_t end, index_t n, bool streaming, Row&& row) {
  if (!streaming) {
    for (index_t r = begin; r < end; ++r) row(r, y + r * n);
    return;
  }
  const ScratchFrame frame;
  T* buffer = frame.array<T>(n);
  for (index_t r = begin; r < end; ++r) {
    row(r, buffer);
    stream(buffer, y + r * n, n);
  }
  streams_end();
}

}  // namespace plume::kernel
