#pragma once
// Attention of a few queries, as in decoding: a row of k or v is used a few times only, so nothing is
// packed, and the speed is that of reading them. Scores by dot products, softmax along the row, then y as a
// sum of rows of v; up to four queries share a reading.

#include "plume/ops/cpu/attention_tile.hpp"
#include "plume/ops/cpu/gemm_small.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

/// A head with at most so many queries is computed by rows: measured.
inline constexpr index_t few_queries = 8;

namespace detail {

/// scores[g][s - keys.begin] = q[g] . k[s] for G rows q, `stride` apart in scores.
template <index_t G, class R, class T>
void score_rows(const AttentionHead<R, T>& head, KeyRange keys, const R* q, R* scores,
                index_t stride) noexcept {
  const index_t last = keys.end - 1;
  for (index_t s = keys.begin; s < keys.end; s += dot_cols) {
    const auto key = [&](index_t i) { return head.k.at(least(s + i, last), 0).data; };
    prefetch_rows(head.k, least(s + 16, last), least(s + 16 + dot_cols, last), head.size);
    R dots[static_cast<std::size_t>(G * dot_cols)];
    dot_tile<G>(head.size, q, head.size, key(0), key(1), key(2), key(3), dots);
    for (index_t g = 0; g < G; ++g) {
      for (index_t i = 0; i < least(dot_cols, keys.end - s); ++i) {
        scores[g * stride + s - keys.begin + i] = dots[g * dot_cols + i];
      }
    }
  }
}

/// Turns the scores of the query at t into probabilities up to a factor, which it returns; `n` of them, then
/// 0 up to `stride`.
template <class R, class T>
R softmax_row(const AttentionHead<R, T>& head, index_t t, index_t begin, index_t n, index_t stride,
              R* scores, R* lse) noexcept {
  constexpr index_t W = vector_size<R>;
  if (head.slope != R(0)) {
    const R slope = head.slope * log2_e<R>;
    for (index_t i = 0; i < n; ++i)
      scores[i] += slope * static_cast<R>(begin + i - t - head.offset);
  }
  if (head.causal) n = most(0, least(n, t + head.offset + 1 - begin));
  for (index_t i = n; i < stride; ++i) scores[i] = -infinity<R>;
  if (head.key_mask != nullptr) {
    for (index_t i = 0; i < n; ++i) {
      if (head.hides(begin + i)) scores[i] = -infinity<R>;
    }
  }
  const Vector<R> lanes = largest_row(stride / W, W, broadcast(-infinity<R>), scores);
  R largest = -infinity<R>;
  for (index_t i = 0; i < W; ++i) largest = lanes[i] > largest ? lanes[i] : largest;
  const Vector<R> sums = powers<R>(stride / W, W, finite<R>(broadcast(largest)), scores);
  R sum = 0;
  for (index_t i = 0; i < W; ++i) sum += sums[i];
  *lse = sum == R(0) ? infinity<R> : (largest + std::log2(sum)) / log2_e<R>;
  return sum == R(0) ? R(0) : R(1) / sum;
}

/// y[g][c] = factor[g] * sum over n rows of p[g][s] v[s][c], c in V vectors, g < rows.
template <index_t G, index_t V, class R, class T>
void weigh_columns(index_t n, index_t rows, const R* p, index_t stride, const R* factor,
                   Matrix<const T> v, Matrix<T> y) noexcept {
  constexpr index_t W = vector_size<R>;
  Vector<R> sum[static_cast<std::size_t>(G)][static_cast<std::size_t>(V)] = {};
  for (index_t s = 0; s < n; ++s) {
    const T* row = v.at(s, 0).data;
    prefetch_rows(v, least(s + 8, n - 1), least(s + 9, n), V * W);
#pragma GCC unroll 4
    for (index_t i = 0; i < V; ++i) {
      const Vector<R> x = load_as<R>(row + i * W);
#pragma GCC unroll 4
      for (index_t g = 0; g < G; ++g) sum[g][i] += p[g * stride + s] * x;
    }
  }
  for (index_t g = 0; g < rows; ++g) {
    for (index_t i = 0; i < V * W; ++i) {
      y.at(g, i).data[0] = static_cast<T>(sum[g][i / W][i % W] * factor[g]);
    }
  }
}

template <index_t G, class R, class T>
void weigh_rows(index_t n, index_t size, index_t rows, const R* p, index_t stride, const R* factor,
                Matrix<const T> v, Matrix<T> y) noexcept {
  constexpr index_t W = vector_size<R>;
  index_t c = 0;
  for (; c + 4 * W <= size; c += 4 * W) {
    weigh_columns<G, 4>(n, rows, p, stride, factor, v.at(0, c), y.at(0, c));
  }
  for (; c + W <= size; c += W) {
    weigh_columns<G, 1>(n, rows, p, stride, factor, v.at(0, c), y.at(0, c));
  }
  for (; c < size; ++c) {
    for (index_t g = 0; g < rows; ++g) {
      R sum = 0;
      for (index_t s = 0; s < n; ++s) sum += p[g * stride + s] * static_cast<R>(v.at(s, c).data[0]);
      y.at(g, c).data[0] = static_cast<T>(sum * factor[g]);
    }
  }
}

/// Queries [t, t + rows), rows <= G.
template <index_t G, class R, class T>
void attend_rows(const AttentionHead<R, T>& head, index_t t, index_t rows, Matrix<T> y, R* lse) {
  const KeyRange keys = visible_keys(head, t + rows);
  const index_t n = keys.end - keys.begin, size = head.size;
  const index_t stride = round_up(n, row_group * vector_size<R>);
  const ScratchFrame frame;
  R* q = frame.array<R>(G * size);
  R* p = frame.array<R>(G * stride);
  R factor[static_cast<std::size_t>(G)];
  for (index_t g = 0; g < G; ++g) {
    const T* row = head.q.at(t + least(g, rows - 1), 0).data;
    for (index_t c = 0; c < size; ++c) {
      q[g * size + c] = static_cast<R>(row[c]) * (head.scale * log2_e<R>);
    }
  }
  score_rows<G>(head, keys, q, p, stride);
  for (index_t g = 0; g < rows; ++g) {
    factor[g] = softmax_row(head, t + g, keys.begin, n, stride, p + g * stride, lse + t + g);
  }
  for (index_t i = rows * stride; i < G * stride; ++i) p[i] = R(0);
  weigh_rows<G>(n, size, rows, p, stride, factor, head.v.at(keys.begin, 0), y.at(t, 0));
}

}  // namespace detail

/// attention_forward for all the queries of a head.
template <class R, class T>
void attention_rows(const AttentionHead<R, T>& head, Matrix<T> y, R* lse) {
  constexpr index_t G = detail::dot_rows;
  if (head.queries == 1) return detail::attend_rows<1>(head, 0, 1, y, lse);
  for (index_t t = 0; t < head.queries; t += G) {
    detail::attend_rows<G>(head, t, detail::least(G, head.queries - t), y, lse);
  }
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
