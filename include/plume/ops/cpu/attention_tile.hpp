#pragma once
// What the two passes of fused attention share: how a tile of scores is laid out and computed.
//
// A tile is kept transposed: one row per key, one vector lane per query. Everything softmax does
// (largest score, sum, rescaling) is then element by element across rows, without a sum inside a
// vector, and a tile of probabilities is already laid out as the right operand of the next matrix
// product.
//
//   scores[s][lane] = sum_c k[s][c] q[t0 + lane][c]     packed K is the left operand, packed Q the right

#include <cmath>
#include <limits>

#include "plume/ops/cpu/attention_product.hpp"
#include "plume/ops/cpu/gemm_blocked.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

/// One head of attention: q [queries, size], k and v [keys, size]; rows have unit stride.
template <class R, class T>
struct AttentionHead {
  Matrix<const T> q, k, v;
  index_t queries, keys, size;
  R scale;
  index_t offset = 0;              ///< query t stands where key t + offset does
  bool causal = false;             ///< query t sees keys up to t + offset
  const bool* key_mask = nullptr;  ///< per key, `mask_step` apart; false: nobody sees it
  index_t mask_step = 1;
  R slope = 0;  ///< of ALiBi: score += slope (s - (t + offset))

  [[nodiscard]] bool hides(index_t s) const noexcept {
    return key_mask != nullptr && !key_mask[s * mask_step];
  }
};

/// Queries of a tile: one vector lane each, in two vectors. The last tile of a head has one vector where
/// that is enough.
template <class R>
inline constexpr index_t query_block = tile_cols<R>;
/// Keys of a tile.
template <class R>
inline constexpr index_t key_block = 16 * tile_rows<R>;
/// Scores are in units of log 2: score = log2_e (scale q . k + bias).
template <class R>
inline constexpr R log2_e = R(1.4426950408889634074L);
template <class R>
inline constexpr R infinity = std::numeric_limits<R>::infinity();

