#pragma once
// Fused attention, backward of one head. The scores are computed again, tile by tile, and softmax comes
// from lse (Dao et al., arXiv 2205.14135, algorithm 4). With P = e^(scale q k^T + bias - lse) and
// delta_t = sum_c dy[t][c] y[t][c]:
//
//   dP = dy v^T     dS = P (dP - delta)     dv = P^T dy     dk = scale dS^T q     dq = scale dS k
//
// Five matrix products of a tile. dk and dv are complete within a call; dq is a sum over the calls for
// different keys, which the caller adds up in order.

#include "plume/ops/cpu/attention_tile.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {

/// What backward reads and writes besides the head itself. A null output is not wanted.
template <class R, class T>
struct AttentionGradient {
  Matrix<const T> dy, y;  ///< y: for dq and dk only
  const R* lse;
  Matrix<T> dk, dv;
  R* dq;  ///< one part of dq: see dq_part_size and store_dq
};

/// Elements of one part of dq: tiles of queries, each transposed.
template <class R>
constexpr index_t dq_part_size(index_t queries, index_t size) noexcept {
  return detail::round_up(queries, vector_size<R>) * detail::round_up(size, tile_rows<R>);
}

/// dq = scale * the sum of `count` parts, `stride` elements apart.
template <class R, class T>
void store_dq(index_t queries, index_t size, R scale, R* part, index_t count, index_t stride,
              Matrix<T> dq) noexcept {
  constexpr index_t N = query_block<R>, W = vector_size<R>;
  const index_t rows = detail::round_up(size, tile_rows<R>);
  for (index_t p = 1; p < count; ++p) {
    for (index_t i = 0; i < dq_part_size<R>(queries, size); i += W) {
      store<R>(part + i, load(part + i) + load(part + p * stride + i));
    }
  }
  alignas(64) R factor[static_cast<std::size_t>(N)];
  for (R& f : factor) f = scale;
  for (index_t t = 0; t < queries; t += N) {
    const index_t here = detail::least(N, queries - t);
    detail::store_transposed(size, here, part + t * rows, detail::vectors_of<R>(here) * W, factor,
                             dq.at(t, 0));
  }
}

namespace detail {

/// c[n][size] += a[n][depth] b[depth][size], where c has `old` rows and the others begin here; returns how many
/// it has now: n, or a few more if as many rows of a are 0. a by rows, b packed `room` deep, room in c for whole
/// tiles.
template <class R>
index_t add_products(index_t n, index_t size, index_t depth, const R* a, const R* b, index_t room,
                     R* c, index_t c_stride, index_t old) noexcept {
  constexpr index_t N = tile_cols<R>;
  for (index_t j = 0; j < size; j += N) {
    if (old > 0) {
      lane_products<false>(least(n, old), depth, a, 0, b + j * room, N, 2,
                           LaneResult<R>{.c = c + j, .stride = c_stride, .add = true});
    }
    if (n > old) {
      lane_products<false>(n - old, depth, a + old * N, 0, b + j * room, N, 2,
                           LaneResult<R>{.c = c + old * c_stride + j, .stride = c_stride});
    }
  }
  return most(old, round_up(n, tile_rows<R> / 3));
}

/// Packs n rows of x, a tile of rows after the other, as right operands with a lane per column.
template <class R, class T>
void pack_rows(index_t n, index_t size, Matrix<const T> x, R* packed) noexcept {
  constexpr index_t N = query_block<R>, W = vector_size<R>;
  const index_t width = round_up(size, N);
  for (index_t t = 0; t < n; t += N) {
    const index_t rows = least(N, n - t), room = rows <= W ? W : N;
    for (index_t c = 0; c < size; c += N) {
      R* to = packed + t * width + c * room;
      if (size - c < N) {
        pack_panel<query_block<R>>(size - c, rows, x.at(t, c).data, index_t{1}, x.row_stride, to);
        continue;
      }
      for (index_t i = 0; i < rows; ++i)
        copy_lanes<query_block<R>>(x.at(t + i, c).data, to + i * N);
    }
  }
}

/// The first `rows` rows of c times `factor`.
template <class R, class T>
void store_rows(index_t rows, index_t cols, R factor, const R* c, index_t stride,
                Matrix<T> out) noexcept {
  for (index_t i = 0; i < rows; ++i) {
    T* to = out.data + i * out.row_stride;
    const R* from = c + i * stride;
    PLUME_SIMD
    for (index_t j = 0; j < cols; ++j) to[j] = static_cast<T>(from[j] * factor);
  }
}

template <class R, class T>
R dot_row(const T* a, const T* b, index_t n) noexcept {
  R sum = 0;
  PLUME_SIMD_SUM(sum)
  for (index_t i = 0; i < n; ++i) sum += static_cast<R>(a[i]) * static_cast<R>(b[i]);
  return sum;
}

}  // namespace detail

