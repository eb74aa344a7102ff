#pragma once
// embedding: y[.., :] = table[ids[..], :]
//
//   table [V, D]   ids [..], integers in [0, V)   y [.., D]
//
//   dtable[v, :] = sum of dy[n, :] over the places n with ids[n] = v
//
// The gradient is added straight into that of the table: only rows that occur are touched, and each row
// is summed in the order of the places, so that two runs give the same bits.

#include "plume/autograd/var.hpp"
#include "plume/ops/ids.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo embedding_info{.name = "embedding", .formula = "y = table[ids]"};

namespace definition {
template <Floating T, Index I>
Tensor<T> embedding(const Tensor<T>& table, const Tensor<I>& ids) {
  Dims shape = ids.shape();
  shape.push_back(table.size(1));
  const Tensor<I> flat = ids.contiguous();
  Tensor<T> y{Shape(shape)};
  for (index_t i = 0; i < y.numel(); ++i) {
    const index_t D = table.size(1);
    y.data()[i] = table(flat.data()[i / D], i % D);
  }
  return y;
}
}  // namespace definition

/// Rows of `table`. Throws ValueError for an id outside [0, V), naming it and its place.
template <Floating T, Index I>
Tensor<T> embedding(const Tensor<T>& table, const Tensor<I>& ids) {
  detail::require_cpu("embedding", table);
  if (table.rank() != 2) fail<ShapeError>("embedding", "a table [V, D]", table.shape());
  const Tensor<I> flat = detail::checked_ids("embedding", "ids", ids, table.size(0));
  const index_t D = table.size(1);
  Dims shape = ids.shape();
  shape.push_back(D);
  Tensor<T> y{Shape(shape)};
  const index_t row = table.strides()[0], col = table.strides()[1];
  const T* const from = table.data();
  T* const to = y.data();
  const I* const id = flat.data();
  parallel_for(flat.numel(), D / 2 + 2, [=](index_t begin, index_t end) {
    for (index_t n = begin; n < end; ++n) {
      const T* x = from + static_cast<index_t>(id[n]) * row;
      T* out = to + n * D;
      if (col == 1) {
        for (index_t d = 0; d < D; ++d) out[d] = x[d];
      } else {
        for (index_t d = 0; d < D; ++d) out[d] = x[d * col];
      }
    }
  });
  return y;
}

namespace detail {

/// The places 0..N-1 ordered by id, equal ids by place: a radix sort of 12 bits at a time.
template <Index I>
Tensor<index_t> order_by_id(const Tensor<I>& ids, index_t bound) {
  constexpr index_t digits = 4096;
  const index_t N = ids.numel();
  Tensor<index_t> order = arange<index_t>(N), sorted(Shape{N}), start(Shape{digits});
  for (int shift = 0; shift < 63 && (bound - 1) >> shift > 0; shift += 12) {
    const auto digit = [id = ids.data(), shift](index_t n) {
      return static_cast<index_t>(id[n]) >> shift & (digits - 1);
    };
    index_t* const s = start.fill(0).data();
    for (index_t n = 0; n < N; ++n) ++s[digit(n)];
    for (index_t d = 0, total = 0; d < digits; ++d) total += std::exchange(s[d], total);
    for (index_t i = 0; i < N; ++i) {
      const index_t n = order.data()[i];
      sorted.data()[s[digit(n)]++] = n;
    }
    std::swap(order, sorted);
  }
  return order;
}

inline constexpr index_t embedding_strip = 512;

/// out[d] += alpha * sum of from[place[i] * D + d] over `count` places, for d < width <= embedding_strip.
template <class T, class A>
void add_rows(const T* from, index_t D, const index_t* place, index_t count, T* out, index_t width,
              A alpha) {
  if (count == 1) {  // most rows occur once
    const T* g = from + *place * D;
    PLUME_SIMD
    for (index_t d = 0; d < width; ++d) {
      out[d] = static_cast<T>(static_cast<A>(out[d]) + alpha * static_cast<A>(g[d]));
    }
    return;
  }
  A sum[embedding_strip] = {};
  for (index_t i = 0; i < count; ++i) {
    const T* g = from + place[i] * D;
    PLUME_SIMD
    for (index_t d = 0; d < width; ++d) sum[d] += static_cast<A>(g[d]);
  }
  PLUME_SIMD
  for (index_t d = 0; d < width; ++d) {
    out[d] = static_cast<T>(static_cast<A>(out[d]) + alpha * sum[d]);
  }
}

}  // namespace detail

