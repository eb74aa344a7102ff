#pragma once
// softmax over one axis: y_i = e^(x_i) / sum_j e^(x_j), computed as e^(x_i - m) / sum_j e^(x_j - m),
// m = max_j x_j, which cannot overflow.
//
//   dx_i = y_i (dy_i - sum_j dy_j y_j)
//
// x_i = -infinity gives exactly 0: masked out. A row that is -infinity throughout (a query that may attend to
// nothing) gives a row of zeros, and a gradient of zeros, rather than 0/0.

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/core/scratch.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/rows.hpp"

namespace plume {

inline constexpr OpInfo softmax_info{.name = "softmax",
                                     .formula = "y_i = exp(x_i) / sum_j exp(x_j) over one axis"};

namespace definition {
template <Floating T>
Tensor<T> softmax(const Tensor<T>& x, index_t axis = -1) {
  const Tensor<T> rows = x.transpose(axis, -1).clone();
  Tensor<T> y(rows.shape());
  const index_t n = rows.size(-1);
  for (index_t r = 0; r < rows.numel(); r += n) {
    const T* xr = rows.data() + r;
    double most = -HUGE_VAL;
    double sum = 0;
    for (index_t i = 0; i < n; ++i) most = std::max(most, static_cast<double>(xr[i]));
    const auto e = [&](index_t i) { return std::exp(static_cast<double>(xr[i]) - most); };
    for (index_t i = 0; i < n; ++i) sum += e(i);
    for (index_t i = 0; i < n; ++i) {
      y.data()[r + i] =
          static_cast<T>(static_cast<accumulate_t<T>>(most > -HUGE_VAL ? e(i) / sum : 0));
    }
  }
  return y.transpose(axis, -1);
}
}  // namespace definition

namespace detail {

// e[i] = exp(x[i] - m); returns their sum.
template <class A, class T>
double exp_row(const T* x, A m, A* e, index_t n) {
  double total = 0;
  for (index_t begin = 0; begin < n; begin += 1024) {
    const index_t end = std::min<index_t>(n, begin + 1024);
    A part = 0;
    PLUME_SIMD_SUM(part)
    for (index_t i = begin; i < end; ++i) {
      const A v = math::exp_below(static_cast<A>(x[i]) - m);
      e[i] = v;
      part += v;
    }
    total += static_cast<double>(part);
  }
  return total;
}

// e: room for n elements.
template <class T, class A>
auto softmax_row(const T* x, A* e, index_t n) {
  const A most = max_row<A>(x, n);
  const A m = most == -std::numeric_limits<A>::infinity() ? A{0} : most;
  const double sum = exp_row(x, m, e, n);
  const A factor = sum == 0 ? A{0} : static_cast<A>(1 / sum);
  return [=](T* y, index_t begin, index_t end) {
    PLUME_SIMD
    for (index_t i = begin; i < end; ++i) y[i - begin] = static_cast<T>(e[i] * factor);
  };
}

}  // namespace detail

/// Softmax along `axis` (negative: from the back). x of rank >= 1.
template <Floating T>
Tensor<T> softmax(const Tensor<T>& x, index_t axis = -1) {
  detail::require_cpu("softmax", x);
  return detail::map_rows(
      x, normalize_axis("softmax", axis, x.rank()), 2,
      [](const T* xr, index_t n, auto* room) { return detail::softmax_row(xr, room, n); });
}

/// dx from dy and the result y.
template <Floating T>
Tensor<T> softmax_backward(const Tensor<T>& dy, const Tensor<T>& y, index_t axis = -1) {
  using A = accumulate_t<T>;
  detail::require_cpu("softmax_backward", y);
  detail::require_defined("softmax_backward", dy);
  if (!(dy.shape() == y.shape())) {
    fail<ShapeError>("softmax_backward", cat("a gradient of shape ", y.shape()), dy.shape());
  }
  return detail::map_rows(
      dy, y, normalize_axis("softmax_backward", axis, y.rank()), 1,
      [](const T* g, const T* p, index_t n) {
        const A dot = detail::sum_row<A>(g, p, n, [](A u, A v) { return u * v; });
        return [=](T* out, index_t begin, index_t end) {
          PLUME_SIMD
          for (index_t i = begin; i < end; ++i) {
            out[i - begin] = static_cast<T>(static_cast<A>(p[i]) * (static_cast<A>(g[i]) - dot));
          }
        };
      });
}

template <Floating T>
Var<T> softmax(const Var<T>& x, index_t axis = -1) {
  Tensor<T> y = softmax(x.value(), axis);
  return record("softmax", y, inputs(x), [y = Saved(y), axis](const Tensor<T>& dy, GradSink<T> dx) {
    if (dx) dx += softmax_backward(dy, *y, axis);
  });
}

}  // namespace plume
