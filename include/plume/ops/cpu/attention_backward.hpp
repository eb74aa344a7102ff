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

/// What backward reads and writes besides the head itself. A null output is not wanted.
template <class R, class T>
struct AttentionGradient {
  Matrix<const T> dy, y;  ///< y: for dq and dk only
  const R* lse;
  Matrix<T> dk, dv;
  R* dq;  ///< one part of dq: see dq_part_size and store_dq
};

/// Elements of one part of dq: blocks of queries, each transposed.
template <class R>
constexpr index_t dq_part_size(index_t queries, index_t size) noexcept {
  return detail::round_up(queries, query_block<R>) * size;
}

/// dq = scale * the sum of `count` parts, `stride` elements apart.
template <class R, class T>
void store_dq(index_t queries, index_t size, R scale, R* part, index_t count, index_t stride,
              Matrix<T> dq) noexcept {
  constexpr index_t NR = query_block<R>, W = vector_size<R>;
  alignas(64) R factor[static_cast<std::size_t>(NR)];
  for (R& f : factor) f = scale;
  for (index_t t = 0; t < queries; t += NR) {
    R* block = part + t * size;
    for (index_t p = 1; p < count; ++p) {
      for (index_t i = 0; i < NR * size; i += W) {
        store<R>(block + i, load(block + i) + load(block + p * stride + i));
      }
    }
    detail::store_transposed(size, detail::least(NR, queries - t), block, factor, dq.at(t, 0));
  }
}

