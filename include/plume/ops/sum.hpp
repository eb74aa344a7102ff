#pragma once
// sum over axes: y = sum_i x[.., i, ..].   dx = dy, stretched over the reduced axes.

#include "plume/autograd/var.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/reduce.hpp"

namespace plume {

inline constexpr OpInfo sum_info{.name = "sum", .formula = "y = sum of x over axes"};

namespace definition {
/// One element of x at a time, in row-major order.
template <Floating T>
Tensor<T> sum(const Tensor<T>& x, const Dims& axes = {}) {
  const Reduction reduction("sum", x.shape(), axes);
  const Tensor<T> rows = x.permute(reduction.order).clone();
  Tensor<T> y = zeros<T>(reduction.kept);
  for (index_t i = 0; i < rows.numel(); ++i) {
    T& total = y.data()[i / reduction.count];
    total = static_cast<T>(accumulate_t<T>(total) + accumulate_t<T>(rows.data()[i]));
  }
  return y;
}
}  // namespace definition

/// Sum over `axes` (none: all of them, to a scalar). keep_dims leaves them with size 1.
template <Floating T>
Tensor<T> sum(const Tensor<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  const Reduction reduction("sum", x.shape(), axes);
  if (!reduction.leading || x.device().is_cpu()) detail::require_cpu("sum", x);
  using A = accumulate_t<T>;
  Tensor<T> y;
  if (!x.device().is_cpu()) {  // gradients of biases and of whatever else was repeated along rows
    y = Tensor<T>(reduction.kept, x.device());
    sum_rows_cuda<T>(x.contiguous().data(), y.data(), reduction.count, y.numel());
  } else if (reduction.kept.numel() == 1 && x.is_contiguous()) {
    const T* px = x.data();
    const double total = parallel_reduce<double>(
        x.numel(), 1, 0.0,
        [=](index_t begin, index_t end) {
          return static_cast<double>(
              detail::sum_row<A>(px + begin, end - begin, [](A v) { return v; }));
        },
        [](double a, double b) { return a + b; });
    y = full<T>(reduction.kept, static_cast<T>(static_cast<A>(total)));
  } else if (reduction.leading && x.is_contiguous()) {
    y = Tensor<T>(reduction.kept);
    detail::sum_columns(x.data(), y.data(), reduction.count, y.numel());
  } else {
    y = detail::reduce_rows(x, reduction, [](const T* row, index_t n) {
      return detail::sum_row<A>(row, n, [](A v) { return v; });
    });
  }
  return keep_dims ? y.reshape(reduction.kept_ones) : y;
}

/// `g` summed to `shape`, from which it was broadcast: the gradient of broadcasting.
template <Floating T>
Tensor<T> sum_to(Tensor<T> g, const Shape& shape) {
  if (g.shape() == shape) return g;
  Dims axes;
  const int lead = g.rank() - shape.rank();
  for (int axis = 0; axis < g.rank(); ++axis) {
    if (axis < lead || (shape[axis - lead] == 1 && g.shape()[axis] != 1)) axes.push_back(axis);
  }
  if (axes.empty()) return g.reshape(shape);
  return sum(g, axes).reshape(shape);
}

/// dx for a sum over `axes` of a tensor of `shape`: a view of dy.
template <Floating T>
Tensor<T> sum_backward(const Tensor<T>& dy, const Shape& shape, const Dims& axes) {
  const Reduction reduction("sum_backward", shape, axes);
  return dy.reshape(reduction.kept_ones).broadcast_to(shape);
}

template <Floating T>
Var<T> sum(const Var<T>& x, const Dims& axes = {}, bool keep_dims = false) {
  return record("sum", sum(x.value(), axes, keep_dims), inputs(x),
                [shape = x.shape(), axes](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += sum_backward(dy, shape, axes);
                });
}

}  // namespace plume
