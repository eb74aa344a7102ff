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

#include "plume/ops/cpu/gemm_blocked.hpp"

namespace plume::kernel {

/// One head of attention: q [queries, size], k and v [keys, size]; rows have unit stride.
template <class R, class T>
struct AttentionHead {
  Matrix<const T> q, k, v;
  index_t queries, keys, size;
  R scale;
  index_t offset = 0;              ///< query t stands where key t + offset does
  bool causal = false;             ///< query t sees keys up to t + offset
  const bool* key_mask = nullptr;  ///< per key, false: nobody sees it
  R slope = 0;                     ///< of ALiBi: score += slope (s - (t + offset))
};

/// Queries of a tile: the lanes of the micro-kernel.
template <class R>
inline constexpr index_t query_block = tile_cols<R>;
/// Keys of a tile.
template <class R>
inline constexpr index_t key_block = 16 * tile_rows<R>;
template <class R>
inline constexpr R infinity = std::numeric_limits<R>::infinity();

namespace detail {

constexpr index_t most(index_t a, index_t b) noexcept { return a > b ? a : b; }
constexpr index_t round_up(index_t n, index_t unit) noexcept { return parts(n, unit) * unit; }

struct KeyRange {
  index_t begin, end;
};

/// The keys that the queries below `t_end` may see: all outside are hidden from each of them.
template <class R, class T>
KeyRange visible_keys(const AttentionHead<R, T>& head, index_t t_end) noexcept {
  KeyRange range{0, head.keys};
  if (head.causal) range.end = least(range.end, most(0, t_end + head.offset));
  if (head.key_mask != nullptr) {
    while (range.begin < range.end && !head.key_mask[range.begin]) ++range.begin;
    while (range.begin < range.end && !head.key_mask[range.end - 1]) --range.end;
  }
  return range;
}

inline Bits32 bits_of(Vector<float> v) noexcept {
  Bits32 bits;
  std::memcpy(&bits, &v, sizeof v);
  return bits;
}
inline Vector<float> from_bits_of(Bits32 bits) noexcept {
  Vector<float> v;
  std::memcpy(&v, &bits, sizeof v);
  return v;
}

/// exp(x) for x <= 0, exactly 0 below -87 (no subnormal probabilities) and for -infinity; NaN stays
/// NaN. math::exp with what x <= 0 allows to leave out; relative error below 1.2e-7.
inline Vector<float> exp_of_negative(Vector<float> x) noexcept {
  constexpr float to_integer = 12582912.0F;
  const Vector<float> shifted = x * 1.44269504F + to_integer;
  const Vector<float> n = shifted - to_integer;
  const Vector<float> r = (x - n * 0.693359375F) + n * 2.12194440e-4F;
  Vector<float> p = r * 1.381314364e-3F + 8.369418851e-3F;
  p = p * r + 4.166845681e-2F;
  p = p * r + 1.666651479e-1F;
  p = p * r + 4.999999305e-1F;
  p = p * r * r + r + 1.0F;
  const Bits32 power = (bits_of(shifted) - (0x4b400000U - 127U)) << 23;
  Bits32 below;
  const auto lanes_below = x < -87.0F;
  std::memcpy(&below, &lanes_below, sizeof below);
  return from_bits_of(bits_of(p * from_bits_of(power)) & ~below);
}
inline Vector<double> exp_of_negative(Vector<double> x) noexcept {
  for (index_t i = 0; i < vector_size<double>; ++i) x[i] = std::exp(x[i]);
  return x;
}

/// 0, 1, 2, ... in a vector.
template <class R>
Vector<R> lane_numbers(index_t first) noexcept {
  R lanes[static_cast<std::size_t>(vector_size<R>)];
  for (index_t i = 0; i < vector_size<R>; ++i) lanes[i] = static_cast<R>(first + i);
  return load(lanes);
}

/// Keys [s, s + n) that some query below t + query_block sees.
template <class R, class T>
index_t seen_in_tile(const AttentionHead<R, T>& head, index_t s, index_t n, index_t t) noexcept {
  if (!head.causal) return n;
  return most(0, least(n, t + query_block<R> + head.offset - s));
}

/// Adds ALiBi to `n` rows of scores, keys from s on and queries from t on, and puts -infinity where a
/// query does not see a key.
template <class R, class T>
void bias_and_mask(const AttentionHead<R, T>& head, index_t s, index_t n, index_t t,
                   R* scores) noexcept {
  constexpr index_t NR = query_block<R>, W = vector_size<R>;
  if (head.slope != R(0)) {
    for (index_t i = 0; i < n; ++i) {
      const Vector<R> from_first = broadcast(static_cast<R>(s + i - t - head.offset));
      for (index_t j = 0; j < NR; j += W) {
        R* row = scores + i * NR + j;
        store<R>(row, load(row) + head.slope * (from_first - lane_numbers<R>(j)));
      }
    }
  }
  if (head.causal) {
    for (index_t i = most(0, t + head.offset + 1 - s); i < n; ++i) {
      const index_t hidden = least(NR, s + i - t - head.offset);  // lanes below see only older keys
      for (index_t j = 0; j < hidden; ++j) scores[i * NR + j] = -infinity<R>;
    }
  }
  if (head.key_mask != nullptr) {
    for (index_t i = 0; i < n; ++i) {
      if (head.key_mask[s + i]) continue;
      for (index_t j = 0; j < NR; ++j) scores[i * NR + j] = -infinity<R>;
    }
  }
}

/// rows[i][lane] = sum_c left[i][c] right[c][lane] for i < n (and, rounded up, what lies behind).
template <class R>
void multiply_tile_rows(index_t n, index_t depth, const R* left, const R* right, R* rows) noexcept {
  constexpr index_t MR = tile_rows<R>, NR = query_block<R>;
  for (index_t i = 0; i < n; i += MR) {
    multiply_panels(least(MR, n - i), depth, left + i * depth, right, NR, rows + i * NR);
  }
}

/// o[c][lane] = o[c][lane] decay[lane] + sum over n keys of v[key][c] p[key][lane], c < size; v is packed
/// `depth` keys deep.
template <class R>
void weigh_values(index_t size, index_t n, index_t depth, const R* packed_v, const R* p,
                  const R* decay, R* o) noexcept {
  constexpr index_t MR = tile_rows<R>, NR = query_block<R>, W = vector_size<R>;
  alignas(64) R tile[static_cast<std::size_t>(MR * NR)];
  for (index_t c = 0; c < size; c += MR) {
    const index_t rows = least(MR, size - c);
    multiply_panels(rows, n, packed_v + c * depth, p, NR, tile);
    for (index_t i = 0; i < rows; ++i) {
      for (index_t j = 0; j < NR; j += W) {
        R* to = o + (c + i) * NR + j;
        store<R>(to, load(to) * load(decay + j) + load(tile + i * NR + j));
      }
    }
  }
}

/// Packs rows [t, t + n) of x as right operands with a lane per row, a block of query_block lanes
/// after the other, times `scale`.
template <class R, class T>
void pack_lanes(index_t t, index_t n, index_t size, Matrix<const T> x, R scale,
                R* packed) noexcept {
  pack_b(n, size, x.at(t, 0).data, x.col_stride, x.row_stride, packed);
  if (scale == R(1)) return;
  const index_t count = round_up(n, query_block<R>) * size;
  for (index_t i = 0; i < count; i += vector_size<R>)
    store<R>(packed + i, load(packed + i) * scale);
}

/// out[j][i] = in[i][j] factor[j] for i < rows, j < cols; rows of `in` are query_block apart.
template <class R, class T>
void store_transposed(index_t rows, index_t cols, const R* in, const R* factor,
                      Matrix<T> out) noexcept {
  constexpr index_t NR = query_block<R>;
  index_t j = 0;
  for (; j + 4 <= cols; j += 4) {
    Four<R> f;
    std::memcpy(&f, factor + j, sizeof f);
    index_t i = 0;
    for (; i + 4 <= rows; i += 4) {
      Four<R> r[4];
      for (index_t k = 0; k < 4; ++k) r[k] = load_four<R>(in + (i + k) * NR + j) * f;
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
        out.data[k * out.row_stride + i] = static_cast<T>(in[i * NR + k] * factor[k]);
      }
    }
  }
  for (; j < cols; ++j) {
    for (index_t i = 0; i < rows; ++i) {
      out.data[j * out.row_stride + i] = static_cast<T>(in[i * NR + j] * factor[j]);
    }
  }
}

}  // namespace detail

}  // namespace plume::kernel
