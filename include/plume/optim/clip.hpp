#pragma once
// Clipping by the global norm: all gradients together are one long vector g, and
//
//   g <- g * max_norm / (|g| + 1e-6)      if that factor is below 1
//
// as torch.nn.utils.clip_grad_norm_ does. Squares are added in double, in an order that depends on the
// sizes alone: the same bits for every thread count.

#include <cmath>
#include <span>

#include "plume/autograd/var.hpp"
#include "plume/ops/reduce.hpp"

namespace plume {

namespace detail {

/// Sum of x[i]^2, n elements.
template <Floating T>
double sum_of_squares(const T* x, index_t n) {
  return parallel_reduce<double>(
      n, 1, 0.0,
      [=](index_t begin, index_t end) {
        return sum_terms<double>(end - begin, [x = x + begin](index_t i) {
          const auto v = static_cast<double>(static_cast<accumulate_t<T>>(x[i]));
          return v * v;
        });
      },
      [](double a, double b) { return a + b; });
}

}  // namespace detail

/// The norm of all gradients together; parameters without one count as 0. Frozen ones have none.
template <Floating T>
double gradient_norm(std::span<const Var<T>> parameters) {
  double sum = 0;
  for (const Var<T>& p : parameters) {
    const Tensor<T> g = p.grad();
    if (!g.defined()) continue;
    if (!g.device().is_cpu())
      fail<DeviceError>("gradient_norm", "gradients on the CPU", g.device());
    sum += detail::sum_of_squares(g.data(), g.numel());
  }
  return std::sqrt(sum);
}

/// Scales the gradients so that their norm is at most max_norm; returns the norm they had. Where that is
/// NaN or infinite nothing is scaled: the caller sees it and can skip the step.
template <Floating T>
double clip_gradients(std::span<const Var<T>> parameters, double max_norm) {
  if (!(max_norm > 0)) fail<ValueError>("clip_gradients", "max_norm > 0", max_norm);
  const double norm = gradient_norm(parameters);
  const double factor = max_norm / (norm + 1e-6);
  if (!std::isfinite(norm) || factor >= 1) return norm;
  using A = accumulate_t<T>;
  const A f = static_cast<A>(factor);
  for (const Var<T>& p : parameters) {
    Tensor<T> g = p.grad();  // the leaf's own: writing to it changes the gradient itself
    if (!g.defined()) continue;
    T* const x = g.data();
    parallel_for(g.numel(), 1, [=](index_t begin, index_t end) {
      PLUME_SIMD
      for (index_t i = begin; i < end; ++i) x[i] = static_cast<T>(static_cast<A>(x[i]) * f);
    });
  }
  return norm;
}

}  // namespace plume