/// table[ids[n], :] += alpha dy[n, :] for every place n of dy [.., D]. `table` has contiguous rows.
template <Floating T, Index I>
void embedding_scatter_add(Tensor<T>& table, const Tensor<T>& dy, const Tensor<I>& ids,
                           accumulate_t<T> alpha = 1) {
  detail::require_cpu("embedding_scatter_add", dy);
  if (table.rank() != 2 || (table.size(1) > 1 && table.strides()[1] != 1)) {
    fail<ShapeError>("embedding_scatter_add", "a table [V, D] with contiguous rows",
                     cat(table.shape(), " with strides ", table.strides()));
  }
  Dims shape = ids.shape();
  shape.push_back(table.size(1));
  if (!(dy.shape() == Shape(shape))) {
    fail<ShapeError>("embedding_scatter_add", cat("a gradient of shape ", shape), dy.shape());
  }
  const Tensor<I> flat = detail::checked_ids("embedding_scatter_add", "ids", ids, table.size(0));
  const Tensor<index_t> order = detail::order_by_id(flat, table.size(0));
  const Tensor<T> rows = dy.contiguous();
  const index_t N = flat.numel(), D = table.size(1), table_row = table.strides()[0];
  const I* const id = flat.data();
  const index_t* const place = order.data();
  const T* const from = rows.data();
  T* const to = table.data();
  // A task: the runs of equal ids that begin among `block` places, in a strip of columns. One id that
  // has most of the places is divided by columns still.
  constexpr index_t strip = detail::embedding_strip, block = 16;
  const index_t strips = (D + strip - 1) / strip;
  parallel_for(
      (N + block - 1) / block * strips, block * strip / 2, [=](index_t begin, index_t end) {
        for (index_t task = begin; task < end; ++task) {
          const index_t column = task % strips * strip;
          const index_t width = std::min(strip, D - column);
          const index_t stop = std::min(N, (task / strips + 1) * block);
          index_t i = task / strips * block;
          while (i > 0 && i < stop && id[place[i]] == id[place[i - 1]]) ++i;
          while (i < stop) {
            const I row = id[place[i]];
            const index_t first = i;
            while (i < N && id[place[i]] == row) ++i;
            detail::add_rows(from + column, D, place + first, i - first,
                             to + static_cast<index_t>(row) * table_row + column, width, alpha);
          }
        }
      });
}

/// dtable [V, D] from dy [.., D].
template <Floating T, Index I>
Tensor<T> embedding_backward(const Tensor<T>& dy, const Tensor<I>& ids, index_t V) {
  if (dy.rank() < 1) fail<ShapeError>("embedding_backward", "dy [.., D]", dy.shape());
  Tensor<T> dtable = zeros<T>(Shape{V, dy.size(-1)});
  embedding_scatter_add(dtable, dy, ids);
  return dtable;
}

namespace detail {

/// The rows of a gradient that ids name, as GradSink::part wants it.
template <Floating T, Index I>
struct RowsOf {
  Saved<I> ids;
  struct Rows {
    Tensor<T>& table;
    const Tensor<I>& ids;
    void add(const Tensor<T>& dy, accumulate_t<T> alpha) const {
      embedding_scatter_add(table, dy, ids, alpha);
    }
  };
  Rows operator()(Tensor<T>& table) const { return {table, *ids}; }
};

}  // namespace detail

/// Differentiable in the table. A frozen table costs nothing.
template <Floating T, Index I>
Var<T> embedding(const Var<T>& table, const Tensor<I>& ids) {
  return record("embedding", embedding(table.value(), ids), inputs(table),
                [rows = detail::RowsOf<T, I>{Saved(ids)}](const Tensor<T>& dy, GradSink<T> dtable) {
                  if (dtable) dtable.part(rows) += dy;
                });
}

}  // namespace plume
