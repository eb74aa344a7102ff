#pragma once
// layer_norm over the last axis (Ba, Kiros, Hinton, arXiv 1607.06450):
//
//   y = xhat w + b,   xhat = (x - mean) rstd,   rstd = 1 / sqrt(var + eps)
//
//   x, y [.., D]   w, b [D] (b optional)   mean, var over D, var biased (divided by D)
//
//   dx = rstd (g - mean(g) - xhat mean(g xhat)),  g = dy w      dw = sum dy xhat      db = sum dy
//
// docs/layer_norm.md derives the backward by hand.

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/rows.hpp"
#include "plume/ops/sub.hpp"

namespace plume {

inline constexpr OpInfo layer_norm_info{
    .name = "layer_norm", .formula = "y = (x - mean) / sqrt(var + eps) w + b", .device = true};

/// x, y (N, D); w, b (D), b may be null; mean, rstd (N), both null when no backward follows.
template <class T>
inline DeviceKernel<void(const T* x, const T* w, const T* b, T* y, accumulate_t<T>* mean,
                         accumulate_t<T>* rstd, index_t N, index_t D, double eps)>
    layer_norm_forward_cuda{"layer_norm_forward"};
/// dx, dw and db may each be null: not wanted.
template <class T>
inline DeviceKernel<void(const T* x, const T* w, const accumulate_t<T>* mean,
                         const accumulate_t<T>* rstd, const T* dy, T* dx, T* dw, T* db, index_t N,
                         index_t D)>
    layer_norm_backward_cuda{"layer_norm_backward"};

namespace definition {
template <Floating T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b, double eps) {
  const Dims last{-1};
  const Tensor<T> centred = plume::sub(x, plume::mean(x, last, true));
  const Tensor<T> variance = plume::mean(plume::mul(centred, centred), last, true);
  const Tensor<T> rstd =
      each<T>([eps](double v) { return 1 / std::sqrt(v + eps); }, variance.shape(), variance);
  const Tensor<T> scaled = plume::mul(plume::mul(centred, rstd), w);
  return b.defined() ? plume::add(scaled, b) : scaled;
}
}  // namespace definition

/// What backward needs of forward: mean and rstd, one per row [N].
template <Floating T>
struct LayerNormSaved {
  Tensor<accumulate_t<T>> mean;
  Tensor<accumulate_t<T>> rstd;
};

namespace detail {

template <Floating T>
void check_layer_norm(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b) {
  if (x.rank() < 1) fail<ShapeError>("layer_norm", "x of rank >= 1", x.shape());
  const Shape row{x.size(-1)};
  if (!(w.shape() == row)) fail<ShapeError>("layer_norm", cat("weight of shape ", row), w.shape());
  if (b.defined() && !(b.shape() == row)) {
    fail<ShapeError>("layer_norm", cat("bias of shape ", row), b.shape());
  }
  x.require_same_device("layer_norm", w);
  if (b.defined()) x.require_same_device("layer_norm", b);
}

// Two passes over a row that is in cache: the difference of squares would lose everything for a large mean.
template <class T, class A>
auto layer_norm_row(const T* x, const T* w, const T* b, A* mean, A* rstd, index_t D, A eps) {
  const A mu = sum_row<A>(x, D, [](A v) { return v; }) / static_cast<A>(D);
  const A var = sum_row<A>(x, D, [mu](A v) { return (v - mu) * (v - mu); }) / static_cast<A>(D);
  const A r = A{1} / std::sqrt(var + eps);
  *mean = mu;
  *rstd = r;
  return [=](T* y, index_t begin, index_t end) {
    if (b == nullptr) {
      PLUME_SIMD
      for (index_t i = begin; i < end; ++i) {
        y[i - begin] = static_cast<T>((static_cast<A>(x[i]) - mu) * r * static_cast<A>(w[i]));
      }
      return;
    }
    PLUME_SIMD
    for (index_t i = begin; i < end; ++i) {
      y[i - begin] = static_cast<T>((static_cast<A>(x[i]) - mu) * r * static_cast<A>(w[i]) +
                                    static_cast<A>(b[i]));
    }
  };
}

// dx (where wanted) and what the row adds to dw and db (null: not wanted).
template <class T, class A>
auto layer_norm_backward_row(const T* dy, const T* x, const T* w, A mean, A rstd, bool want_dx,
                             A* dw, A* db, index_t D) {
  A mean_g = 0;
  A mean_gx = 0;
  if (want_dx) {
    const auto g = [=](index_t i) { return static_cast<A>(dy[i]) * static_cast<A>(w[i]); };
    const auto xhat = [=](index_t i) { return (static_cast<A>(x[i]) - mean) * rstd; };
    mean_g = sum_terms<A>(D, g) / static_cast<A>(D);
    mean_gx = sum_terms<A>(D, [=](index_t i) { return g(i) * xhat(i); }) / static_cast<A>(D);
  }
  return [=](T* dx, index_t begin, index_t end) {
    const auto each = [=]<bool has_dx, bool has_sums>() {
      PLUME_SIMD
      for (index_t i = begin; i < end; ++i) {
        const A xhat = (static_cast<A>(x[i]) - mean) * rstd;
        const A out = static_cast<A>(dy[i]);
        if constexpr (has_dx) {
          dx[i - begin] =
              static_cast<T>(rstd * (out * static_cast<A>(w[i]) - mean_g - xhat * mean_gx));
        }
        if constexpr (has_sums) {
          dw[i] += out * xhat;
          db[i] += out;
        }
      }
    };
    if (dx != nullptr && dw != nullptr) each.template operator()<true, true>();
    if (dx != nullptr && dw == nullptr) each.template operator()<true, false>();
    if (dx == nullptr && dw != nullptr) each.template operator()<false, true>();
  };
}

}  // namespace detail

