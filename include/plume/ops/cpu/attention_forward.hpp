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

/// Turns n rows of V vectors of scores into probabilities relative to the new largest score; returns in
/// `decay` what the old sums and outputs are to be multiplied by.
template <index_t V, class R>
void softmax_step(index_t n, R* scores, R* largest, R* sum, R* decay) noexcept {
  constexpr index_t N = V * vector_size<R>;
  using Row = LaneRow<R, V>;
  const auto larger = [](Vector<R> x, Vector<R> y) { return x > y ? x : y; };
  // A query that has seen nothing yet: any finite number will do, 2^(-infinity) is 0 with each.
  const auto finite = [](Vector<R> x) { return x == broadcast(-infinity<R>) ? Vector<R>{} : x; };

  const Row old = Row::load(largest);
  Row even = old, odd = old;
  for (index_t i = 0; i < round_up(n, row_group); i += 2) {
    even = Row::map(larger, Row::load(scores + i * N), even);
    odd = Row::map(larger, Row::load(scores + (i + 1) * N), odd);
  }
  const Row now = Row::map(larger, even, odd);
  now.store(largest);
  const Row from = Row::map(finite, now);
  Vector<R> both[] = {old.left - from.left, old.last() - from.last()};
  exp2_of_negative(both, std::make_index_sequence<2>{});
  const Row factor = Row::of(both);
  factor.store(decay);
  (Row::load(sum) * factor + powers<V>(n, from, scores)).store(sum);
}

}  // namespace detail

/// Rows [t_begin, t_end) of y and of lse, the logarithm of the sum of e^score: all that backward
/// needs of the scores. A query that sees no key has y = 0 and lse = infinity.
template <class R, class T>
void attention_forward(const AttentionHead<R, T>& head, index_t t_begin, index_t t_end, Matrix<T> y,
                       R* lse) {
  using namespace detail;
  if (head.queries <= few_queries) return attention_rows(head, y, lse);
  constexpr index_t N = query_block<R>, MR = tile_rows<R>;
  const index_t size = head.size, queries = t_end - t_begin;
  const index_t stride = round_up(size, MR);  // rows that a tile of o may write
  const index_t lanes = round_up(queries, vector_size<R>);
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
      with_vectors<R>(queries - t, [=, &head, &decay](auto vectors) {
        constexpr index_t V = decltype(vectors)::value;
        multiply_rows<Start::zero, V>(n, size, size, packed_k, packed_q + t * size, scores);
        bias_and_mask<V>(head, s, n, t_begin + t, scores);
        softmax_step<V>(n, scores, largest + t, sum + t, decay);
        multiply_rows<Start::decay, V>(size, n, depth, packed_v, scores, o + t * stride, decay);
      });
    }
  }

  for (index_t t = 0; t < queries; t += N) {
    const index_t rows = least(N, queries - t);
    for (index_t j = 0; j < rows; ++j) {
      const R l = sum[t + j];
      lse[t_begin + t + j] = l == R(0) ? infinity<R> : (largest[t + j] + std::log2(l)) / log2_e<R>;
      decay[j] = l == R(0) ? R(0) : R(1) / l;
    }
    with_vectors<R>(rows, [=, &decay](auto vectors) {
      store_transposed<decltype(vectors)::value>(size, rows, o + t * stride, decay,
                                                 y.at(t_begin + t, 0));
    });
  }
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
