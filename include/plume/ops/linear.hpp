#pragma once
// linear: y = x w^T + b, the layer of that name.
//
//   x [.., K]   w [N, K] (as PyTorch stores it)   b [N], optional   y [.., N]
//
//   dx = dy w    dw = dy^T x    db = sum of dy over all rows
//
// Every gradient is one matrix product, however many axes x has. A frozen w keeps no x, a frozen x no w.

#include "plume/ops/columns.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/product_operands.hpp"

namespace plume {

inline constexpr OpInfo linear_info{.name = "linear", .formula = "y = x w^T + b", .device = true};

namespace definition {
template <Floating T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b = {}) {
  const Tensor<T> rows = x.rank() == 1 ? x.unsqueeze(0) : x;
  Tensor<T> y = definition::matmul(rows, w.transpose(0, 1));
  if (b.defined()) y = each<T>([](double u, double v) { return u + v; }, y.shape(), y, b);
  return x.rank() == 1 ? y.squeeze(0) : y;
}
}  // namespace definition

namespace detail {

template <Floating T>
Tensor<T> at_least_a_row(const Tensor<T>& x) {
  return x.rank() == 1 ? x.unsqueeze(0) : x;
}

/// The shape of y.
template <Floating T>
Shape check_linear(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) {
  if (w.rank() != 2) fail<ShapeError>("linear", "w [N, K]", w.shape());
  if (x.rank() < 1 || x.size(-1) != w.size(1)) {
    fail<ShapeError>("linear", cat("x of shape [.., ", w.size(1), "] for w of shape ", w.shape()),
                     x.shape());
  }
  if (b.defined() && !(b.shape() == Shape{w.size(0)})) {
    fail<ShapeError>("linear", cat("bias of shape ", Shape{w.size(0)}), b.shape());
  }
  x.require_same_device("linear", w);
  if (b.defined()) x.require_same_device("linear", b);
  Dims shape = x.shape();
  shape[x.rank() - 1] = w.size(0);
  return Shape(shape);
}

}  // namespace detail

/// y [.., N]. `b` may be undefined.
template <Floating T>
Tensor<T> linear(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b = {}) {
  const Shape shape = detail::check_linear(x, w, b);
  // The product is added to the bias, which costs no pass over y of its own.
  const Tensor<T> y = b.defined() ? b.broadcast_to(shape).clone() : Tensor<T>(shape, x.device());
  Tensor<T> rows = detail::at_least_a_row(y);
  detail::product_into(detail::at_least_a_row(x), w.transpose(0, 1), rows, b.defined());
  return y;
}

/// dx from dy [.., N] and w.
template <Floating T>
Tensor<T> linear_backward_x(const Tensor<T>& dy, const Tensor<T>& w) {
  return linear(dy, w.transpose(0, 1));
}

/// dw [N, K] from dy [.., N] and x [.., K].
template <Floating T>
Tensor<T> linear_backward_w(const Tensor<T>& dy, const Tensor<T>& x) {
  return detail::product(detail::at_least_a_row(dy).transpose(-1, -2), detail::at_least_a_row(x),
                         Shape{dy.size(-1), x.size(-1)});
}

/// db [N] from dy [.., N].
template <Floating T>
Tensor<T> linear_backward_b(const Tensor<T>& dy) {
  const index_t N = dy.size(-1);
  const Tensor<T> rows = dy.contiguous();
  Tensor<T> db = zeros<T>(Shape{N}, dy.device());
  if (dy.numel() == 0) return db;
  if (dy.device().is_cpu()) {
    detail::sum_columns(rows.data(), db.data(), dy.numel() / N, N);
  } else {
    sum_rows_cuda<T>(rows.data(), db.data(), dy.numel() / N, N);
  }
  return db;
}

/// Differentiable in x, w and b (which may be an undefined Var: no bias).
template <Floating T>
Var<T> linear(const Var<T>& x, const Var<T>& w, const Var<T>& b = {}) {
  const detail::ProductOperands<T> operands("linear");
  const Tensor<T> rows = operands.round(x.value());
  return record("linear", operands.result(linear(rows, operands.round(w.value()), b.value())),
                inputs(x, w, b),
                [operands, x = operands.keep_if(w.requires_grad(), rows),
                 w = saved_if(x.requires_grad(), w.value())](const Tensor<T>& dy, GradSink<T> dx,
                                                             GradSink<T> dw, GradSink<T> db) {
                  const Tensor<T> g = operands.round(dy);
                  if (dx) dx += linear_backward_x(g, operands.round(*w));
                  if (dw) dw += linear_backward_w(g, x.value());
                  if (db) db += linear_backward_b(dy);
                });
}

}  // namespace plume