namespace detail {

// c[i][0..NR) += sum over k < depth of a[i * NR + k] b[k * NR + 0..NR): the tile of the micro-kernel with a
// left operand that lies by rows, as a tile of probabilities does when its queries are summed over.
template <class R, std::size_t... I>
inline void add_product(index_t depth, const R* a, const R* b, R* c, index_t c_stride,
                        std::index_sequence<I...>) noexcept {
  constexpr index_t NR = query_block<R>, W = vector_size<R>;
  TileRow<R> row[sizeof...(I)] = {{load(c + static_cast<index_t>(I) * c_stride),
                                   load(c + static_cast<index_t>(I) * c_stride + W)}...};
  for (index_t k = 0; k < depth; ++k, b += NR) {
    Vector<R> left = load(b), right = load(b + W);
    pin(left);
    pin(right);
    (multiply_add(row[I], a[static_cast<index_t>(I) * NR + k], left, right), ...);
  }
  ((store<R>(c + static_cast<index_t>(I) * c_stride, row[I].left),
    store<R>(c + static_cast<index_t>(I) * c_stride + W, row[I].right)),
   ...);
}

/// c[n][size] += a[n][depth] b[depth][size]; rows of a are query_block apart, b is packed, c has room for
/// whole tiles.
template <class R>
void add_products(index_t n, index_t size, index_t depth, const R* a, const R* b, R* c,
                  index_t c_stride) noexcept {
  constexpr index_t MR = tile_rows<R>, NR = query_block<R>;
  constexpr auto full = static_cast<std::size_t>(MR);
  for (index_t i = 0; i < n; i += MR) {
    const R* rows = a + i * NR;
    for (index_t j = 0; j < size; j += NR) {
      R* to = c + i * c_stride + j;
      if (n - i > MR * 2 / 3) {
        add_product<R>(depth, rows, b + j * NR, to, c_stride, std::make_index_sequence<full>{});
      } else if (n - i > MR / 3) {
        add_product<R>(depth, rows, b + j * NR, to, c_stride,
                       std::make_index_sequence<full * 2 / 3>{});
      } else {
        add_product<R>(depth, rows, b + j * NR, to, c_stride, std::make_index_sequence<full / 3>{});
      }
    }
  }
}

/// Packs rows [t, t + n) of x, block by block, as right operands with a lane per column.
template <class R, class T>
void pack_rows(index_t n, index_t size, Matrix<const T> x, R* packed) noexcept {
  constexpr index_t NR = query_block<R>;
  const index_t width = round_up(size, NR);
  for (index_t t = 0; t < n; t += NR) {
    const index_t rows = least(NR, n - t);
    for (index_t c = 0; c < size; c += NR) {
      pack_panel<query_block<R>>(least(NR, size - c), rows, x.at(t, c).data, index_t{1},
                                 x.row_stride, packed + t * width + c * NR);
    }
  }
}

/// scores = P; where wanted, products (dP) = dS. Rows from n to the end of their tile become 0.
template <class R>
void probabilities(index_t n, const R* lse, R* scores) noexcept {
  constexpr index_t NR = query_block<R>, W = vector_size<R>;
  for (index_t j = 0; j < NR; j += W) {
    const Vector<R> total = load(lse + j);
    for (index_t i = 0; i < n; ++i) {
      R* row = scores + i * NR + j;
      store<R>(row, exp_of_negative(load(row) - total));
    }
  }
  for (index_t i = n * NR; i < round_up(n, tile_rows<R>) * NR; ++i) scores[i] = R(0);
}
template <class R>
void score_gradients(index_t n, const R* p, const R* delta, R* products) noexcept {
  constexpr index_t NR = query_block<R>, W = vector_size<R>;
  for (index_t j = 0; j < NR; j += W) {
    const Vector<R> d = load(delta + j);
    for (index_t i = 0; i < n; ++i) {
      R* row = products + i * NR + j;
      store<R>(row, load(p + i * NR + j) * (load(row) - d));
    }
  }
  for (index_t i = n * NR; i < round_up(n, tile_rows<R>) * NR; ++i) products[i] = R(0);
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
  constexpr index_t NR = query_block<R>, MR = tile_rows<R>;
  const index_t size = head.size, queries = head.queries;
  const index_t blocks = parts(queries, NR), width = round_up(size, NR);
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
  R* q_lanes = frame.array<R>(blocks * NR * size);
  R* dy_lanes = array_if(want_ds, blocks * NR * size);
  R* q_rows = array_if(want_dk, blocks * NR * width);
  R* dy_rows = array_if(want_dv, blocks * NR * width);
  R* lse = frame.array<R>(blocks * NR);
  R* delta = frame.array<R>(blocks * NR);
  R* k_keys = frame.array<R>(tile_up * size);
  R* v_keys = array_if(want_ds, tile_up * size);
  R* k_columns = array_if(want_dq, packed_size<MR>(size, tile));
  R* p = frame.array<R>(tile_up * NR);
  R* ds = array_if(want_ds, tile_up * NR);
  R* dk = array_if(want_dk, tile_up * width);
  R* dv = array_if(want_dv, tile_up * width);
  alignas(64) R no_decay[static_cast<std::size_t>(NR)];
  for (R& d : no_decay) d = R(1);

  pack_lanes(0, queries, size, head.q, head.scale, q_lanes);
  if (want_ds) pack_lanes(0, queries, size, grad.dy, R(1), dy_lanes);
  if (want_dk) pack_rows(queries, size, head.q, q_rows);
  if (want_dv) pack_rows(queries, size, grad.dy, dy_rows);
  for (index_t t = 0; t < blocks * NR; ++t) {
    const bool real = t < queries;  // the lanes behind the last query have P = 0
    lse[t] = real ? grad.lse[t] : infinity<R>;
    delta[t] =
        real && want_ds ? dot_row<R>(grad.dy.at(t, 0).data, grad.y.at(t, 0).data, size) : R(0);
  }
  if (want_dq) {
    for (index_t i = 0; i < blocks * NR * size; ++i) grad.dq[i] = R(0);
  }
  const auto clear_rows = [&](index_t begin, index_t end) {
    for (index_t s = begin; s < end; ++s) {
      for (index_t c = 0; c < size; ++c) {
        if (want_dk) grad.dk.at(s, c).data[0] = static_cast<T>(R(0));
        if (want_dv) grad.dv.at(s, c).data[0] = static_cast<T>(R(0));
      }
    }
  };
  clear_rows(s_begin, keys.begin);
  clear_rows(keys.end, s_end);

  for (index_t s = keys.begin; s < keys.end; s += tile) {
    const index_t depth = least(tile, keys.end - s);
    const auto k = head.k.at(s, 0), v = want_ds ? head.v.at(s, 0) : head.k;
    pack_a(depth, size, k.data, k.row_stride, index_t{1}, k_keys);
    if (want_ds) pack_a(depth, size, v.data, v.row_stride, index_t{1}, v_keys);
    if (want_dq) pack_a(size, depth, k.data, index_t{1}, k.row_stride, k_columns);
    for (index_t i = 0; i < tile_up * width; ++i) {
      if (want_dk) dk[i] = R(0);
      if (want_dv) dv[i] = R(0);
    }
    const index_t first = head.causal ? most(0, s - head.offset) / NR : 0;
    for (index_t block = first; block < blocks; ++block) {
      const index_t t = block * NR, rows = least(NR, queries - t);
      const index_t n = seen_in_tile(head, s, depth, t);
      if (n == 0) continue;
      multiply_tile_rows(n, size, k_keys, q_lanes + t * size, p);
      bias_and_mask(head, s, n, t, p);
      probabilities(n, lse + t, p);
      if (want_dv) add_products(n, size, rows, p, dy_rows + t * width, dv, width);
      if (!want_ds) continue;
      multiply_tile_rows(n, size, v_keys, dy_lanes + t * size, ds);
      score_gradients(n, p, delta + t, ds);
      if (want_dk) add_products(n, size, rows, ds, q_rows + t * width, dk, width);
      if (want_dq) weigh_values(size, n, depth, k_columns, ds, no_decay, grad.dq + t * size);
    }
    if (want_dk) store_rows(depth, size, head.scale, dk, width, grad.dk.at(s, 0));
    if (want_dv) store_rows(depth, size, R(1), dv, width, grad.dv.at(s, 0));
  }
}

}  // namespace plume::kernel
