#pragma once
// matmul: y = a b over the last two axes.
//
//   a [.., M, K]   b [.., K, N]   y [.., M, N]       batch axes broadcast
//
//   da = dy b^T    db = a^T dy                       summed over broadcast batch axes
//
// A transposed operand is a view, a.transpose(-1, -2), and is not copied.

#include "plume/autograd/var.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/product.hpp"
#include "plume/ops/product_operands.hpp"

namespace plume {

inline constexpr OpInfo matmul_info{.name = "matmul", .formula = "y = a b", .device = true};

namespace detail {

/// The shape of a b; throws ShapeError where there is none.
template <Floating T>
Shape matmul_shape(std::string_view op, const Tensor<T>& a, const Tensor<T>& b) {
  if (a.rank() < 2 || b.rank() < 2 || a.shape().back() != b.shape()[b.rank() - 2]) {
    fail<ShapeError>(op, "a [.., M, K] and b [.., K, N]", cat(a.shape(), " and ", b.shape()));
  }
  a.require_same_device(op, b);
  Dims out = broadcast_shapes(op, batch_axes(a.shape()), batch_axes(b.shape()));
  out.push_back(a.shape()[a.rank() - 2]);
  out.push_back(b.shape().back());
  return Shape(out);
}

}  // namespace detail

namespace definition {
template <Floating T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b) {
  const Shape shape = detail::matmul_shape("matmul", a, b);
  const auto stretched = [&shape](const Tensor<T>& x) {
    Dims full = shape;
    full[shape.rank() - 2] = x.size(-2);
    full[shape.rank() - 1] = x.size(-1);
    return x.broadcast_to(Shape(full)).clone();
  };
  const Tensor<T> as = stretched(a);
  const Tensor<T> bs = stretched(b);
  Tensor<T> y(shape);
  const index_t M = a.size(-2), N = b.size(-1), K = a.size(-1);
  for (index_t i = 0; i < y.numel(); ++i) {
    const index_t row = i / N, batch = row / M;
    double sum = 0;
    for (index_t k = 0; k < K; ++k) {
      sum += static_cast<double>(as.data()[row * K + k]) *
             static_cast<double>(bs.data()[(batch * K + k) * N + i % N]);
    }
    y.data()[i] = static_cast<T>(static_cast<accumulate_t<T>>(sum));
  }
  return y;
}
}  // namespace definition

/// a b. Both have at least two axes. Throws ShapeError where the inner sizes or the batch axes disagree.
template <Floating T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::product(a, b, detail::matmul_shape("matmul", a, b));
}

/// da of the shape of a, from dy and b.
template <Floating T>
Tensor<T> matmul_backward_a(const Tensor<T>& dy, const Tensor<T>& b, const Shape& shape) {
  detail::matmul_shape("matmul_backward_a", dy, b.transpose(-1, -2));
  return detail::product(dy, b.transpose(-1, -2), shape);
}

/// db of the shape of b, from dy and a.
template <Floating T>
Tensor<T> matmul_backward_b(const Tensor<T>& dy, const Tensor<T>& a, const Shape& shape) {
  detail::matmul_shape("matmul_backward_b", a.transpose(-1, -2), dy);
  return detail::product(a.transpose(-1, -2), dy, shape);
}

template <Floating T>
Var<T> matmul(const Var<T>& a, const Var<T>& b) {
  const detail::ProductOperands<T> operands("matmul");
  const Tensor<T> x = operands.round(a.value()), z = operands.round(b.value());
  return record("matmul", operands.result(matmul(x, z)), inputs(a, b),
                [operands, x = operands.keep_if(b.requires_grad(), x),
                 z = operands.keep_if(a.requires_grad(), z)](const Tensor<T>& dy, GradSink<T> da,
                                                             GradSink<T> db) {
                  const Tensor<T> g = operands.round(dy);
                  if (da) da += matmul_backward_a(g, z.value(), da.shape());
                  if (db) db += matmul_backward_b(g, x.value(), db.shape());
                });
}

}  // namespace plume
