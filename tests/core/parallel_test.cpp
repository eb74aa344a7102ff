#include "plume/core/parallel.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <limits>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

using namespace plume;

namespace {

// The thread count that was set before the test, again.
struct Threads {
  explicit Threads(int n) { set_thread_count(n); }
  ~Threads() { set_thread_count(0); }
};

std::set<std::pair<index_t, index_t>> ranges(index_t n, index_t cost_ns) {
  std::set<std::pair<index_t, index_t>> seen;
  std::mutex mutex;
  parallel_for(n, cost_ns, [&](index_t begin, index_t end) {
    const std::lock_guard lock(mutex);
    CHECK(seen.emplace(begin, end).second);
  });
  return seen;
}

}  // namespace

TEST_CASE("parallel_for covers every item once, in the same chunks for every thread count") {
  for (const index_t n : {0, 1, 2, 31, 32, 33, 1000, 100001}) {
    for (const index_t cost : {0, 1, 100, 32768, 1000000}) {
      CAPTURE(n);
      CAPTURE(cost);
      std::set<std::pair<index_t, index_t>> expected;
      for (const int threads : {1, 2, 3}) {
        const Threads scope(threads);
        const auto seen = ranges(n, cost);
        index_t next = 0;
        for (const auto& [begin, end] : seen) {
          CHECK(begin == next);
          CHECK(begin < end);
          next = end;
        }
        CHECK(next == n);
        if (threads == 1) expected = seen;
        CHECK(seen == expected);
      }
    }
  }
}

TEST_CASE("small loops are one chunk; the number of chunks is bounded") {
  CHECK(ranges(1000, 1).size() == 1);
  CHECK(ranges(1000, 32768).size() == 1000);
  CHECK(ranges(1000000, 32768).size() <= 4096);
}

TEST_CASE("the first exception of a parallel loop arrives, and the loop works afterwards") {
  for (const int threads : {1, 2, 3}) {
    const Threads scope(threads);
    for (int repeat = 0; repeat < 20; ++repeat) {
      std::string got;
      try {
        parallel_tasks(200, [](index_t i) {
          if (i >= 37) throw std::runtime_error(std::to_string(i));
        });
      } catch (const std::runtime_error& e) {
        got = e.what();
      }
      CHECK(got == "37");
    }
    std::atomic<index_t> sum{0};
    parallel_tasks(100, [&](index_t i) { sum += i; });
    CHECK(sum == 4950);
  }
}

TEST_CASE("a loop inside a chunk, or under a SerialScope, runs inline") {
  const Threads scope(3);
  parallel_tasks(8, [](index_t) {
    if (available_threads() != 1) throw std::logic_error("not inline");
    index_t next = 0;
    parallel_tasks(100, [&](index_t i) {
      if (i != next++) throw std::logic_error("out of order");
    });
  });
  const SerialScope serial;
  CHECK(available_threads() == 1);
  index_t next = 0;
  parallel_tasks(100, [&](index_t i) { CHECK(i == next++); });
}

TEST_CASE("set_thread_count") {
  const int offered = thread_count();
  CHECK(offered >= 1);
  {
    const Threads scope(3);
#ifdef _OPENMP
    CHECK(thread_count() == 3);
#else
    CHECK(thread_count() == 1);
#endif
  }
  CHECK(thread_count() == offered);
}

TEST_CASE("parallel_reduce gives the same bits for every thread count") {
  std::vector<float> x(300007);
  unsigned state = 1;
  for (auto& v : x) {
    state = state * 1664525U + 1013904223U;
    v = static_cast<float>(state >> 8) / 16777216.0F - 0.3F;
  }
  const auto sum = [&] {
    return parallel_reduce(
        static_cast<index_t>(x.size()), 1, 0.0F,
        [&](index_t begin, index_t end) {
          float s = 0.0F;
          for (index_t i = begin; i < end; ++i) s += x[static_cast<std::size_t>(i)];
          return s;
        },
        [](float a, float b) { return a + b; });
  };
  double exact = 0.0;
  for (const float v : x) exact += static_cast<double>(v);
  float first = 0.0F;
  for (const int threads : {1, 2, 3}) {
    const Threads scope(threads);
    for (int repeat = 0; repeat < 10; ++repeat) {
      const float got = sum();
      if (threads == 1 && repeat == 0) first = got;
      CHECK(got == first);
    }
  }
  CHECK(static_cast<double>(first) == doctest::Approx(exact).epsilon(1e-4));
  CHECK(parallel_reduce(
            0, 1, 7.0F, [](index_t, index_t) { return 1.0F; },
            [](float a, float b) { return a + b; }) == 7.0F);
}
