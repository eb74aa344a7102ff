#pragma once
// sub: y = a - b.   da = dy, db = -dy
// Operands broadcast; gradients are summed back to their shapes.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo sub_info{.name = "sub", .formula = "y = a - b", .device = true};

namespace definition {
template <Floating T>
Tensor<T> sub(const Tensor<T>& a, const Tensor<T>& b) {
  return each<T>([](double u, double v) { return u - v; },
                 broadcast_shapes("sub", a.shape(), b.shape()), a, b);
}
}  // namespace definition

/// a - b, element by element. Throws ShapeError where the shapes do not broadcast.
template <Floating T>
Tensor<T> sub(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::binary("sub", BinaryOp::sub, a, b, [](auto u, auto v) { return u - v; });
}

template <Floating T>
Var<T> sub(const Var<T>& a, const Var<T>& b) {
  return record("sub", sub(a.value(), b.value()), inputs(a, b),
                [](const Tensor<T>& dy, GradSink<T> da, GradSink<T> db) {
                  if (da) da += sum_to(dy, da.shape());
                  if (db) db += scale(sum_to(dy, db.shape()), -1);
                });
}

}  // namespace plume
