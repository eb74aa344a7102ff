#pragma once
// Counter-based random numbers: Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
// SC 2011). Number i of stream s under a seed is a function of (seed, s, i) alone, so it is the same for
// every thread count, on every device, and after every restart.

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

#include "plume/core/tensor.hpp"

namespace plume {

/// One Philox4x32-10 block: four 32-bit words from a 128-bit counter and a 64-bit key.
inline std::array<std::uint32_t, 4> philox(std::uint64_t key, std::uint64_t counter_high,
                                           std::uint64_t counter_low) noexcept {
  std::uint32_t c0 = static_cast<std::uint32_t>(counter_low);
  std::uint32_t c1 = static_cast<std::uint32_t>(counter_low >> 32);
  std::uint32_t c2 = static_cast<std::uint32_t>(counter_high);
  std::uint32_t c3 = static_cast<std::uint32_t>(counter_high >> 32);
  std::uint32_t k0 = static_cast<std::uint32_t>(key);
  std::uint32_t k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c0;
    const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c2;
    c0 = static_cast<std::uint32_t>(p1 >> 32) ^ c1 ^ k0;
    c1 = static_cast<std::uint32_t>(p1);
    c2 = static_cast<std::uint32_t>(p0 >> 32) ^ c3 ^ k1;
    c3 = static_cast<std::uint32_t>(p0);
    k0 += 0x9E3779B9U;
    k1 += 0xBB67AE85U;
  }
  return {c0, c1, c2, c3};
}

/// Everything there is to save and restore of a Generator.
struct RandomState {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;  ///< the next stream to hand out
  friend bool operator==(const RandomState&, const RandomState&) = default;
};

/// Hands out streams, one per filled tensor. Cheap to copy; a copy repeats the original.
class Generator {
 public:
  explicit Generator(std::uint64_t seed = 0) noexcept : state_{seed, 0} {}
  [[nodiscard]] RandomState state() const noexcept { return state_; }
  void set_state(RandomState state) noexcept { state_ = state; }

  /// A stream nobody had before: numbers are philox(seed, stream, 0), philox(seed, stream, 1), ...
  std::uint64_t next_stream() noexcept { return state_.stream++; }
  [[nodiscard]] std::uint64_t seed() const noexcept { return state_.seed; }

  /// 64 random bits.
  std::uint64_t bits() noexcept {
    const auto w = philox(state_.seed, next_stream(), 0);
    return (static_cast<std::uint64_t>(w[1]) << 32) | w[0];
  }
  /// A number in [0, 1), 53 bits.
  double uniform() noexcept { return static_cast<double>(bits() >> 11) * 0x1p-53; }
  /// An integer in [0, n), n >= 1, each equally likely up to 2^-64 n.
  index_t below(index_t n) noexcept {
    __extension__ using wide = unsigned __int128;
    return static_cast<index_t>((static_cast<wide>(bits()) * static_cast<wide>(n)) >> 64);
  }

 private:
  RandomState state_;
};

/// The generator of this thread that ops use when given none. Starts from seed 0.
inline Generator& default_generator() {
  thread_local Generator generator;
  return generator;
}

/// While it lives, default_generator() of this thread draws what `generator` would, and `generator` goes on behind
/// what was drawn. Afterwards the default generator is where it was.
class RandomScope {
 public:
  explicit RandomScope(Generator& generator) noexcept
      : generator_(generator), outside_(default_generator().state()) {
    default_generator().set_state(generator.state());
  }
  ~RandomScope() {
    generator_.set_state(default_generator().state());
    default_generator().set_state(outside_);
  }
  RandomScope(const RandomScope&) = delete;
  RandomScope& operator=(const RandomScope&) = delete;

 private:
  Generator& generator_;
  RandomState outside_;
};

namespace detail {

/// A 32-bit word as a number in (0, 1): never 0, so that its logarithm is finite.
inline double open_unit(std::uint32_t word) noexcept {
  return (static_cast<double>(word) + 0.5) * 0x1p-32;
}

/// Calls f(i, word) for i in [0, n) with the words of one stream; parallel.
template <class F>
void for_each_word(std::uint64_t seed, std::uint64_t stream, index_t n, F f) {
  const index_t blocks = (n + 3) / 4;
  parallel_for(blocks, 64, [&](index_t begin, index_t end) {
    for (index_t block = begin; block < end; ++block) {
      const auto words = philox(seed, stream, static_cast<std::uint64_t>(block));
      const index_t last = std::min<index_t>(4, n - block * 4);
      for (index_t j = 0; j < last; ++j) f(block * 4 + j, words[static_cast<std::size_t>(j)]);
    }
  });
}

}  // namespace detail

/// Uniform in [low, high), on the CPU. Each number has 24 random bits.
template <Floating T>
Tensor<T> uniform(const Shape& shape, Generator& generator, double low = 0, double high = 1) {
  Tensor<T> out(shape);
  T* y = out.data();
  detail::for_each_word(
      generator.seed(), generator.next_stream(), out.numel(), [&](index_t i, std::uint32_t word) {
        const double u = static_cast<double>(word >> 8) * 0x1p-24;
        y[i] = static_cast<T>(static_cast<accumulate_t<T>>(low + u * (high - low)));
      });
  return out;
}

/// Normal with the given mean and standard deviation (Box-Muller), on the CPU.
template <Floating T>
Tensor<T> normal(const Shape& shape, Generator& generator, double mean = 0, double deviation = 1) {
  Tensor<T> out(shape);
  T* y = out.data();
  const index_t n = out.numel();
  const std::uint64_t seed = generator.seed();
  const std::uint64_t stream = generator.next_stream();
  parallel_for((n + 3) / 4, 200, [&](index_t begin, index_t end) {
    for (index_t block = begin; block < end; ++block) {
      const auto words = philox(seed, stream, static_cast<std::uint64_t>(block));
      for (index_t pair = 0; pair < 2; ++pair) {
        const auto w = static_cast<std::size_t>(pair * 2);
        const double radius = std::sqrt(-2 * std::log(detail::open_unit(words[w])));
        const double angle = 2 * std::numbers::pi * detail::open_unit(words[w + 1]);
        const std::array<double, 2> z{radius * std::cos(angle), radius * std::sin(angle)};
        for (index_t j = 0; j < 2; ++j) {
          const index_t i = block * 4 + pair * 2 + j;
          if (i >= n) continue;
          const double value = mean + deviation * z[static_cast<std::size_t>(j)];
          y[i] = static_cast<T>(static_cast<accumulate_t<T>>(value));
        }
      }
    }
  });
  return out;
}

}  // namespace plume
