#pragma once
// log_softmax over one axis: y_i = x_i - log sum_j e^(x_j), computed as (x_i - m) - log sum_j e^(x_j - m),
// m = max_j x_j, which cannot overflow and keeps what the logarithm of softmax would lose.
//
//   dx_i = dy_i - e^(y_i) sum_j dy_j
//
// A row that is -infinity throughout stays so, and passes no gradient.

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/rows.hpp"

namespace plume {

inline constexpr OpInfo log_softmax_info{.name = "log_softmax",
                                         .formula = "y_i = x_i - log sum_j exp(x_j) over one axis"};

namespace definition {
template <Floating T>
Tensor<T> log_softmax(const Tensor<T>& x, index_t axis = -1) {
  const Tensor<T> rows = x.transpose(axis, -1).clone();
  Tensor<T> y(rows.shape());
  const index_t n = rows.size(-1);
  for (index_t r = 0; r < rows.numel(); r += n) {
    const T* xr = rows.data() + r;
    double most = -HUGE_VAL;
    double sum = 0;
    for (index_t i = 0; i < n; ++i) most = std::max(most, static_cast<double>(xr[i]));
    for (index_t i = 0; i < n; ++i) sum += std::exp(static_cast<double>(xr[i]) - most);
    const double log_sum = most > -HUGE_VAL ? most + std::log(sum) : 0;
    for (index_t i = 0; i < n; ++i) {
      y.data()[r + i] =
          static_cast<T>(static_cast<accumulate_t<T>>(static_cast<double>(xr[i]) - log_sum));
    }
  }
  return y.transpose(axis, -1);
}
}  // namespace definition

/// Logarithm of softmax along `axis` (negative: from the back). x of rank >= 1.
template <Floating T>
Tensor<T> log_softmax(const Tensor<T>& x, index_t axis = -1) {
  using A = accumulate_t<T>;
  detail::require_cpu("log_softmax", x);
  return detail::map_rows(
      x, normalize_axis("log_softmax", axis, x.rank()), 2, [](const T* xr, index_t n, A*) {
        const A most = detail::max_row<A>(xr, n);
        const A m = most == -std::numeric_limits<A>::infinity() ? A{0} : most;
        const A sum = detail::sum_row<A>(xr, n, [m](A v) { return math::exp_below(v - m); });
        const A log_sum = sum == A{0} ? A{0} : std::log(sum);
        return [=](T* yr, index_t begin, index_t end) {
          PLUME_SIMD
          for (index_t i = begin; i < end; ++i) {
            yr[i - begin] = static_cast<T>((static_cast<A>(xr[i]) - m) - log_sum);
          }
        };
      });
}

/// dx from dy and the result y.
template <Floating T>
Tensor<T> log_softmax_backward(const Tensor<T>& dy, const Tensor<T>& y, index_t axis = -1) {
  using A = accumulate_t<T>;
  detail::require_cpu("log_softmax_backward", y);
  detail::require_defined("log_softmax_backward", dy);
  if (!(dy.shape() == y.shape())) {
    fail<ShapeError>("log_softmax_backward", cat("a gradient of shape ", y.shape()), dy.shape());
  }
  return detail::map_rows(
      dy, y, normalize_axis("log_softmax_backward", axis, y.rank()), 2,
      [](const T* g, const T* yr, index_t n) {
        const A total = detail::sum_row<A>(g, n, [](A v) { return v; });
        // Only a masked row has no probability anywhere.
        const bool masked = detail::max_row<A>(yr, n) == -std::numeric_limits<A>::infinity();
        const A keep = masked ? A{0} : A{1};
        return [=](T* out, index_t begin, index_t end) {
          PLUME_SIMD
          for (index_t i = begin; i < end; ++i) {
            out[i - begin] = static_cast<T>(
                keep * (static_cast<A>(g[i]) - math::exp_below(static_cast<A>(yr[i])) * total));
          }
        };
      });
}

template <Floating T>
Var<T> log_softmax(const Var<T>& x, index_t axis = -1) {
  Tensor<T> y = log_softmax(x.value(), axis);
  return record("log_softmax", y, inputs(x),
                [y = Saved(y), axis](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += log_softmax_backward(dy, *y, axis);
                });
}

}  // namespace plume
