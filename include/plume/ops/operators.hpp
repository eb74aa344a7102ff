#pragma once
// Arithmetic as it is written on paper, for Tensors and Vars:
//
//   a + b   a - b   a * b   a / b   -a   2.0 * a   a * 2.0   a / 2.0
//
// Element by element, with broadcasting; exactly the ops add, sub, mul, div and scale. Both operands hold the same
// scalar type: precision never changes unseen.

#include <type_traits>

#include "plume/ops/add.hpp"
#include "plume/ops/div.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sub.hpp"

namespace plume {

namespace detail {

/// True if arithmetic on A and B is allowed; otherwise does not compile and says why.
template <class A, class B>
consteval bool check_operands() {
  static_assert(std::is_same_v<A, B>,
                "plume: both operands must hold the same scalar type; convert one with cast<T>()");
  static_assert(!std::is_same_v<A, B> || Floating<A>,
                "plume: arithmetic needs a floating scalar type; convert with cast<T>()");
  return std::is_same_v<A, B> && Floating<A>;
}

}  // namespace detail

template <Scalar A, Scalar B>
Tensor<A> operator+(const Tensor<A>& a, const Tensor<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return add(a, b);
}
template <Scalar A, Scalar B>
Tensor<A> operator-(const Tensor<A>& a, const Tensor<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return sub(a, b);
}
template <Scalar A, Scalar B>
Tensor<A> operator*(const Tensor<A>& a, const Tensor<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return mul(a, b);
}
template <Scalar A, Scalar B>
Tensor<A> operator/(const Tensor<A>& a, const Tensor<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return div(a, b);
}

template <Floating A, Floating B>
Var<A> operator+(const Var<A>& a, const Var<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return add(a, b);
}
template <Floating A, Floating B>
Var<A> operator-(const Var<A>& a, const Var<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return sub(a, b);
}
template <Floating A, Floating B>
Var<A> operator*(const Var<A>& a, const Var<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return mul(a, b);
}
template <Floating A, Floating B>
Var<A> operator/(const Var<A>& a, const Var<B>& b) {
  if constexpr (detail::check_operands<A, B>()) return div(a, b);
}

/// A Var or a Tensor that can be scaled by a number.
template <class X>
concept Scalable = Floating<typename X::value_type> &&
    (std::is_same_v<X, Var<typename X::value_type>> ||
     std::is_same_v<X, Tensor<typename X::value_type>>);

template <Scalable X>
X operator*(double alpha, const X& x) {
  return scale(x, alpha);
}
template <Scalable X>
X operator*(const X& x, double alpha) {
  return scale(x, alpha);
}
/// x times 1 / alpha.
template <Scalable X>
X operator/(const X& x, double alpha) {
  return scale(x, 1 / alpha);
}
template <Scalable X>
X operator-(const X& x) {
  return scale(x, -1);
}

}  // namespace plume