namespace detail {

constexpr index_t round_up(index_t n, index_t unit) noexcept { return parts(n, unit) * unit; }

struct KeyRange {
  index_t begin, end;
};

/// The keys that the queries below `t_end` may see: all outside are hidden from each of them.
template <class R, class T>
KeyRange visible_keys(const AttentionHead<R, T>& head, index_t t_end) noexcept {
  KeyRange range{0, head.keys};
  if (head.causal) range.end = least(range.end, most(0, t_end + head.offset));
  while (range.begin < range.end && head.hides(range.begin)) ++range.begin;
  while (range.begin < range.end && head.hides(range.end - 1)) --range.end;
  return range;
}

/// x[i] = 2^x[i] for x <= 0 (a little above is fine): exactly 0 from -126.5 down, for -infinity too, so that
/// no product meets subnormal numbers; NaN stays NaN. Relative error below 1.2e-7. Several vectors go through
/// each step together: one alone would wait for its own results.
template <std::size_t... I>
inline void exp2_of_negative(Vector<float>* x, std::index_sequence<I...>) noexcept {
  const Vector<float> lowest = broadcast(-127.0F);
  // Adding 1.5 * 2^23 rounds to an integer n, which is then in the low bits: n + 127, the exponent.
  constexpr float to_exponent = 12582912.0F + 127.0F;
  Vector<float> shifted[sizeof...(I)], p[sizeof...(I)];
  ((x[I] = lowest > x[I] ? lowest : x[I]), ...);
  ((shifted[I] = x[I] + to_exponent), ...);
  ((x[I] -= shifted[I] - to_exponent), ...);
  ((p[I] = x[I] * 1.559467759e-4F + 1.340664391e-3F), ...);  // minimax, |x| <= 1/2
  ((p[I] = p[I] * x[I] + 9.617692975e-3F), ...);
  ((p[I] = p[I] * x[I] + 5.550310551e-2F), ...);
  ((p[I] = p[I] * x[I] + 2.402265278e-1F), ...);
  ((p[I] = p[I] * x[I] + 6.931472150e-1F), ...);
  ((p[I] = p[I] * x[I] + 1.0F), ...);
  const auto power = [](const Vector<float>& biased) {
    Bits32 bits;
    std::memcpy(&bits, &biased, sizeof bits);
    bits <<= 23;
    Vector<float> out;
    std::memcpy(&out, &bits, sizeof out);
    return out;
  };
  ((x[I] = p[I] * power(shifted[I])), ...);
}
template <std::size_t... I>
inline void exp2_of_negative(Vector<double>* x, std::index_sequence<I...>) noexcept {
  for (std::size_t i = 0; i < sizeof...(I); ++i) {
    for (index_t lane = 0; lane < vector_size<double>; ++lane) x[i][lane] = std::exp2(x[i][lane]);
  }
}

/// Vectors that hold a tile of at most query_block queries: 1 or 2.
template <class R>
constexpr index_t vectors_of(index_t queries) noexcept {
  return queries > vector_size<R> ? 2 : 1;
}

/// How many of the keys [s, s + n) some query below t_end sees: the first ones.
template <class R, class T>
index_t seen_in_tile(const AttentionHead<R, T>& head, index_t s, index_t n,
                     index_t t_end) noexcept {
  return head.causal ? most(0, least(n, t_end + head.offset - s)) : n;
}

/// Rows of scores that are worked on at a time; buffers have room for a multiple.
inline constexpr index_t row_group = 4;

/// Adds ALiBi to `n` rows of `lanes` scores, keys from s on and queries from t on, and puts -infinity where a
/// query does not see a key and into the rows that complete the last group.
template <class R, class T>
void bias_and_mask(const AttentionHead<R, T>& head, index_t s, index_t n, index_t t, index_t lanes,
                   R* scores) noexcept {
  constexpr index_t N = query_block<R>;
  const auto hide = [=](index_t i, index_t count) {
    for (index_t j = 0; j < count; ++j) scores[i * N + j] = -infinity<R>;
  };
  if (head.slope != R(0)) {
    const R slope = head.slope * log2_e<R>;
    for (index_t i = 0; i < n; ++i) {
      const R distance = static_cast<R>(s + i - t - head.offset);
      PLUME_SIMD
      for (index_t j = 0; j < lanes; ++j) {
        scores[i * N + j] += slope * (distance - static_cast<R>(static_cast<std::int32_t>(j)));
      }
    }
  }
  if (head.causal) {  // the lanes before key s + i see only older keys
    for (index_t i = most(0, t + head.offset + 1 - s); i < n; ++i) {
      hide(i, least(lanes, s + i - t - head.offset));
    }
  }
  if (head.key_mask != nullptr) {
    for (index_t i = 0; i < n; ++i) {
      if (head.hides(s + i)) hide(i, lanes);
    }
  }
  for (index_t i = n; i < round_up(n, row_group); ++i) hide(i, lanes);
}

/// x = 2^(x - from) in n rows, `stride` apart, of one vector, and in those that complete the last group;
/// returns their sum.
template <class R, std::size_t... I>
inline Vector<R> powers(index_t n, index_t stride, Vector<R> from, R* x,
                        std::index_sequence<I...>) noexcept {
  Vector<R> even{}, odd{};
  for (R* const end = x + round_up(n, row_group) * stride; x < end; x += row_group * stride) {
    Vector<R> p[] = {load(x + static_cast<index_t>(I) * stride) - from...};
    exp2_of_negative(p, std::index_sequence<I...>{});
    (store<R>(x + static_cast<index_t>(I) * stride, p[I]), ...);
    ((I % 2 == 0 ? even += p[I] : odd += p[I]), ...);
  }
  return even + odd;
}
template <class R>
Vector<R> powers(index_t n, index_t stride, Vector<R> from, R* x) noexcept {
  return powers<R>(n, stride, from, x, std::make_index_sequence<row_group>{});
}

/// The largest of n rows and those that complete the last group, lane by lane, and `start`.
template <class R>
Vector<R> largest_row(index_t n, index_t stride, Vector<R> start, const R* x) noexcept {
  Vector<R> even = start, odd = start;
  for (index_t i = 0; i < round_up(n, row_group); i += 2) {
    const Vector<R> a = load(x + i * stride), b = load(x + (i + 1) * stride);
    even = a > even ? a : even;
    odd = b > odd ? b : odd;
  }
  return even > odd ? even : odd;
}
/// x, and 0 for -infinity. What is subtracted from scores that are all -infinity must be finite.
template <class R>
Vector<R> finite(Vector<R> x) noexcept {
  return x == broadcast(-infinity<R>) ? Vector<R>{} : x;
}

/// Asks for rows [begin, end) of x: the rows of a head are often far apart in memory, and what fetches
/// consecutive lines ahead does not see a pattern.
template <class T>
void prefetch_rows(Matrix<const T> x, index_t begin, index_t end, index_t size) noexcept {
  constexpr index_t line = 64 / static_cast<index_t>(sizeof(T));
  for (index_t i = begin; i < end; ++i) {
    for (index_t c = 0; c < size; c += line) __builtin_prefetch(x.at(i, c).data, 0, 2);
  }
}

/// Packs rows [t, t + n) of x as right operands with a lane per row, a tile after the other, times `scale`.
template <class R, class T>
void pack_lanes(index_t t, index_t n, index_t size, Matrix<const T> x, R scale,
                R* packed) noexcept {
  constexpr index_t W = vector_size<R>, N = query_block<R>;
  prefetch_rows(x, t, t + least(n, N), size);
  for (index_t i = 0; i < n; i += N) {
    const index_t rows = least(n - i, N);
    const T* from = x.at(t + i, 0).data;
    R* to = packed + i * size;
    prefetch_rows(x, t + i + rows, t + least(n, i + rows + N), size);
    if (rows <= W) {
      pack_panel<vector_size<R>>(rows, size, from, x.row_stride, index_t{1}, to);
    } else {
      pack_panel<query_block<R>>(rows, size, from, x.row_stride, index_t{1}, to);
    }
    if (scale == R(1)) continue;
    for (index_t k = 0; k < (rows <= W ? W : N) * size; k += W)
      store<R>(to + k, load(to + k) * scale);
  }
}

/// out[j][i] = in[i * N + j] factor[j] for i < rows, j < cols.
template <class R, class T>
void store_transposed(index_t rows, index_t cols, const R* in, index_t N, const R* factor,
                      Matrix<T> out) noexcept {
  index_t j = 0;
  for (; j + 4 <= cols; j += 4) {
    Four<R> f;
    std::memcpy(&f, factor + j, sizeof f);
    index_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      Four<R> r[4];
      for (index_t k = 0; k < 4; ++k) {
        std::memcpy(&r[k], in + (i + k) * N + j, sizeof r[k]);
        r[k] *= f;
      }
      const Four<R> low01 = __builtin_shufflevector(r[0], r[1], 0, 4, 1, 5);
      const Four<R> low23 = __builtin_shufflevector(r[2], r[3], 0, 4, 1, 5);
      const Four<R> high01 = __builtin_shufflevector(r[0], r[1], 2, 6, 3, 7);
      const Four<R> high23 = __builtin_shufflevector(r[2], r[3], 2, 6, 3, 7);
      r[0] = __builtin_shufflevector(low01, low23, 0, 1, 4, 5);
      r[1] = __builtin_shufflevector(low01, low23, 2, 3, 6, 7);
      r[2] = __builtin_shufflevector(high01, high23, 0, 1, 4, 5);
      r[3] = __builtin_shufflevector(high01, high23, 2, 3, 6, 7);
      for (index_t k = 0; k < 4; ++k) {
        T* to = out.data + (j + k) * out.row_stride + i;
        if constexpr (std::is_same_v<R, T>) {
          std::memcpy(to, &r[k], sizeof r[k]);
        } else {
          for (index_t c = 0; c < 4; ++c) to[c] = static_cast<T>(r[k][c]);
        }
      }
    }
    for (; i < rows; ++i) {
      for (index_t k = j; k < j + 4; ++k) {
        out.data[k * out.row_stride + i] = static_cast<T>(in[i * N + k] * factor[k]);
      }
    }
  }
  for (; j < cols; ++j) {
    for (index_t i = 0; i < rows; ++i) {
      out.data[j * out.row_stride + i] = static_cast<T>(in[i * N + j] * factor[j]);
    }
  }
}

}  // namespace detail

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
