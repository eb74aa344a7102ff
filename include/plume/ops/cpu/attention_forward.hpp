#pragma once
// Fused attention, forward: softmax(scale q k^T + bias) v of one head, a tile of keys at a time, with
// the softmax kept up to date as keys arrive (Milakov and Gimelshein, arXiv 1805.02867; Dao et al.,
// arXiv 2205.14135):
//
//   m' = max(m, scores)     l' = l e^(m - m') + sum e^(scores - m')     o' = o e^(m - m') + e^(scores - m') v
//   y = o / l               lse = m + log l
//
// A row's result does not depend on which rows are computed with it.

#include "plume/ops/cpu/attention_tile.hpp"

namespace plume::kernel {

namespace detail {

/// The state of one block of queries: largest score, sum, and o transposed [size][query_block].
template <class R>
struct SoftmaxState {
  R* largest;
  R* sum;
  R* o;
};

/// Turns n rows of scores into probabilities relative to the new largest score; returns in `decay`
/// what the old sums and outputs are to be multiplied by.
template <class R>
void softmax_step(index_t n, R* scores, SoftmaxState<R> state, R* decay) noexcept {
  constexpr index_t NR = query_block<R>, W = vector_size<R>;
  for (index_t j = 0; j < NR; j += 2 * W) {
    const Vector<R> old_left = load(state.largest + j), old_right = load(state.largest + j + W);
    Vector<R> left = old_left, right = old_right;
    for (index_t i = 0; i < n; ++i) {
      const Vector<R> x = load(scores + i * NR + j), y = load(scores + i * NR + j + W);
      left = x > left ? x : left;
      right = y > right ? y : right;
    }
    store<R>(state.largest + j, left);
    store<R>(state.largest + j + W, right);
    // A query that has seen nothing yet: any finite number will do, e^(-infinity) is 0 with each.
    const Vector<R> zero{}, lowest = broadcast(-infinity<R>);
    left = left == lowest ? zero : left;
    right = right == lowest ? zero : right;
    const Vector<R> decay_left = exp_of_negative(old_left - left);
    const Vector<R> decay_right = exp_of_negative(old_right - right);
    Vector<R> sum_left = load(state.sum + j) * decay_left;
    Vector<R> sum_right = load(state.sum + j + W) * decay_right;
    for (index_t i = 0; i < n; ++i) {
      R* row = scores + i * NR + j;
      const Vector<R> p = exp_of_negative(load(row) - left);
      const Vector<R> q = exp_of_negative(load(row + W) - right);
      sum_left += p;
      sum_right += q;
      store<R>(row, p);
      store<R>(row + W, q);
    }
    store<R>(state.sum + j, sum_left);
    store<R>(state.sum + j + W, sum_right);
    store<R>(decay + j, decay_left);
    store<R>(decay + j + W, decay_right);
  }
}

}  // namespace detail

/// Rows [t_begin, t_end) of y and of lse, the logarithm of the sum of e^score: all that backward
/// needs of the scores. A query that sees no key has y = 0 and lse = infinity.
template <class R, class T>
void attention_forward(const AttentionHead<R, T>& head, index_t t_begin, index_t t_end, Matrix<T> y,
                       R* lse) {
  using namespace detail;
  constexpr index_t NR = query_block<R>, MR = tile_rows<R>;
  const index_t size = head.size, queries = t_end - t_begin;
  const index_t blocks = parts(queries, NR);
  const KeyRange keys = visible_keys(head, t_end);
  const index_t tile = least(key_block<R>, keys.end - keys.begin);

  const ScratchFrame frame;
  R* packed_q = frame.array<R>(blocks * NR * size);
  R* packed_k = frame.array<R>(packed_size<MR>(tile, size));
  R* packed_v = frame.array<R>(packed_size<MR>(size, tile));
  R* scores = frame.array<R>(round_up(tile, MR) * NR);
  R* o = frame.array<R>(blocks * NR * size);
  R* largest = frame.array<R>(blocks * NR);
  R* sum = frame.array<R>(blocks * NR);
  alignas(64) R decay[static_cast<std::size_t>(NR)];
  pack_lanes(t_begin, queries, size, head.q, head.scale, packed_q);
  for (index_t i = 0; i < blocks * NR * size; ++i) o[i] = R(0);
  for (index_t i = 0; i < blocks * NR; ++i) {
    largest[i] = -infinity<R>;
    sum[i] = R(0);
  }

  for (index_t s = keys.begin; s < keys.end; s += tile) {
    const index_t depth = least(tile, keys.end - s);
    pack_a(depth, size, head.k.at(s, 0).data, head.k.row_stride, index_t{1}, packed_k);
    pack_a(size, depth, head.v.at(s, 0).data, index_t{1}, head.v.row_stride, packed_v);
    for (index_t block = 0; block < blocks; ++block) {
      const index_t t = t_begin + block * NR;
      const index_t n = seen_in_tile(head, s, depth, t);
      if (n == 0) continue;
      multiply_tile_rows(n, size, packed_k, packed_q + block * NR * size, scores);
      bias_and_mask(head, s, n, t, scores);
      R* o_block = o + block * NR * size;
      softmax_step<R>(n, scores, {largest + block * NR, sum + block * NR, o_block}, decay);
      weigh_values(size, n, depth, packed_v, scores, decay, o_block);
    }
  }

  for (index_t block = 0; block < blocks; ++block) {
    const index_t t = t_begin + block * NR, rows = least(NR, t_end - t);
    for (index_t j = 0; j < NR; ++j) {
      const R l = sum[block * NR + j];
      if (j < rows) {
        lse[t + j] = l == R(0) ? infinity<R> : largest[block * NR + j] + std::log(l);
      }
      decay[j] = l == R(0) ? R(0) : R(1) / l;
    }
    store_transposed(size, rows, o + block * NR * size, decay, y.at(t, 0));
  }
}

}  // namespace plume::kernel
