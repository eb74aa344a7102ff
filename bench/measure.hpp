#pragma once
// Timing one contender, and knowing whether the machine was quiet meanwhile.

#include <algorithm>
#include <map>

#include "bench/ceilings.hpp"
#include "bench/peers.hpp"
#include "bench/row.hpp"

namespace plume::bench {

/// Plume and the peers use this many threads.
class ThreadScope {
 public:
  explicit ThreadScope(int threads) {
    set_thread_count(threads);
    set_peer_threads(threads);
  }
  ~ThreadScope() { set_thread_count(0); }
  ThreadScope(const ThreadScope&) = delete;
  ThreadScope& operator=(const ThreadScope&) = delete;
};

struct Machine {
  CeilingProbe probe;
  std::map<int, Ceilings> ceilings;  ///< by thread count

  [[nodiscard]] static double ceiling(const Work& work, const Ceilings& c) {
    return work.computes() ? c.fma : c.memory();
  }
  /// A quick look at the ceiling of this kind of work: 1 where nobody else uses the machine.
  double quiet(const Work& work, int threads) {
    const Ceilings& c = ceilings.at(threads);
    if (work.computes()) return probe.fma(threads, 0.01, 1) / c.fma;
    return probe.stream(threads, 0.02, 1) / c.stream;
  }
};

inline double time_once(const Contender& contender) {
  const double begin = now();
  contender.run();
  return now() - begin;
}

inline double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// Most bytes that tensors held at once during one run from the inputs, above what was held before.
inline double peak_bytes(const Contender& contender) {
  const std::size_t before = cpu_memory().stats().total.current;
  cpu_memory().reset_peak();
  contender.once();
  return static_cast<double>(cpu_memory().stats().total.peak - before);
}

}  // namespace plume::bench