/// Rows [s_begin, s_end) of dk and dv, and what these keys contribute to dq.
template <class R, class T>
void attention_backward(const AttentionHead<R, T>& head, const AttentionGradient<R, T>& grad,
                        index_t s_begin, index_t s_end) {
  using namespace detail;
  constexpr index_t N = query_block<R>, W = vector_size<R>, MR = tile_rows<R>;
  const index_t size = head.size, queries = head.queries;
  const index_t lanes = round_up(queries, W);
  const index_t width = round_up(size, tile_cols<R>), stride = round_up(size, MR);
  const bool want_dk = grad.dk.data != nullptr, want_dv = grad.dv.data != nullptr;
  const bool want_dq = grad.dq != nullptr, want_ds = want_dq || want_dk;
  KeyRange keys = visible_keys(head, queries);
  keys.begin = least(most(keys.begin, s_begin), s_end);
  keys.end = most(least(keys.end, s_end), keys.begin);
  const index_t tile = least(key_block<R>, keys.end - keys.begin);
  const index_t tile_up = round_up(tile, MR);

  const ScratchFrame frame;
  const auto array_if = [&frame](bool wanted, index_t n) {
    return wanted ? frame.array<R>(n) : nullptr;
  };
  R* q_lanes = frame.array<R>(lanes * size);
  R* dy_lanes = array_if(want_ds, lanes * size);
  R* q_rows = array_if(want_dk, lanes * width);
  R* dy_rows = array_if(want_dv, lanes * width);
  R* lse = frame.array<R>(lanes);
  R* delta = frame.array<R>(lanes);
  R* k_keys = frame.array<R>(tile_up * size);
  R* v_keys = array_if(want_ds, tile_up * size);
  R* k_columns = array_if(want_dq, packed_size<MR>(size, tile));
  R* p = frame.array<R>((tile_up + row_group) * N);
  R* ds = array_if(want_ds, (tile_up + row_group) * N);
  R* dk = array_if(want_dk, tile_up * width);
  R* dv = array_if(want_dv, tile_up * width);

  const index_t ahead = parts(tile, parts(most(1, queries), N));
  const auto prefetch_keys = [&](index_t begin, index_t end) {
    prefetch_rows(head.k, begin, end, size);
    if (want_ds) prefetch_rows(head.v, begin, end, size);
  };
  prefetch_keys(keys.begin, keys.begin + tile);
  pack_lanes(0, queries, size, head.q, head.scale * log2_e<R>, q_lanes);
  if (want_ds) pack_lanes(0, queries, size, grad.dy, R(1), dy_lanes);
  if (want_dk) pack_rows(queries, size, head.q, q_rows);
  if (want_dv) pack_rows(queries, size, grad.dy, dy_rows);
  for (index_t t = 0; t < lanes; ++t) {
    const bool real = t < queries;  // the lanes behind the last query have P = 0
    lse[t] = real ? grad.lse[t] * log2_e<R> : infinity<R>;
    delta[t] = R(0);
    if (!real || !want_ds) continue;
    prefetch_rows(grad.y, least(t + N, queries), least(t + N + 1, queries), size);
    delta[t] = dot_row<R>(grad.dy.at(t, 0).data, grad.y.at(t, 0).data, size);
  }
  const auto clear = [](R* x, index_t n) {
    for (index_t i = 0; x != nullptr && i < n; ++i) x[i] = R(0);
  };
  const auto clear_rows = [&](index_t begin, index_t end) {
    for (index_t s = begin; s < end; ++s) {
      for (index_t c = 0; c < size; ++c) {
        if (want_dk) grad.dk.at(s, c).data[0] = static_cast<T>(R(0));
        if (want_dv) grad.dv.at(s, c).data[0] = static_cast<T>(R(0));
      }
    }
  };
  if (keys.begin == keys.end) clear(grad.dq, lanes * stride);
  clear_rows(s_begin, keys.begin);
  clear_rows(keys.end, s_end);

  for (index_t s = keys.begin; s < keys.end; s += tile) {
    const index_t depth = least(tile, keys.end - s);
    const auto k = head.k.at(s, 0), v = want_ds ? head.v.at(s, 0) : head.k;
    pack_a(depth, size, k.data, k.row_stride, index_t{1}, k_keys);
    if (want_ds) pack_a(depth, size, v.data, v.row_stride, index_t{1}, v_keys);
    if (want_dq) pack_a(size, depth, k.data, index_t{1}, k.row_stride, k_columns);
    const bool first = s == keys.begin;
    index_t dk_rows = 0, dv_rows = 0;  // rows that are there: later queries see more keys
    for (index_t t = 0; t < queries; t += N) {
      const index_t next = s + tile + t / N * ahead;
      prefetch_keys(next, least(next + ahead, keys.end));
      const index_t rows = least(N, queries - t);
      const index_t vectors = vectors_of<R>(rows), room = vectors * W;
      const index_t n = seen_in_tile(head, s, depth, t + rows);
      if (n == 0) {
        if (first) clear(want_dq ? grad.dq + t * stride : nullptr, room * stride);
        continue;
      }
      lane_products<true>(n, size, k_keys, size, q_lanes + t * size, room, vectors,
                          LaneResult<R>{p, N});
      bias_and_mask(head, s, n, t, room, p);
      for (index_t j = 0; j < room; j += W) powers<R>(n, N, load(lse + t + j), p + j);
      if (want_dv) {
        dv_rows = add_products(n, size, rows, p, dy_rows + t * width, room, dv, width, dv_rows);
      }
      if (!want_ds) continue;
      lane_products<true>(n, size, v_keys, size, dy_lanes + t * size, room, vectors,
                          LaneResult<R>{.c = ds, .stride = N, .p = p, .delta = delta + t});
      if (want_dk) {
        dk_rows = add_products(n, size, rows, ds, q_rows + t * width, room, dk, width, dk_rows);
      }
      if (want_dq) {
        lane_products<true>(
            size, n, k_columns, depth, ds, N, vectors,
            LaneResult<R>{.c = grad.dq + t * stride, .stride = room, .add = !first});
      }
    }
    if (want_dk) clear(dk + dk_rows * width, (depth - least(depth, dk_rows)) * width);
    if (want_dv) clear(dv + dv_rows * width, (depth - least(depth, dv_rows)) * width);
    if (want_dk) store_rows(depth, size, head.scale, dk, width, grad.dk.at(s, 0));
    if (want_dv) store_rows(depth, size, R(1), dv, width, grad.dv.at(s, 0));
  }
}

}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
