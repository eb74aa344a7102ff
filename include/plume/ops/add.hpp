#pragma once
// add: y = a + b.   da = dy, db = dy
// Operands broadcast; gradients are summed back to their shapes.

#include "plume/autograd/var.hpp"
#include "plume/ops/definition.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/sum.hpp"

namespace plume {

inline constexpr OpInfo add_info{.name = "add", .formula = "y = a + b", .device = true};

namespace definition {
template <Floating T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b) {
  return each<T>([](double u, double v) { return u + v; },
                 broadcast_shapes("add", a.shape(), b.shape()), a, b);
}
}  // namespace definition

/// a + b, element by element. Throws ShapeError where the shapes do not broadcast.
template <Floating T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b) {
  return detail::binary("add", BinaryOp::add, a, b, [](auto u, auto v) { return u + v; });
}

template <Floating T>
Var<T> add(const Var<T>& a, const Var<T>& b) {
  return record("add", add(a.value(), b.value()), inputs(a, b),
                [](const Tensor<T>& dy, GradSink<T> da, GradSink<T> db) {
                  if (da) da += sum_to(dy, da.shape());
                  if (db) db += sum_to(dy, db.shape());
                });
}

}  // namespace plume
