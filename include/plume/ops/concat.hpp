#pragma once
// concat: y = x_0, x_1, ... one after the other along one axis; the other sizes agree.
// dx_k = the part of dy that x_k went to: a view of dy.

#include <initializer_list>
#include <span>
#include <vector>

#include "plume/autograd/var.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo concat_info{
    .name = "concat", .formula = "y = x_0, x_1, .. one after the other along one axis"};

namespace definition {
/// Of two tensors of rank 3, along axis 1.
template <Floating T>
Tensor<T> concat(const Tensor<T>& a, const Tensor<T>& b) {
  Tensor<T> y(Shape{a.size(0), a.size(1) + b.size(1), a.size(2)});
  for (index_t i = 0; i < y.size(0); ++i) {
    for (index_t j = 0; j < y.size(1); ++j) {
      for (index_t k = 0; k < y.size(2); ++k) {
        y(i, j, k) = j < a.size(1) ? a(i, j, k) : b(i, j - a.size(1), k);
      }
    }
  }
  return y;
}
}  // namespace definition

/// At least one tensor; the ranks agree, and the sizes along all axes but `axis`.
template <Floating T>
Tensor<T> concat(std::span<const Tensor<T>> xs, index_t axis) {
  if (xs.empty()) fail<ValueError>("concat", "at least one tensor", "none");
  for (const Tensor<T>& x : xs) detail::require_defined("concat", x);
  const Tensor<T>& first = xs.front();
  const int a = normalize_axis("concat", axis, first.rank());
  Dims shape = first.shape();
  shape[a] = 0;
  for (const Tensor<T>& x : xs) {
    first.require_same_device("concat", x);
    Dims expected = first.shape();
    if (x.rank() == first.rank()) expected[a] = x.shape()[a];
    if (!(x.shape() == Shape(expected))) {
      fail<ShapeError>("concat", cat("sizes like ", first.shape(), " along all axes but ", a),
                       x.shape());
    }
    shape[a] += x.shape()[a];
  }
  Tensor<T> y(Shape(shape), first.device());
  index_t begin = 0;
  for (const Tensor<T>& x : xs) {
    y.slice(a, begin, begin + x.shape()[a]).copy_from(x);
    begin += x.shape()[a];
  }
  return y;
}

template <Floating T>
Var<T> concat(std::span<const Var<T>> xs, index_t axis) {
  std::vector<Tensor<T>, PoolAllocator<Tensor<T>>> values;
  std::vector<index_t, PoolAllocator<index_t>> sizes;
  for (const Var<T>& x : xs) values.push_back(x.value());
  Tensor<T> y = concat(std::span<const Tensor<T>>(values), axis);
  for (const Var<T>& x : xs) sizes.push_back(x.size(axis));
  return record("concat", std::move(y), xs,
                [axis, sizes](const Tensor<T>& dy, std::span<const GradSink<T>> dxs) {
                  index_t begin = 0;
                  for (std::size_t k = 0; k < sizes.size(); ++k) {
                    const index_t end = begin + sizes[k];
                    if (dxs[k]) dxs[k] += dy.slice(axis, begin, end);
                    begin = end;
                  }
                });
}

/// concat({a, b}, axis), of tensors or of Vars.
template <template <class> class X, class T>
X<T> concat(std::initializer_list<X<T>> xs, index_t axis) {
  return concat(std::span<const X<T>>(xs.begin(), xs.size()), axis);
}
template <template <class> class X, class T, class Allocator>
X<T> concat(const std::vector<X<T>, Allocator>& xs, index_t axis) {
  return concat(std::span<const X<T>>(xs), axis);
}

}  // namespace plume
