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

/// words[i] = word i of 16 blocks of a stream, from `block` on: what philox() gives for 16 counters, several at a
/// time. A word is the lower half of an element; what the upper one holds does not matter.
inline void philox_words(std::uint64_t key, std::uint64_t stream, std::uint64_t block,
                         std::uint32_t* words) noexcept {
  using kernel::Words64;
  constexpr std::uint64_t lanes = sizeof(Words64) / sizeof(std::uint64_t), vectors = 16 / lanes;
  constexpr std::uint64_t lower = 0xffffffffU;
  const Words64 m0 = Words64{} + 0xD2511F53U, m1 = Words64{} + 0xCD9E8D57U;
  static constexpr auto places = [] {
    std::array<std::uint64_t, 16> p{};
    for (std::size_t j = 0; j < 16; ++j) p[j] = j;
    return p;
  }();
  Words64 c0[vectors], c1[vectors], c2[vectors], c3[vectors];
  for (std::uint64_t v = 0; v < vectors; ++v) {
    std::memcpy(&c0[v], places.data() + v * lanes, sizeof(Words64));
    c0[v] += block;
    c1[v] = c0[v] >> 32;
    c2[v] = Words64{} + stream;
    c3[v] = Words64{} + (stream >> 32);
  }
  auto k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round, k0 += 0x9E3779B9U, k1 += 0xBB67AE85U) {
    for (std::uint64_t v = 0; v < vectors; ++v) {
      const Words64 p0 = kernel::multiply_lower(c0[v], m0), p1 = kernel::multiply_lower(c2[v], m1);
      c0[v] = (p1 >> 32) ^ c1[v] ^ k0;
      c2[v] = (p0 >> 32) ^ c3[v] ^ k1;
      c1[v] = p1;
      c3[v] = p0;
    }
  }
  for (std::uint64_t v = 0; v < vectors; ++v) {
    const Words64 a = (c0[v] & lower) | (c1[v] << 32), b = (c2[v] & lower) | (c3[v] << 32);
    std::uint64_t pairs[2 * lanes];
    for (std::uint64_t j = 0; j < lanes; ++j) {
      pairs[2 * j] = a[j];
      pairs[2 * j + 1] = b[j];
    }
    std::memcpy(words + 4 * lanes * v, pairs, sizeof pairs);
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
  const bool streaming = kernel::streams<T>(n);
  parallel_for((n + group - 1) / group, group, [=](index_t first, index_t last) {
    const index_t start = first * group;
    const T* in = px + start;
    kernel::write_elements(
        py + start, std::min(n, last * group) - start, streaming,
        [=](T* to, index_t begin, index_t end) {  // begin is a multiple of group
          std::uint32_t words[group];
          for (index_t i = begin; i < end; i += group) {
            detail::philox_words(mask.seed, mask.stream,
                                 static_cast<std::uint64_t>((start + i) / 4), words);
            const index_t count = std::min(group, end - i);
            PLUME_SIMD
            for (index_t j = 0; j < count; ++j) {
              // Not a product with 0: an infinity that is dropped must be gone.
              const A v = static_cast<A>(in[i + j]) * factor;
              to[i - begin + j] = static_cast<T>(words[j] < threshold ? A{0} : v);
            }
          }
        },
        in);
  });
  return y;
}

/// Dropout with probability p in [0, 1) in training, x itself otherwise. Takes one stream of the generator. A module
/// passes its training().
template <Floating T>
Var<T> dropout(const Var<T>& x, double p, bool training = !EvaluationMode::active(),
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
