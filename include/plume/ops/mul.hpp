#pragma once
// mul: y = a b.   da = dy b, db = dy a
// Operands broadcast; gradients are summed back to their shapes.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo mul_info{.name = "mul", .formula = "y = a b", .device = true};

namespace definition {
template <Floating T>
Tensor<T> mul(const Tensor<T>& a, const Tensor<T>& b) {
  return each<T>([](double u, double v) { return u * v; },
                 broadcast_shapes("mul", a.shape(), b.shape()), a, b);
}
}  // namespace definition

/// a b, element by element. Throws ShapeError where the shapes do not broadcast.
template <Floating T>
Tensor<T> mul(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::binary("mul", BinaryOp::mul, a, b, [](auto u, auto v) { return u * v; });
}

template <Floating T>
Var<T> mul(const Var<T>& a, const Var<T>& b) {
  return record(
      "mul", mul(a.value(), b.value()), inputs(a, b),
      [x = saved_if(b.requires_grad(), a.value()), z = saved_if(a.requires_grad(), b.value())](
          const Tensor<T>& dy, GradSink<T> da, GradSink<T> db) {
        if (da) da += sum_to(mul(dy, *z), da.shape());
        if (db) db += sum_to(mul(dy, *x), db.shape());
      });
}

}  // namespace plume
