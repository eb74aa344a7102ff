#pragma once
// Parallel loops, and the one place that decides their grain.
//
// A loop over n items is cut into chunks whose boundaries depend on n and on the cost of an item,
// never on the number of threads; threads claim chunks one by one. So a result that depends on the
// boundaries (a sum) is the same bits for 1 thread and for 64, and a thread that is delayed delays
// one chunk only.
//
// The threads are OpenMP's, where the compiler offers it. Between loops they spin, which is fast on
// an idle machine; where other programs want the cores too, every loop then waits for a thread that
// is not scheduled, and OMP_WAIT_POLICY=passive in the environment is up to a hundred times faster.

#include <atomic>
#include <exception>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>
#ifdef _OPENMP
#include <omp.h>
#endif

#include "plume/core/dry_run.hpp"
#include "plume/core/dtype.hpp"
#include "plume/core/scratch.hpp"

/// Before a loop whose iterations are independent: ask the compiler to vectorise it.
/// PLUME_SIMD_SUM(s) allows it to reorder the terms of `s += ...` as well.
#define PLUME_PRAGMA(...) _Pragma(#__VA_ARGS__)
#if defined(_OPENMP)
#define PLUME_SIMD PLUME_PRAGMA(omp simd)
#define PLUME_SIMD_SUM(...) PLUME_PRAGMA(omp simd reduction(+ : __VA_ARGS__))
#else
#define PLUME_SIMD
#define PLUME_SIMD_SUM(...)
#endif

namespace plume {

namespace detail {

inline std::atomic<int> requested_threads{0};  // 0: what OpenMP offers

// Above 0 while this thread runs a chunk, or holds a SerialScope: loops then run inline.
inline constinit thread_local int serial_depth = 0;

}  // namespace detail

/// Threads a parallel loop uses, the caller included.
inline int thread_count() noexcept {
#ifdef _OPENMP
  const int requested = detail::requested_threads.load(std::memory_order_relaxed);
  if (requested > 0) return requested;
  const int offered = omp_get_max_threads();
  return offered > 0 ? offered : 1;
#else
  return 1;
#endif
}

/// For the whole process; 0 gives the choice back to OpenMP (OMP_NUM_THREADS, else every core).
inline void set_thread_count(int n) noexcept {
  detail::requested_threads.store(n > 0 ? n : 0, std::memory_order_relaxed);
}

/// While one lives, loops started by this thread run inline (the results are the same bits). For
/// threads that are themselves the parallelism: data loaders, ranks in one process.
class SerialScope {
 public:
  SerialScope() noexcept { ++detail::serial_depth; }
  ~SerialScope() { --detail::serial_depth; }
  SerialScope(const SerialScope&) = delete;
  SerialScope& operator=(const SerialScope&) = delete;
};

/// How many threads a loop started here would get: 1 inside a chunk or a SerialScope.
inline int available_threads() noexcept { return detail::serial_depth > 0 ? 1 : thread_count(); }

namespace detail {

inline constexpr index_t chunk_ns =
    32768;  // long against a fork (2 to 5 us), short against a time slice
inline constexpr index_t max_chunks = 4096;

inline index_t chunk_size(index_t n, index_t cost_ns) noexcept {
  const index_t by_cost = chunk_ns / (cost_ns > 1 ? cost_ns : 1);
  const index_t by_count = (n + max_chunks - 1) / max_chunks;
  const index_t size = by_cost > by_count ? by_cost : by_count;
  return size > 1 ? size : 1;
}

// What this thread wrote by streaming stores (core/streaming.hpp) becomes visible to others before what it
// writes next.
inline void order_streamed_stores() noexcept {
#if defined(__x86_64__)
  __asm__ volatile("sfence" ::: "memory");
#endif
}

// Calls call(state, c) for c in [0, chunks). Chunks are claimed in order, so when several throw,
// the exception of the first one is the one that arrives, as in a serial loop. Not a template:
// OpenMP is compiled once.
inline void run_chunks(index_t chunks, void (*call)(void*, index_t), void* state) {
  if (chunks > 1 && DryRun::active()) return;
#ifdef _OPENMP
  if (chunks > 1 && available_threads() > 1) {
    std::atomic<index_t> next{0};
    std::exception_ptr error;
    index_t failed = chunks;
    // Always the full team: libgomp ends the threads that a smaller team leaves out.
#pragma omp parallel num_threads(thread_count())
    {
      const SerialScope inside;
      for (index_t c = 0; (c = next.fetch_add(1, std::memory_order_relaxed)) < chunks;) {
        try {
          call(state, c);
        } catch (...) {
          next.store(chunks, std::memory_order_relaxed);
#pragma omp critical(plume_run_chunks)
          if (c < failed) {
            failed = c;
            error = std::current_exception();
          }
        }
      }
      order_streamed_stores();
    }
    if (error) std::rethrow_exception(error);
    return;
  }
#endif
  for (index_t c = 0; c < chunks; ++c) call(state, c);
  order_streamed_stores();
}

}  // namespace detail

/// Calls f(i) once for every i in [0, n), each worth a chunk of its own; for callers that cut the
/// work themselves.
template <class F>
void parallel_tasks(index_t n, F&& f) {
  detail::run_chunks(
      n, [](void* state, index_t i) { (*static_cast<std::remove_reference_t<F>*>(state))(i); },
      const_cast<void*>(static_cast<const void*>(std::addressof(f))));
}

/// Calls f(begin, end) on consecutive ranges that cover [0, n). cost_ns: what one item costs one
/// core, in nanoseconds, roughly (1 for adding two floats). A loop worth less than a chunk runs
/// inline; so does one inside a chunk. A DryRun skips those that are worth more. Exceptions reach
/// the caller. Capture scalars by value: captured by reference they are reloaded at every store.
template <class F>
void parallel_for(index_t n, index_t cost_ns, F&& f) {
  if (n <= 0) return;
  const index_t size = detail::chunk_size(n, cost_ns);
  parallel_tasks((n + size - 1) / size, [&f, n, size](index_t c) {
    const index_t begin = c * size;
    f(begin, n - begin < size ? n : begin + size);
  });
}

/// combine(... combine(combine(identity, map(chunk 0)), map(chunk 1)) ...), where map(begin, end)
/// -> R: the chunks in order, whatever thread computed them. R is a number or a small struct of them.
template <class R, class Map, class Combine>
R parallel_reduce(index_t n, index_t cost_ns, R identity, Map&& map, Combine&& combine) {
  static_assert(std::is_trivially_copyable_v<R>, "the partial results lie in scratch memory");
  if (n <= 0) return identity;
  const index_t size = detail::chunk_size(n, cost_ns);
  const index_t chunks = (n + size - 1) / size;
  if (chunks == 1) return combine(identity, map(index_t{0}, n));
  if (DryRun::active()) return identity;
  const ScratchFrame frame;
  R* const partial = frame.array<R>(chunks);
  parallel_tasks(chunks, [&map, partial, n, size](index_t c) {
    const index_t begin = c * size;
    ::new (partial + c) R(map(begin, n - begin < size ? n : begin + size));
  });
  R result = identity;
  for (index_t c = 0; c < chunks; ++c) result = combine(result, partial[c]);
  return result;
}

}  // namespace plume
