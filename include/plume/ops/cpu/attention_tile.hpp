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
inline namespace PLUME_VECTOR_ABI {

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

/// Calls f with the number of vectors that hold `rows` lanes, 1 or 2, as a constant.
template <class R, class F>
void with_vectors(index_t rows, F f) {
  if (rows > vector_size<R>) {
    f(std::integral_constant<index_t, 2>{});
  } else {
    f(std::integral_constant<index_t, 1>{});
  }
}

/// 0, 1, 2, ... in a vector.
template <class R>
Vector<R> lane_numbers(index_t first) noexcept {
  R lanes[static_cast<std::size_t>(vector_size<R>)];
  for (index_t i = 0; i < vector_size<R>; ++i) lanes[i] = static_cast<R>(first + i);
  return load(lanes);
}

/// How many of the keys [s, s + n) some query below t_end sees: the first ones.
template <class R, class T>
index_t seen_in_tile(const AttentionHead<R, T>& head, index_t s, index_t n,
                     index_t t_end) noexcept {
  return head.causal ? most(0, least(n, t_end + head.offset - s)) : n;
}

/// Rows of scores that are worked on at a time; buffers have room for a multiple.
inline constexpr index_t row_group = 4;

/// Adds ALiBi to `n` rows of V vectors of scores, keys from s on and queries from t on, and puts -infinity
/// where a query does not see a key and into the rows that complete the last group.
template <index_t V, class R, class T>
void bias_and_mask(const AttentionHead<R, T>& head, index_t s, index_t n, index_t t,
                   R* scores) noexcept {
  constexpr index_t W = vector_size<R>, N = V * W;
  if (head.slope != R(0)) {
    const R slope = head.slope * log2_e<R>;
    for (index_t i = 0; i < n; ++i) {
      const Vector<R> from_first = broadcast(static_cast<R>(s + i - t - head.offset));
      for (index_t j = 0; j < N; j += W) {
        R* row = scores + i * N + j;
        store<R>(row, load(row) + slope * (from_first - lane_numbers<R>(j)));
      }
    }
  }
  if (head.causal) {
    for (index_t i = most(0, t + head.offset + 1 - s); i < n; ++i) {
      const index_t hidden = least(N, s + i - t - head.offset);  // lanes below see only older keys
      for (index_t j = 0; j < hidden; ++j) scores[i * N + j] = -infinity<R>;
    }
  }
  for (index_t i = n * N; i < round_up(n, row_group) * N; ++i) scores[i] = -infinity<R>;
  if (head.key_mask != nullptr) {
    for (index_t i = 0; i < n; ++i) {
      if (head.key_mask[s + i]) continue;
      for (index_t j = 0; j < N; ++j) scores[i * N + j] = -infinity<R>;
    }
  }
}

// V vectors of a row. Named members: arrays of arrays would not stay in registers.
template <class R, index_t V>
struct LaneRow {
  Vector<R> left, right;

  static LaneRow of(const Vector<R>* v) noexcept { return {v[0], v[1]}; }
  static LaneRow load(const R* p) noexcept {
    return {kernel::load(p), kernel::load(p + vector_size<R>)};
  }
  void store(R* p) const noexcept {
    kernel::store<R>(p, left);
    kernel::store<R>(p + vector_size<R>, right);
  }
  void pin() noexcept {
    kernel::pin(left);
    kernel::pin(right);
  }
  Vector<R> last() const noexcept { return right; }
  template <class F, class... Rows>
  static LaneRow map(F f, const Rows&... rows) noexcept {
    return {f(rows.left...), f(rows.right...)};
  }
};
template <class R>
struct LaneRow<R, 1> {
  Vector<R> left;

  static LaneRow of(const Vector<R>* v) noexcept { return {v[0]}; }
  static LaneRow load(const R* p) noexcept { return {kernel::load(p)}; }
  void store(R* p) const noexcept { kernel::store<R>(p, left); }
  void pin() noexcept { kernel::pin(left); }
  Vector<R> last() const noexcept { return left; }
  template <class F, class... Rows>
  static LaneRow map(F f, const Rows&... rows) noexcept {
    return {f(rows.left...)};
  }
};

template <class R, index_t V>
inline LaneRow<R, V> operator+(const LaneRow<R, V>& a, const LaneRow<R, V>& b) noexcept {
  return LaneRow<R, V>::map([](Vector<R> x, Vector<R> y) { return x + y; }, a, b);
}
template <class R, index_t V>
inline LaneRow<R, V> operator*(const LaneRow<R, V>& a, const LaneRow<R, V>& b) noexcept {
  return LaneRow<R, V>::map([](Vector<R> x, Vector<R> y) { return x * y; }, a, b);
}

/// scores = 2^(scores - from) for n rows and those that complete the last group; returns their sum.
template <index_t V, class R, std::size_t... I>
inline LaneRow<R, V> powers(index_t n, const LaneRow<R, V>& from, R* scores,
                            std::index_sequence<I...>) noexcept {
  constexpr index_t W = vector_size<R>;
  constexpr std::size_t vectors = static_cast<std::size_t>(V);
  const Vector<R> subtract[] = {from.left, from.last()};
  Vector<R> sum[2][vectors] = {};
  R* const end = scores + round_up(n, row_group) * V * W;
  for (R* at = scores; at < end; at += static_cast<index_t>(sizeof...(I)) * W) {
    Vector<R> x[] = {load(at + static_cast<index_t>(I) * W) - subtract[I % vectors]...};
    exp2_of_negative(x, std::index_sequence<I...>{});
    (store<R>(at + static_cast<index_t>(I) * W, x[I]), ...);
    ((sum[I / vectors % 2][I % vectors] += x[I]), ...);
  }
  return LaneRow<R, V>::of(sum[0]) + LaneRow<R, V>::of(sum[1]);
}
template <index_t V, class R>
inline LaneRow<R, V> powers(index_t n, const LaneRow<R, V>& from, R* scores) noexcept {
  return powers<V>(n, from, scores, std::make_index_sequence<4>{});
}

template <class R, index_t V>
inline void multiply_add(LaneRow<R, V>& row, R a, const LaneRow<R, V>& b) noexcept {
  Vector<R> x = broadcast(a);
  pin(x);
  row.left += x * b.left;
  if constexpr (V == 2) row.right += x * b.right;
}
/// What a product of lanes is added to: nothing, what is there, or that times a factor for each lane.
enum class Start { zero, add, decay };

template <class R>
inline constexpr const R* none = nullptr;

/// Changes nothing; see `finish` below.
struct Identity {
  template <class Row>
  Row operator()(index_t, Row row) const noexcept {
    return row;
  }
};

template <Start S, class R, index_t V>
inline LaneRow<R, V> start_of(const R* c, const R* decay) noexcept {
  using Row = LaneRow<R, V>;
  if constexpr (S == Start::zero) {
    return Row{};
  } else if constexpr (S == Start::add) {
    return Row::load(c);
  } else {
    return Row::load(c) * Row::load(decay);
  }
}

// c[i][0..V) = finish(start + sum over k < depth of a[i * AI + k * AK] b[k][0..V)), in vectors. The
// micro-kernel of gemm with more freedom: one vector wide or two, a left operand that lies by rows or
// packed, a result that is added to where it lies and changed before it leaves the registers.
template <Start S, index_t V, index_t AI, index_t AK, class R, class Finish, std::size_t... I>
[[gnu::noinline]] void lane_product(index_t depth, const R* a, const R* b, const R* decay, R* c,
                                    index_t c_stride, Finish finish,
                                    std::index_sequence<I...>) noexcept {
  constexpr index_t N = V * vector_size<R>;
  LaneRow<R, V> row[sizeof...(I)] = {
      start_of<S, R, V>(c + static_cast<index_t>(I) * c_stride, decay)...};
  for (index_t k = 0; k < depth; ++k) {
    LaneRow<R, V> right = LaneRow<R, V>::load(b);
    right.pin();
    (multiply_add<R, V>(row[I], a[static_cast<index_t>(I) * AI], right), ...);
    a += AK;
    b += N;
  }
  (finish(static_cast<index_t>(I), row[I]).store(c + static_cast<index_t>(I) * c_stride), ...);
}

/// The same for `rows` rows, 1 to tile_rows; what it writes is rounded up to a third of that.
template <Start S, index_t V, index_t AI, index_t AK, class R, class Finish = Identity>
void lane_products(index_t rows, index_t depth, const R* a, const R* b, const R* decay, R* c,
                   index_t c_stride, Finish finish = {}) noexcept {
  constexpr auto full = static_cast<std::size_t>(tile_rows<R>);
  constexpr std::size_t some = full * 2 / 3, few = full / 3;
  if (rows > static_cast<index_t>(some)) {
    lane_product<S, V, AI, AK>(depth, a, b, decay, c, c_stride, finish,
                               std::make_index_sequence<full>{});
  } else if (rows > static_cast<index_t>(few)) {
    lane_product<S, V, AI, AK>(depth, a, b, decay, c, c_stride, finish,
                               std::make_index_sequence<some>{});
  } else {
    lane_product<S, V, AI, AK>(depth, a, b, decay, c, c_stride, finish,
                               std::make_index_sequence<few>{});
  }
}

/// c[i][lane] = start + sum over k < depth of left[i][k] right[k][lane], i < n, in rows of V vectors; left is
/// packed `step` deep. Writes whole tiles.
template <Start S, index_t V, class R>
void multiply_rows(index_t n, index_t depth, index_t step, const R* left, const R* right, R* c,
                   const R* decay = nullptr) noexcept {
  constexpr index_t MR = tile_rows<R>, N = V * vector_size<R>;
  for (index_t i = 0; i < n; i += MR) {
    lane_products<S, V, 1, MR>(least(MR, n - i), depth, left + i * step, right, decay, c + i * N,
                               N);
  }
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

/// out[j][i] = in[i][j] factor[j] for i < rows, j < cols; in has rows of V vectors.
template <index_t V, class R, class T>
void store_transposed(index_t rows, index_t cols, const R* in, const R* factor,
                      Matrix<T> out) noexcept {
  constexpr index_t N = V * vector_size<R>;
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
