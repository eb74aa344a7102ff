#pragma once
// Writing results that are larger than the caches. An ordinary store first fetches the line it overwrites;
// a streaming store does not, which saves a third of the traffic of y = f(x). It also leaves nothing of
// the result in the cache, so it is for results of which little would be left there anyway. Their operands are
// fetched ahead: a processor prefetches within a page of 4 KiB and then starts again, and a loop that computes
// for as long as memory takes would wait for both in turn.

#include <cstring>

#include "plume/core/scratch.hpp"
#include "plume/core/vector.hpp"

namespace plume::kernel {

/// Results of at least this many bytes stream: with an operand of the same size they fill a usual third
/// cache.
inline constexpr index_t streaming_bytes = index_t{16} << 20;

template <class T>
constexpr bool streams(index_t elements) noexcept {
  return elements >= streaming_bytes / static_cast<index_t>(sizeof(T));
}

inline namespace PLUME_VECTOR_ABI {

/// to[i] = from[i] with streaming stores where the machine has them, within a parallel loop: its end is where
/// other threads see them (run_chunks in core/parallel.hpp).
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

/// Asks for elements [begin, end) of x to be brought into the cache. Always inline, like what calls it: g++ takes a
/// function that does nothing else for one without effect, and drops the call.
template <class T>
[[gnu::always_inline]] inline void fetch(const T* x, index_t begin, index_t end) noexcept {
  constexpr index_t line = 64 / sizeof(T);
  for (index_t i = begin; i < end; i += line) __builtin_prefetch(x + i);
}

/// Streams the n elements at y, piece by piece through a buffer: fetch_for(begin, end), then fill(to, begin, end).
template <class T, class F, class Fetch>
void stream_pieces(T* y, index_t n, F& fill, Fetch fetch_for) {
  constexpr index_t piece = 512 / sizeof(T);
  alignas(vector_bytes) T buffer[piece];
  for (index_t begin = 0; begin < n; begin += piece) {
    const index_t end = n - begin < piece ? n : begin + piece;
    fetch_for(begin, end);
    fill(buffer, begin, end);
    stream(buffer, y + begin, end - begin);
  }
}

/// fill(to, begin, end) writes elements [begin, end) of the n elements at y to to[0 .. end - begin):
/// straight there, or piece by piece into a buffer that is then streamed (see stream). operands: what it reads,
/// n elements each.
template <class T, class F, class... X>
void write_elements(T* y, index_t n, bool streaming, F&& fill, const X*... operands) {
  if (!streaming) {
    fill(y, index_t{0}, n);
    return;
  }
  constexpr index_t ahead = 4096 / sizeof(T);
  stream_pieces(
      y, n, fill, [=](index_t begin, index_t end) __attribute__((always_inline)) {
        if (end + ahead <= n) (fetch(operands, begin + ahead, end + ahead), ...);
      });
}

/// Rows [begin, end) of n elements; y is where row 0 belongs. prepare(r) does what must be done first, such as
/// sums over the row, and returns fill(to, begin, end), which writes elements [begin, end) of row r to
/// to[0 .. end - begin). operands: what it reads, row 0 of each.
template <class T, class Prepare, class... X>
void write_rows(T* y, index_t begin, index_t end, index_t n, bool streaming, Prepare&& prepare,
                const X*... operands) {
  for (index_t r = begin; r < end; ++r) {
    auto fill = prepare(r);
    if (!streaming) {
      fill(y + r * n, index_t{0}, n);
      continue;
    }
    const index_t next = (r + 1) * n;
    stream_pieces(
        y + r * n, n, fill, [=](index_t first, index_t last) __attribute__((always_inline)) {
          if (r + 1 < end) (fetch(operands, next + first, next + last), ...);
        });
  }
}

}  // namespace plume::kernel
