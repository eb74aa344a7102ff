#pragma once
// div: y = a / b.   da = dy / b, db = -dy a / b^2
// Operands broadcast; gradients are summed back to their shapes.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo div_info{.name = "div", .formula = "y = a / b", .device = true};

namespace definition {
template <Floating T>
Tensor<T> div(const Tensor<T>& a, const Tensor<T>& b) {
  return each<T>([](double u, double v) { return u / v; },
                 broadcast_shapes("div", a.shape(), b.shape()), a, b);
}
}  // namespace definition

/// a / b, element by element. Throws ShapeError where the shapes do not broadcast.
template <Floating T>
Tensor<T> div(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::binary("div", BinaryOp::div, a, b, [](auto u, auto v) { return u / v; });
}

template <Floating T>
Var<T> div(const Var<T>& a, const Var<T>& b) {
  return record("div", div(a.value(), b.value()), inputs(a, b),
                [x = saved_if(b.requires_grad(), a.value()), z = b.value()](
                    const Tensor<T>& dy, GradSink<T> da, GradSink<T> db) {
                  if (da) da += sum_to(div(dy, z), da.shape());
                  if (db) db -= sum_to(div(mul(dy, x), mul(z, z)), db.shape());
                });
}

}  // namespace plume
