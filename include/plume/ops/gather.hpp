#pragma once
// gather along an axis: one element of x for each element of the index, as torch.gather. For axis 1 of 3:
//
//   y[i, j, k] = x[i, index[i, j, k], k]
//
//   index: rank of x; along the other axes no larger than x (what lies beyond is not read); y as index
//
//   dx[i, v, k] = sum of dy[i, j, k] over the j with index[i, j, k] = v
//
// A line along the axis is gathered, and its gradient added up, by one thread in order, so that two runs
// give the same bits.

#include "plume/autograd/var.hpp"
#include "plume/ops/ids.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo gather_info{.name = "gather",
                                    .formula = "y[i, j, k] = x[i, index[i, j, k], k]"};

namespace detail {

inline int check_gather(std::string_view op, const Shape& x, const Shape& index, index_t axis) {
  const int a = normalize_axis(op, axis, x.rank());
  bool ok = index.rank() == x.rank();
  for (int i = 0; ok && i < x.rank(); ++i) ok = i == a || index[i] <= x[i];
  if (!ok) {
    fail<ShapeError>(
        op, cat("an index of rank ", x.rank(), " no larger than ", x, " except along axis ", a),
        index);
  }
  return a;
}

/// move(element of x, element of y) for every element of y, line after line along `axis`; px and py point to
/// the first elements, ids is contiguous.
template <class X, class Y, Index I, class F>
void gather_loop(X* px, const Strides& x_strides, Y* py, const Strides& y_strides,
                 const Tensor<I>& ids, int axis, F move) {
  Dims lines = ids.shape();
  const index_t length = lines[axis];
  lines[axis] = 1;
  const Strides& id_strides = ids.strides();
  const I* const id = ids.data();
  const index_t sx = x_strides[axis], sy = y_strides[axis], si = id_strides[axis];
  if (length == 0) return;
  strided_loop<3>(Shape(lines), {x_strides, y_strides, id_strides}, 2 * length,
                  [=](index_t n, const auto& offset, const auto& step) {
                    X* x = px + offset[0];
                    Y* y = py + offset[1];
                    const I* at = id + offset[2];
                    const index_t tx = step[0], ty = step[1], ti = step[2];
                    if (si < ti || n == 1) {  // the way in which the index lies in memory
                      for (index_t line = 0; line < n; ++line, x += tx, y += ty, at += ti) {
                        for (index_t j = 0; j < length; ++j) {
                          move(x[static_cast<index_t>(at[j * si]) * sx], y[j * sy]);
                        }
                      }
                    } else {
                      for (index_t j = 0; j < length; ++j, y += sy, at += si) {
                        for (index_t line = 0; line < n; ++line) {
                          move(x[line * tx + static_cast<index_t>(at[line * ti]) * sx],
                               y[line * ty]);
                        }
                      }
                    }
                  });
}

}  // namespace detail

namespace definition {
template <Floating T, Index I>
Tensor<T> gather(const Tensor<T>& x, index_t axis, const Tensor<I>& index) {
  const int a = detail::check_gather("gather", x.shape(), index.shape(), axis);
  const Tensor<I> flat = index.contiguous();
  Tensor<T> y(index.shape());
  for (index_t i = 0; i < y.numel(); ++i) {
    index_t rest = i, offset = 0;
    for (int k = x.rank() - 1; k >= 0; --k) {
      const index_t at = rest % index.shape()[k];
      rest /= index.shape()[k];
      offset += (k == a ? static_cast<index_t>(flat.data()[i]) : at) * x.strides()[k];
    }
    y.data()[i] = x.data()[offset];
  }
  return y;
}
}  // namespace definition

/// y of the shape of `index`. Throws ValueError for an index outside [0, size of the axis), naming its place.
template <Floating T, Index I>
Tensor<T> gather(const Tensor<T>& x, index_t axis, const Tensor<I>& index) {
  detail::require_cpu("gather", x);
  const int a = detail::check_gather("gather", x.shape(), index.shape(), axis);
  const Tensor<I> ids = detail::checked_ids("gather", "an index", index, x.shape()[a]);
  Tensor<T> y(index.shape());
  detail::gather_loop(x.data(), x.strides(), y.data(), y.strides(), ids, a,
                      [](const T& from, T& to) { to = from; });
  return y;
}

/// dx of `shape` from dy. Repeated indices add up.
template <Floating T, Index I>
Tensor<T> gather_backward(const Tensor<T>& dy, const Shape& shape, index_t axis,
                          const Tensor<I>& index) {
  using A = accumulate_t<T>;
  const int a = detail::check_gather("gather_backward", shape, index.shape(), axis);
  if (!(dy.shape() == index.shape())) {
    fail<ShapeError>("gather_backward", cat("a gradient of shape ", index.shape()), dy.shape());
  }
  const Tensor<I> ids = detail::checked_ids("gather_backward", "an index", index, shape[a]);
  Tensor<A> dx = zeros<A>(shape);
  detail::gather_loop(dx.data(), dx.strides(), dy.data(), dy.strides(), ids, a,
                      [](A& to, const T& g) { to += static_cast<A>(g); });
  return dx.template cast<T>();
}

/// Differentiable in x.
template <Floating T, Index I>
Var<T> gather(const Var<T>& x, index_t axis, const Tensor<I>& index) {
  return record("gather", gather(x.value(), axis, index), inputs(x),
                [axis, index = Saved(index)](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += gather_backward(dy, dx.shape(), axis, *index);
                });
}

}  // namespace plume