/// y [.., D] of x [.., D]. `b` may be undefined. Fills `saved` where given.
template <Floating T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b = {},
                     double eps = 1e-5, LayerNormSaved<T>* saved = nullptr) {
  using A = accumulate_t<T>;
  detail::check_layer_norm(x, w, b);
  const index_t D = x.size(-1);
  const index_t N = D == 0 ? 0 : x.numel() / D;
  const Tensor<T> xc = x.contiguous();
  const Tensor<T> wc = w.contiguous();
  const Tensor<T> bc = b.defined() ? b.contiguous() : b;
  Tensor<T> y(x.shape(), x.device());
  LayerNormSaved<T> stats{Tensor<A>(Shape{N}, x.device()), Tensor<A>(Shape{N}, x.device())};
  const T* px = xc.data();
  const T* pw = wc.data();
  const T* pb = bc.data();
  T* py = y.data();
  A* mean = stats.mean.data();
  A* rstd = stats.rstd.data();
  if (x.device().is_cpu()) {
    const bool streaming = kernel::streams<T>(N * D);
    parallel_for(N, 2 * D, [=](index_t begin, index_t end) {
      kernel::write_rows(
          py, begin, end, D, streaming,
          [=](index_t n) {
            return detail::layer_norm_row(px + n * D, pw, pb, mean + n, rstd + n, D,
                                          static_cast<A>(eps));
          },
          px);
    });
  } else {
    layer_norm_forward_cuda<T>(px, pw, pb, py, mean, rstd, N, D, eps);
  }
  if (saved != nullptr) *saved = std::move(stats);
  return y;
}

template <Floating T>
struct LayerNormGrads {
  Tensor<T> dx, dw, db;
};

/// The gradients that are wanted, the others undefined.
template <Floating T>
LayerNormGrads<T> layer_norm_backward(const Tensor<T>& dy, const Tensor<T>& x, const Tensor<T>& w,
                                      const LayerNormSaved<T>& saved, bool want_dx, bool want_dw,
                                      bool want_db) {
  using A = accumulate_t<T>;
  detail::check_layer_norm(x, w, Tensor<T>{});
  if (!(dy.shape() == x.shape())) {
    fail<ShapeError>("layer_norm_backward", cat("a gradient of shape ", x.shape()), dy.shape());
  }
  const index_t D = x.size(-1);
  const index_t N = D == 0 ? 0 : x.numel() / D;
  const Tensor<T> xc = x.contiguous();
  const Tensor<T> wc = w.contiguous();
  const Tensor<T> gc = dy.contiguous();
  LayerNormGrads<T> out;
  if (want_dx) out.dx = Tensor<T>(x.shape(), x.device());
  if (want_dw) out.dw = zeros<T>(Shape{D}, x.device());
  if (want_db) out.db = zeros<T>(Shape{D}, x.device());
  const T* px = xc.data();
  const T* pw = wc.data();
  const T* pg = gc.data();
  const A* mean = saved.mean.data();
  const A* rstd = saved.rstd.data();
  T* pdx = out.dx.data();
  if (!x.device().is_cpu()) {
    layer_norm_backward_cuda<T>(px, pw, mean, rstd, pg, pdx, out.dw.data(), out.db.data(), N, D);
    return out;
  }
  detail::rows_with_sums<T, 2>(
      N, D, 3 * D, pdx, {out.dw.data(), out.db.data()},
      [=](index_t n, const std::array<A*, 2>& sums) {
        return detail::layer_norm_backward_row(pg + n * D, px + n * D, pw, mean[n], rstd[n],
                                               pdx != nullptr, sums[0], sums[1], D);
      },
      pg, px);
  return out;
}

/// Differentiable in x, w and b (which may be an undefined Var: no bias). Where b alone is trained, x is not kept.
template <Floating T>
Var<T> layer_norm(const Var<T>& x, const Var<T>& w, const Var<T>& b = {}, double eps = 1e-5) {
  LayerNormSaved<T> saved;
  Tensor<T> y = layer_norm(x.value(), w.value(), b.value(), eps, &saved);
  const bool needs_x = x.requires_grad() || w.requires_grad();
  if (!needs_x) saved = {};
  return record("layer_norm", std::move(y), inputs(x, w, b),
                [x = saved_if(needs_x, x.value()), w = Saved(w.value()), saved](
                    const Tensor<T>& dy, GradSink<T> dx, GradSink<T> dw, GradSink<T> db) {
                  if (!x.defined()) {
                    if (db) db += sum_to(dy, db.shape());
                    return;
                  }
                  auto g = layer_norm_backward(dy, *x, *w, saved, bool(dx), bool(dw), bool(db));
                  if (dx) dx += std::move(g.dx);
                  if (dw) dw += std::move(g.dw);
                  if (db) db += std::move(g.db);
                });
}

}  // namespace plume
