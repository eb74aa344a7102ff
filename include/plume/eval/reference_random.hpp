#pragma once
// The random numbers of the reference's evaluation, bit for bit, so that under one seed the same samples are asked
// with the same demonstrations. All three libraries use MT19937 (Matsumoto and Nishimura, 1998) in ways of their own:
//
//   numpy   seed s as such;            choice without replacement: the beginning of a shuffle with masked rejection
//   Python  seed s through an array;   sample and shuffle by rejection from the highest bits
//   torch   seed s as such;            randperm by remainders

#include <cmath>
#include <cstdint>
#include <numeric>
#include <random>
#include <unordered_set>
#include <utility>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume::eval {

namespace detail {

/// MT19937's state from a key of 32-bit words (`init_by_array`), in the form of a standard seed sequence.
class ArraySeed {
 public:
  using result_type = std::uint32_t;
  explicit ArraySeed(std::uint64_t seed) {
    key_.push_back(static_cast<std::uint32_t>(seed));
    if (seed >> 32 != 0) key_.push_back(static_cast<std::uint32_t>(seed >> 32));
  }
  template <class Iterator>
  void generate(Iterator begin, Iterator end) const {
    const auto n = static_cast<std::size_t>(end - begin);
    std::vector<std::uint32_t> x(n);
    x[0] = 19650218;
    for (std::size_t i = 1; i < n; ++i)
      x[i] = 1812433253U * mixed(x[i - 1]) + static_cast<std::uint32_t>(i);
    std::size_t i = 1, j = 0;
    const auto forward = [&] {
      if (++i >= n) {
        x[0] = x[n - 1];
        i = 1;
      }
    };
    for (std::size_t k = std::max(n, key_.size()); k > 0; --k) {
      x[i] = (x[i] ^ mixed(x[i - 1]) * 1664525U) + key_[j] + static_cast<std::uint32_t>(j);
      forward();
      if (++j >= key_.size()) j = 0;
    }
    for (std::size_t k = n - 1; k > 0; --k) {
      x[i] = (x[i] ^ mixed(x[i - 1]) * 1566083941U) - static_cast<std::uint32_t>(i);
      forward();
    }
    x[0] = 0x80000000U;
    std::copy(x.begin(), x.end(), begin);
  }

 private:
  static std::uint32_t mixed(std::uint32_t x) { return x ^ x >> 30; }
  std::vector<std::uint32_t> key_;
};

inline std::vector<index_t> counted(index_t n) {
  std::vector<index_t> out(static_cast<std::size_t>(n));
  std::iota(out.begin(), out.end(), index_t{0});
  return out;
}

inline void check_draw(const char* op, index_t n, index_t k) {
  if (n < 0 || k < 0 || k > n || n > INT64_C(0x7fffffff))
    fail<ValueError>(op, cat("0 to ", n, " of ", n), k);
}

}  // namespace detail

/// numpy.random.seed and the legacy numpy.random.choice.
class NumpyRandom {
 public:
  explicit NumpyRandom(std::uint32_t seed) : bits_(seed) {}

  /// k of 0 .. n - 1, each at most once, in random order. Throws ValueError unless 0 <= k <= n.
  std::vector<index_t> choice(index_t n, index_t k) {
    detail::check_draw("NumpyRandom::choice", n, k);
    std::vector<index_t> out = detail::counted(n);
    for (std::size_t i = out.size(); i-- > 1;)
      std::swap(out[i], out[at_most(static_cast<std::uint32_t>(i))]);
    out.resize(static_cast<std::size_t>(k));
    return out;
  }

 private:
  std::uint32_t at_most(std::uint32_t highest) {
    std::uint32_t mask = highest;
    for (const int shift : {1, 2, 4, 8, 16}) mask |= mask >> shift;
    for (;;) {
      const auto value = static_cast<std::uint32_t>(bits_()) & mask;
      if (value <= highest) return value;
    }
  }
  std::mt19937 bits_;
};

/// random.seed, random.sample and random.shuffle of Python 3.
class PythonRandom {
 public:
  explicit PythonRandom(std::uint64_t seed) {
    detail::ArraySeed sequence(seed);
    bits_.seed(sequence);
  }

  /// k of 0 .. n - 1, each at most once, in random order. Throws ValueError unless 0 <= k <= n.
  std::vector<index_t> sample(index_t n, index_t k) {
    detail::check_draw("PythonRandom::sample", n, k);
    index_t small = 21;
    if (k > 5)
      small += index_t{1} << 2 * static_cast<int>(std::ceil(std::log(static_cast<double>(k * 3)) /
                                                            std::log(4.0)));
    std::vector<index_t> out;
    if (n <= small) {
      std::vector<index_t> pool = detail::counted(n);
      for (index_t i = 0; i < k; ++i) {
        index_t& taken = pool[static_cast<std::size_t>(below(n - i))];
        out.push_back(taken);
        taken = pool[static_cast<std::size_t>(n - i - 1)];
      }
    } else {
      std::unordered_set<index_t> seen;
      while (std::ssize(out) < k) {
        const index_t next = below(n);
        if (seen.insert(next).second) out.push_back(next);
      }
    }
    return out;
  }
  template <class X>
  void shuffle(std::vector<X>& x) {
    for (std::size_t i = x.size(); i-- > 1;)
      std::swap(x[i], x[static_cast<std::size_t>(below(static_cast<index_t>(i) + 1))]);
  }

 private:
  index_t below(index_t n) {
    int width = 0;
    while (n >> width != 0) ++width;
    for (;;) {
      const auto value = static_cast<index_t>(static_cast<std::uint32_t>(bits_()) >> (32 - width));
      if (value < n) return value;
    }
  }
  std::mt19937 bits_;
};

/// torch.randperm(n) on the CPU, of a generator with this seed.
inline std::vector<index_t> torch_permutation(index_t n, std::uint32_t seed) {
  detail::check_draw("torch_permutation", n, n);
  std::mt19937 bits(seed);
  std::vector<index_t> out = detail::counted(n);
  for (std::size_t i = 0; i + 1 < out.size(); ++i)
    std::swap(out[i], out[i + static_cast<std::size_t>(bits()) % (out.size() - i)]);
  return out;
}

}  // namespace plume::eval
