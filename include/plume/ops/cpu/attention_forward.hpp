#pragma once
// Fused attention, forward: softmax(scale q k^T + bias) v of one head, a tile of keys at a time, with
// the softmax kept up to date as keys arrive (Milakov and Gimelshein, arXiv 1805.02867; Dao et al.,
// arXiv 2205.14135):
//
//   m' = max(m, scores)     l' = l e^(m - m') + sum e^(scores - m')     o' = o e^(m - m') + e^(scores - m') v
//   y = o / l               lse = m + log l
//
// A row's result does not depend on which rows are computed with it.

#include "plume/ops/cpu/attention_rows.hpp"
#include "plume/ops/cpu/attention_tile.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

namespace detail {

/// Turns n rows of scores into probabilities relative to the new largest score; returns in `decay` what the
/// old sums and outputs are to be multiplied by.
template <class R>
void softmax_step(index_t n, index_t vectors, R* scores, R* largest, R* sum, R* decay) noexcept {
  constexpr index_t N = query_block<R>, W = vector_size<R>;
  for (index_t j = 0; j < vectors * W; j += W) {
    const Vector<R> old = load(largest + j), now = largest_row(n, N, old, scores + j);
    const Vector<R> from = finite<R>(now);
    Vector<R> factor[] = {old - from};
    exp2_of_negative(factor, std::index_sequence<0>{});
    store<R>(largest + j, now);
    store<R>(decay + j, factor[0]);
    store<R>(sum + j, load(sum + j) * factor[0] + powers<R>(n, N, from, scores + j));
  }
}

}  // namespace detail

/// Rows [t_begin, t_end) of y and of lse, the logarithm of the sum of e^score: all that backward
/// needs of the scores. A query that sees no key has y = 0 and lse = infinity.
template <class R, class T>
void attention_forward(const AttentionHead<R, T>& head, index_t t_begin, index_t t_end, Matrix<T> y,
                       R* lse) {
  using namespace detail;
  if (head.queries <= few_queries) return attention_rows(head, y, lse);
  constexpr index_t N = query_block<R>, W = vector_size<R>, MR = tile_rows<R>;
  const index_t size = head.size, queries = t_end - t_begin;
  const index_t stride = round_up(size, MR);  // rows that a tile of o may write
  const index_t lanes = round_up(queries, W);
  const KeyRange keys = visible_keys(head, t_end);
  const index_t tile = least(key_block<R>, keys.end - keys.begin);
  const index_t ahead = parts(tile, parts(queries, N));  // rows of the next tile to fetch per block

  const ScratchFrame frame;
  R* packed_q = frame.array<R>(lanes * size);
  R* packed_k = frame.array<R>(packed_size<MR>(tile, size));
  R* packed_v = frame.array<R>(packed_size<MR>(size, tile));
  R* scores = frame.array<R>((round_up(tile, MR) + row_group) * N);
  R* o = frame.array<R>(lanes * stride);
  R* largest = frame.array<R>(lanes);
  R* sum = frame.array<R>(lanes);
  alignas(64) R decay[static_cast<std::size_t>(N)];
  prefetch_rows(head.k, keys.begin, keys.begin + tile, size);
  prefetch_rows(head.v, keys.begin, keys.begin + tile, size);
  pack_lanes(t_begin, queries, size, head.q, head.scale * log2_e<R>, packed_q);
  for (index_t i = 0; i < lanes * stride; ++i) o[i] = R(0);
  for (index_t i = 0; i < lanes; ++i) {
    largest[i] = -infinity<R>;
    sum[i] = R(0);
  }

  for (index_t s = keys.begin; s < keys.end; s += tile) {
    const index_t depth = least(tile, keys.end - s);
    pack_a(depth, size, head.k.at(s, 0).data, head.k.row_stride, index_t{1}, packed_k);
    pack_a(size, depth, head.v.at(s, 0).data, index_t{1}, head.v.row_stride, packed_v);
    for (index_t t = 0; t < queries; t += N) {
      const index_t next = s + tile + t / N * ahead, next_end = least(next + ahead, keys.end);
      prefetch_rows(head.k, next, next_end, size);
      prefetch_rows(head.v, next, next_end, size);
      const index_t n = seen_in_tile(head, s, depth, least(t_end, t_begin + t + N));
      if (n == 0) continue;
      const index_t vectors = vectors_of<R>(queries - t), room = vectors * W;
      lane_products<true>(n, size, packed_k, size, packed_q + t * size, room, vectors,
                          LaneResult<R>{scores, N});
      bias_and_mask(head, s, n, t_begin + t, room, scores);
      softmax_step(n, vectors, scores, largest + t, sum + t, decay);
      lane_products<true>(size, n, packed_v, depth, scores, N, vectors,
                          LaneResult<R>{.c = o + t * stride, .stride = room, .decay = decay});
    }
  }

  for (index_t t = 0; t < queries; t += N) {
    const index_t rows = least(N, queries - t);
    for (index_t j = 0; j < rows; ++j) {
      const R l = sum[t + j];
      lse[t_begin + t + j] = l == R(0) ? infinity<R> : (largest[t + j] + std::log2(l)) / log2_e<R>;
      decay[j] = l == R(0) ? R(0) : R(1) / l;
    }
    store_transposed(size, rows, o + t * stride, vectors_of<R>(rows) * W, decay,
                     y.at(t_begin + t, 0));
  }
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
