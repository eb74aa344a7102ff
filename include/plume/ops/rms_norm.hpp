#pragma once
// rms_norm over the last axis (Zhang and Sennrich, arXiv 1910.07467; the norm of LLaMA):
//
//   y = xhat w,   xhat = x rstd,   rstd = 1 / sqrt(mean(x^2) + eps)
//
//   x, y [.., D]   w [D]
//
//   dx = rstd (g - xhat mean(g xhat)),  g = dy w      dw = sum dy xhat
//
// This is layer_norm without the mean and the bias.

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/rows.hpp"

namespace plume {

inline constexpr OpInfo rms_norm_info{.name = "rms_norm",
                                      .formula = "y = x / sqrt(mean(x^2) + eps) w"};

namespace definition {
template <Floating T>
Tensor<T> rms_norm(const Tensor<T>& x, const Tensor<T>& w, double eps) {
  const Tensor<T> square = plume::mean(plume::mul(x, x), {-1}, true);
  const Tensor<T> rstd =
      each<T>([eps](double v) { return 1 / std::sqrt(v + eps); }, square.shape(), square);
  return plume::mul(plume::mul(x, rstd), w);
}
}  // namespace definition

namespace detail {

template <Floating T>
void check_rms_norm(const Tensor<T>& x, const Tensor<T>& w) {
  require_cpu("rms_norm", x);
  require_cpu("rms_norm", w);
  if (x.rank() < 1) fail<ShapeError>("rms_norm", "x of rank >= 1", x.shape());
  const Shape row{x.size(-1)};
  if (!(w.shape() == row)) fail<ShapeError>("rms_norm", cat("weight of shape ", row), w.shape());
}

// dx (where wanted) and what the row adds to dw (null: not wanted).
template <class T, class A>
auto rms_norm_backward_row(const T* dy, const T* x, const T* w, A rstd, bool want_dx, A* dw,
                           index_t D) {
  A mean_gx = 0;
  if (want_dx) {
    mean_gx = sum_terms<A>(D, [=](index_t i) {
      return static_cast<A>(dy[i]) * static_cast<A>(w[i]) * (static_cast<A>(x[i]) * rstd);
    });
    mean_gx /= static_cast<A>(D);
  }
  return [=](T* dx, index_t begin, index_t end) {
    const auto each = [=]<bool has_dx, bool has_sums>() {
      PLUME_SIMD
      for (index_t i = begin; i < end; ++i) {
        const A xhat = static_cast<A>(x[i]) * rstd;
        const A out = static_cast<A>(dy[i]);
        if constexpr (has_dx) {
          dx[i - begin] = static_cast<T>(rstd * (out * static_cast<A>(w[i]) - xhat * mean_gx));
        }
        if constexpr (has_sums) dw[i] += out * xhat;
      }
    };
    if (dx != nullptr && dw != nullptr) each.template operator()<true, true>();
    if (dx != nullptr && dw == nullptr) each.template operator()<true, false>();
    if (dx == nullptr && dw != nullptr) each.template operator()<false, true>();
  };
}

}  // namespace detail

/// y [.., D] of x [.., D]. Fills `rstd` [N], one per row, where given: what backward needs.
template <Floating T>
Tensor<T> rms_norm(const Tensor<T>& x, const Tensor<T>& w, double eps = 1e-6,
                   Tensor<accumulate_t<T>>* rstd = nullptr) {
  using A = accumulate_t<T>;
  detail::check_rms_norm(x, w);
  const index_t D = x.size(-1);
  const index_t N = D == 0 ? 0 : x.numel() / D;
  const Tensor<T> xc = x.contiguous();
  const Tensor<T> wc = w.contiguous();
  Tensor<T> y(x.shape());
  if (rstd != nullptr) *rstd = Tensor<A>(Shape{N});
  const T* px = xc.data();
  const T* pw = wc.data();
  T* py = y.data();
  A* pr = rstd != nullptr ? rstd->data() : nullptr;
  const bool streaming = kernel::streams<T>(N * D);
  parallel_for(N, D, [=](index_t begin, index_t end) {
    kernel::write_rows(
        py, begin, end, D, streaming,
        [=](index_t n) {
          const T* xr = px + n * D;
          const A square = detail::sum_row<A>(xr, D, [](A v) { return v * v; }) / static_cast<A>(D);
          const A r = A{1} / std::sqrt(square + static_cast<A>(eps));
          if (pr != nullptr) pr[n] = r;
          return [=](T* yr, index_t first, index_t last) {
            PLUME_SIMD
            for (index_t i = first; i < last; ++i) {
              yr[i - first] = static_cast<T>(static_cast<A>(xr[i]) * r * static_cast<A>(pw[i]));
            }
          };
        },
        px);
  });
  return y;
}

template <Floating T>
struct RmsNormGrads {
  Tensor<T> dx, dw;
};

/// The gradients that are wanted, the others undefined.
template <Floating T>
RmsNormGrads<T> rms_norm_backward(const Tensor<T>& dy, const Tensor<T>& x, const Tensor<T>& w,
                                  const Tensor<accumulate_t<T>>& rstd, bool want_dx, bool want_dw) {
  using A = accumulate_t<T>;
  detail::check_rms_norm(x, w);
  if (!(dy.shape() == x.shape())) {
    fail<ShapeError>("rms_norm_backward", cat("a gradient of shape ", x.shape()), dy.shape());
  }
  const index_t D = x.size(-1);
  const index_t N = D == 0 ? 0 : x.numel() / D;
  if (!(rstd.shape() == Shape{N})) {
    fail<ShapeError>("rms_norm_backward", cat("rstd of shape ", Shape{N}), rstd.shape());
  }
  const Tensor<T> xc = x.contiguous();
  const Tensor<T> wc = w.contiguous();
  const Tensor<T> gc = dy.contiguous();
  RmsNormGrads<T> out;
  if (want_dx) out.dx = Tensor<T>(x.shape());
  if (want_dw) out.dw = Tensor<T>(Shape{D});
  const T* px = xc.data();
  const T* pw = wc.data();
  const T* pg = gc.data();
  const A* pr = rstd.data();
  T* pdx = out.dx.data();
  detail::rows_with_sums<T, 1>(
      N, D, 2 * D, pdx, {out.dw.data()},
      [=](index_t n, const std::array<A*, 1>& sums) {
        return detail::rms_norm_backward_row(pg + n * D, px + n * D, pw, pr[n], pdx != nullptr,
                                             sums[0], D);
      },
      pg, px);
  return out;
}

/// Differentiable in x and w.
template <Floating T>
Var<T> rms_norm(const Var<T>& x, const Var<T>& w, double eps = 1e-6) {
  Tensor<accumulate_t<T>> rstd;
  Tensor<T> y = rms_norm(x.value(), w.value(), eps, &rstd);
  return record("rms_norm", std::move(y), inputs(x, w),
                [x = Saved(x.value()), w = Saved(w.value()), rstd](const Tensor<T>& dy,
                                                                   GradSink<T> dx, GradSink<T> dw) {
                  auto g = rms_norm_backward(dy, *x, *w, rstd, bool(dx), bool(dw));
                  if (dx) dx += std::move(g.dx);
                  if (dw) dw += std::move(g.dw);
                });
}

}  // namespace plume
