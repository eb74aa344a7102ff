#pragma once
// dropout (Srivastava et al., JMLR 15, 2014), inverted: y_i = m_i x_i / (1 - p), m_i = 0 with probability p,
// else 1, so that E[y] = x and nothing needs scaling when p = 0.   dx_i = m_i dy_i / (1 - p)
//
// m_i is a function of (seed, stream, i), i the row-major index: backward computes it again, so nothing of the
// size of x is kept, and it is the same for every thread count, memory layout and device.

#include <cmath>
#include <utility>

#include "plume/autograd/var.hpp"
#include "plume/core/random.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo dropout_info{
    .name = "dropout", .formula = "y = m x / (1 - p), m = 0 with probability p, else 1"};

/// Which elements go: the stream of random words that decides, and the probability of going.
struct DropoutMask {
  std::uint64_t seed = 0;
  std::uint64_t stream = 0;
  double p = 0;

  /// Words below it drop their element.
  [[nodiscard]] std::uint32_t threshold() const noexcept {
    const double words = std::ceil(p * 0x1p32);
    return words < 0x1p32 ? static_cast<std::uint32_t>(words) : 0xffffffffU;
  }
};

namespace definition {
template <Floating T>
Tensor<T> dropout(const Tensor<T>& x, const DropoutMask& mask) {
  Tensor<T> y = x.clone();
  for (index_t i = 0; i < y.numel(); ++i) {
    const auto words = philox(mask.seed, mask.stream, static_cast<std::uint64_t>(i / 4));
    const double u = words[static_cast<std::size_t>(i % 4)] * 0x1p-32;
    const double v = static_cast<double>(y.data()[i]);
    y.data()[i] = static_cast<T>(static_cast<accumulate_t<T>>(u < mask.p ? 0 : v / (1 - mask.p)));
  }
  return y;
}
}  // namespace definition

namespace detail {

/// words[i] = word i of 16 blocks of a stream, from `block` on: what philox() gives for 16 counters, as vector
/// code. The ten rounds are written out so that the state stays in registers.
inline void philox_words(std::uint64_t key, std::uint64_t stream, std::uint64_t block,
                         std::uint32_t* words) noexcept {
  constexpr int lanes = 16;
  const auto k0 = static_cast<std::uint32_t>(key);
  const auto k1 = static_cast<std::uint32_t>(key >> 32);
  const auto high0 = static_cast<std::uint32_t>(stream);
  const auto high1 = static_cast<std::uint32_t>(stream >> 32);
  std::uint32_t out[4][lanes];
  PLUME_SIMD
  for (int j = 0; j < lanes; ++j) {
    constexpr std::uint64_t low = 0xffffffffU;
    const std::uint64_t counter = block + static_cast<std::uint64_t>(j);
    std::uint64_t c0 = counter & low;
    std::uint64_t c1 = counter >> 32;
    std::uint64_t c2 = high0;
    std::uint64_t c3 = high1;
    const auto round = [&](std::uint32_t r) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53U} * c0;
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57U} * c2;
      c0 = (p1 >> 32) ^ c1 ^ (k0 + r * 0x9E3779B9U);
      c2 = (p0 >> 32) ^ c3 ^ (k1 + r * 0xBB67AE85U);
      c1 = p1 & low;
      c3 = p0 & low;
    };
    [&]<std::uint32_t... R>(std::integer_sequence<std::uint32_t, R...>) { (round(R), ...); }
    (std::make_integer_sequence<std::uint32_t, 10>{});
    out[0][j] = static_cast<std::uint32_t>(c0);
    out[1][j] = static_cast<std::uint32_t>(c1);
    out[2][j] = static_cast<std::uint32_t>(c2);
    out[3][j] = static_cast<std::uint32_t>(c3);
  }
  for (int j = 0; j < lanes; ++j) {
    for (int w = 0; w < 4; ++w) words[4 * j + w] = out[w][j];
  }
}

inline void check_dropout(double p) {
  if (!(p >= 0 && p < 1)) fail<ValueError>("dropout", "a probability in [0, 1)", p);
}

}  // namespace detail

/// x with the elements of the mask dropped. Linear, so it is its own backward.
template <Floating T>
Tensor<T> dropout(const Tensor<T>& x, const DropoutMask& mask) {
  using A = accumulate_t<T>;
  detail::require_cpu("dropout", x);
  detail::check_dropout(mask.p);
  const Tensor<T> xc = x.contiguous();
  Tensor<T> y(x.shape());
  const T* px = xc.data();
  T* py = y.data();
  constexpr index_t group = 64;
  const index_t n = x.numel();
  const std::uint32_t threshold = mask.threshold();
  const A factor = static_cast<A>(1 / (1 - mask.p));
  parallel_for((n + group - 1) / group, 2 * group, [=](index_t first, index_t last) {
    std::uint32_t words[group];
    for (index_t g = first; g < last; ++g) {
      detail::philox_words(mask.seed, mask.stream, static_cast<std::uint64_t>(g * (group / 4)),
                           words);
      const index_t begin = g * group;
      const index_t count = std::min(group, n - begin);
      PLUME_SIMD
      for (index_t j = 0; j < count; ++j) {
        // Not a product with 0: an infinity that is dropped must be gone.
        const A v = static_cast<A>(px[begin + j]) * factor;
        py[begin + j] = static_cast<T>(words[j] < threshold ? A{0} : v);
      }
    }
  });
  return y;
}

/// Dropout with probability p in [0, 1) in training, x itself otherwise. Takes one stream of the generator.
template <Floating T>
Var<T> dropout(const Var<T>& x, double p, bool training = true,
               Generator& generator = default_generator()) {
  detail::check_dropout(p);
  detail::require_defined("dropout", x.value());
  if (!training || p == 0) return x;
  const DropoutMask mask{generator.seed(), generator.next_stream(), p};
  return record("dropout", dropout(x.value(), mask), inputs(x),
                [mask](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += dropout(dy, mask);
                });
}

}  // namespace plume
