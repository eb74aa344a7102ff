#pragma once
// What this machine can do at best, measured in the program whose rows are held against it: multiply-adds
// from registers, and memory traffic from each level. Nothing here uses Plume's loops or kernels.

#include <chrono>
#include <ctime>
#include <thread>
#include <utility>
#include <vector>

#include "plume/core/tensor.hpp"

#if defined(__x86_64__) && defined(__AVX__)
#include <immintrin.h>
#endif

namespace plume::bench {

/// Seconds on the clock that everything here is timed with: of the wall, or with --cpu-time the processor
/// time of the calling thread, which on a machine with other work leaves their turns out.
inline bool use_cpu_time = false;
inline double now() noexcept {
  if (use_cpu_time) {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double>(time).count();
}

/// GFLOP/s and GB/s (1e9) of one thread count.
struct Ceilings {
  double fma = 0;     ///< float multiply-adds, counted as two
  double triad = 0;   ///< a[i] = b[i] + s c[i], three arrays past the cache, 3N counted
  double stream = 0;  ///< the same with stores that go around the cache
  double l2 = 0;      ///< reading an array that fits the second cache
  double l3 = 0;      ///< the third
  double read = 0;    ///< reading from memory

  /// What a memory-bound row is held against: the better triad.
  [[nodiscard]] double memory() const { return triad > stream ? triad : stream; }
};

namespace detail {

#if defined(__AVX512F__)
inline constexpr std::size_t lane_bytes = 64;
#elif defined(__AVX__)
inline constexpr std::size_t lane_bytes = 32;
#else
inline constexpr std::size_t lane_bytes = 16;
#endif
typedef float Lanes __attribute__((vector_size(lane_bytes), aligned(4), may_alias));
inline constexpr index_t lane_count = static_cast<index_t>(lane_bytes / sizeof(float));

inline void keep(Lanes& value) noexcept {  // the compiler must assume that it was read and changed
#if defined(__x86_64__)
  __asm__ volatile("" : "+x"(value));
#else
  __asm__ volatile("" : : "g"(&value) : "memory");
#endif
}

/// Flops of one call.
inline double fma_burst() {
  constexpr int chains = 12;  // latency times throughput of any current core, within its registers
  constexpr int steps = 4000;
  const Lanes m = Lanes{} + 0.999999F;
  const Lanes c = Lanes{} + 1e-6F;
  Lanes a0 = c, a1 = c, a2 = c, a3 = c, a4 = c, a5 = c;
  Lanes b0 = c, b1 = c, b2 = c, b3 = c, b4 = c, b5 = c;
  // Equal to us, different values to the compiler.
  for (Lanes* chain : {&a0, &a1, &a2, &a3, &a4, &a5, &b0, &b1, &b2, &b3, &b4, &b5}) keep(*chain);
  for (int i = 0; i < steps; ++i) {
    a0 = a0 * m + c, a1 = a1 * m + c, a2 = a2 * m + c;
    a3 = a3 * m + c, a4 = a4 * m + c, a5 = a5 * m + c;
    b0 = b0 * m + c, b1 = b1 * m + c, b2 = b2 * m + c;
    b3 = b3 * m + c, b4 = b4 * m + c, b5 = b5 * m + c;
  }
  Lanes sum = ((a0 + a1) + (a2 + a3)) + ((a4 + a5) + (b0 + b1)) + ((b2 + b3) + (b4 + b5));
  keep(sum);
  return 2.0 * chains * steps * static_cast<double>(lane_count);
}

inline void triad(float* a, const float* b, const float* c, index_t n) {
  for (index_t i = 0; i + lane_count <= n; i += lane_count) {
    *reinterpret_cast<Lanes*>(a + i) =
        *reinterpret_cast<const Lanes*>(b + i) + 3.0F * *reinterpret_cast<const Lanes*>(c + i);
  }
}

inline void stream_triad(float* a, const float* b, const float* c, index_t n) {
  for (index_t i = 0; i + lane_count <= n; i += lane_count) {
    const Lanes v =
        *reinterpret_cast<const Lanes*>(b + i) + 3.0F * *reinterpret_cast<const Lanes*>(c + i);
#if defined(__AVX512F__)
    _mm512_stream_ps(a + i, reinterpret_cast<const __m512&>(v));
#elif defined(__x86_64__) && defined(__AVX__)
    _mm256_stream_ps(a + i, reinterpret_cast<const __m256&>(v));
#else
    *reinterpret_cast<Lanes*>(a + i) = v;
#endif
  }
}

inline void read(const float* a, index_t n) {
  Lanes s0{}, s1{}, s2{}, s3{};
  for (index_t i = 0; i + 4 * lane_count <= n; i += 4 * lane_count) {
    const auto* p = reinterpret_cast<const Lanes*>(a + i);
    s0 += p[0], s1 += p[1], s2 += p[2], s3 += p[3];
  }
  s0 = (s0 + s1) + (s2 + s3);
  keep(s0);
}

/// `threads` threads call burst(thread), which returns the work it did, until `seconds` are over; work
/// per second of them all, the best of `windows`.
template <class Burst>
double best_rate(int threads, double seconds, int windows, Burst burst) {
  double best = 0;
  for (int window = 0; window < windows; ++window) {
    std::atomic<int> ready{0};
    std::vector<double> rate(static_cast<std::size_t>(threads));
    const auto work = [&](int thread) {
      burst(thread);
      ready.fetch_add(1);
      while (ready.load() < threads) std::this_thread::yield();
      const double begin = now();
      double done = 0;
      double elapsed = 0;
      while (elapsed < seconds) {
        done += burst(thread);
        elapsed = now() - begin;
      }
      rate[static_cast<std::size_t>(thread)] = done / elapsed;
    };
    std::vector<std::thread> others;
    for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
    work(0);
    for (std::thread& other : others) other.join();
    double sum = 0;
    for (const double r : rate) sum += r;
    best = sum > best ? sum : best;
  }
  return best * 1e-9;
}

}  // namespace detail

/// Measures; keeps the arrays (3 x 64 MiB) for the next time.
class CeilingProbe {
 public:
  CeilingProbe()
      : a_(Shape{size}), b_(full<float>(Shape{size}, 1)), c_(full<float>(Shape{size}, 2)) {
    a_.fill(0);
  }

  [[nodiscard]] double fma(int threads, double seconds = 0.05, int windows = 4) const {
    return detail::best_rate(threads, seconds, windows, [](int) { return detail::fma_burst(); });
  }
  double triad(int threads, double seconds = 0.1, int windows = 4) {
    return over_arrays(threads, seconds, windows, 3, detail::triad);
  }
  double stream(int threads, double seconds = 0.1, int windows = 4) {
    return over_arrays(threads, seconds, windows, 3, detail::stream_triad);
  }
  double read(int threads, index_t bytes, double seconds = 0.05, int windows = 4) {
    const index_t n = bytes / static_cast<index_t>(sizeof(float));
    float* a = a_.data();
    return detail::best_rate(threads, seconds, windows, [=](int thread) {
      const index_t part =
          n < size ? n : size / threads;  // caches: every thread an array of its own
      detail::read(a + thread * part, part);
      return static_cast<double>(part) * sizeof(float);
    });
  }
  Ceilings all(int threads) {
    return {fma(threads),
            triad(threads),
            stream(threads),
            read(threads, 256 << 10),
            read(threads, (16 << 20) / threads),
            read(threads, static_cast<index_t>(size * sizeof(float)))};
  }

 private:
  static constexpr index_t size = 16 << 20;  // elements

  template <class F>
  double over_arrays(int threads, double seconds, int windows, int streams, F f) {
    float* a = a_.data();
    const float* b = b_.data();
    const float* c = c_.data();
    return detail::best_rate(threads, seconds, windows, [=](int thread) {
      const index_t part = size / threads;
      f(a + thread * part, b + thread * part, c + thread * part, part);
      return static_cast<double>(part) * sizeof(float) * streams;
    });
  }

  Tensor<float> a_, b_, c_;
};

}  // namespace plume::bench
