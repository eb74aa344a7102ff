#pragma once
// div: y = a / b.   da = dy / b, db = -(dy / b) y
// Operands broadcast; gradients are summed back to their shapes.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/scale.hpp"
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
  Tensor<T> y = div(a.value(), b.value());
  return record("div", y, inputs(a, b),
                [y = saved_if(b.requires_grad(), y), z = Saved(b.value())](
                    const Tensor<T>& dy, GradSink<T> da, GradSink<T> db) {
                  Tensor<T> quotient = div(dy, *z);
                  if (db) db += scale(sum_to(mul(quotient, *y), db.shape()), -1);
                  if (da) da += sum_to(std::move(quotient), da.shape());
                });
}

}  // namespace plume
