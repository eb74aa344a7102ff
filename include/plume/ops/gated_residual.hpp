#pragma once
// gated_residual: y = x + tanh(g) f, the residual of Flamingo's gated cross-attention (Alayrac et al., arXiv
// 2204.14198, fig. 4). With g = 0 it is the identity: a frozen model starts out undisturbed.
//
//   x, f, y of one shape   g [1]
//
//   dx = dy      df = tanh(g) dy      dg = (1 - tanh(g)^2) <dy, f>

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/rows.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/tanh.hpp"

namespace plume {

inline constexpr OpInfo gated_residual_info{.name = "gated_residual",
                                            .formula = "y = x + tanh(g) f"};

namespace definition {
template <Floating T>
Tensor<T> gated_residual(const Tensor<T>& x, const Tensor<T>& f, const Tensor<T>& g) {
  return definition::add(x, definition::mul(definition::tanh(g.reshape({})), f));
}
}  // namespace definition

namespace detail {

template <Floating T>
void check_gated_residual(const Tensor<T>& x, const Tensor<T>& f, const Tensor<T>& g) {
  require_cpu("gated_residual", x);
  require_cpu("gated_residual", f);
  require_cpu("gated_residual", g);
  if (!(f.shape() == x.shape())) {
    fail<ShapeError>("gated_residual", cat("f of shape ", x.shape()), f.shape());
  }
  if (!(g.shape() == Shape{1}))
    fail<ShapeError>("gated_residual", "a gate of shape [1]", g.shape());
}

template <Floating T>
accumulate_t<T> gate_of(const Tensor<T>& g) {
  return std::tanh(static_cast<accumulate_t<T>>(g.item()));
}

}  // namespace detail

/// x + tanh(g) f in one pass.
template <Floating T>
Tensor<T> gated_residual(const Tensor<T>& x, const Tensor<T>& f, const Tensor<T>& g) {
  detail::check_gated_residual(x, f, g);
  const auto t = detail::gate_of(g);
  return map<OnVectors::yes>("gated_residual", x, f, [t](auto u, auto v) { return u + t * v; });
}

/// df.
template <Floating T>
Tensor<T> gated_residual_branch_backward(const Tensor<T>& dy, const Tensor<T>& g) {
  return scale(dy, static_cast<double>(detail::gate_of(g)));
}

/// dg [1].
template <Floating T>
Tensor<T> gated_residual_gate_backward(const Tensor<T>& dy, const Tensor<T>& f,
                                       const Tensor<T>& g) {
  using A = accumulate_t<T>;
  detail::check_gated_residual(dy, f, g);
  const Tensor<T> dyc = dy.contiguous();
  const Tensor<T> fc = f.contiguous();
  const T* pd = dyc.data();
  const T* pf = fc.data();
  const double dot = parallel_reduce<double>(
      dy.numel(), 1, 0.0,
      [=](index_t begin, index_t end) {
        return static_cast<double>(detail::sum_row<A>(pd + begin, pf + begin, end - begin,
                                                      [](A u, A v) { return u * v; }));
      },
      [](double a, double b) { return a + b; });
  const double t = static_cast<double>(detail::gate_of(g));
  return full<T>(g.shape(), static_cast<T>(static_cast<A>((1 - t * t) * dot)));
}

/// Keeps f only where the gate is trained.
template <Floating T>
Var<T> gated_residual(const Var<T>& x, const Var<T>& f, const Var<T>& g) {
  return record("gated_residual", gated_residual(x.value(), f.value(), g.value()), inputs(x, f, g),
                [f = saved_if(g.requires_grad(), f.value()), g = Saved(g.value())](
                    const Tensor<T>& dy, GradSink<T> dx, GradSink<T> df, GradSink<T> dg) {
                  if (dx) dx += dy;
                  if (df) df += gated_residual_branch_backward(dy, *g);
                  if (dg) dg += gated_residual_gate_backward(dy, *f, *g);
                });
}

}  // namespace plume
