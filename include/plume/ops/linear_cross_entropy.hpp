#pragma once
// linear_cross_entropy: cross_entropy(linear(x, w), t) without ever holding the logits.
//
//   x [.., D]   w [V, D]   t [..], integers in [0, V) or ignore_index   loss as in cross_entropy
//
//   z_n = w x_n    p_n = softmax(z_n)    e_n = g (p_n - onehot(t_n)),  g = dy / count or dy
//   dx_n = e_n w    dw = sum_n e_n x_n^T
//
// The rows that are not ignored go through a buffer of a few MB in chunks: logits, their log-sum-exp, and,
// when gradients will be wanted, e in place of the logits, dx, and the chunk's share of dw. So the logits
// are computed once, for dy = 1; backward only scales. A frozen w computes no dw and keeps nothing of size V.
// Computing the gradient with the loss: Hsu et al., Liger Kernel, arXiv 2410.10989.
//
// Rows of w may be replaced, w[ids[k]] = r[k]: a frozen table of tokens of which a few train. Then the gradient is
// dr [K, D], and none of the size of w.

#include <algorithm>
#include <utility>
#include <vector>

#include "plume/ops/cross_entropy.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/scale.hpp"

namespace plume {

inline constexpr OpInfo linear_cross_entropy_info{
    .name = "linear_cross_entropy", .formula = "y = cross_entropy(x w^T, t), logits never stored"};

namespace definition {
template <Floating T, Index I>
Tensor<accumulate_t<T>> linear_cross_entropy(const Tensor<T>& x, const Tensor<T>& w,
                                             const Tensor<I>& targets,
                                             CrossEntropyOptions options = {}) {
  return definition::cross_entropy(definition::linear(x, w), targets, options);
}
/// Row ids[k] of w is r[k].
template <Floating T, Index I>
Tensor<accumulate_t<T>> linear_cross_entropy(const Tensor<T>& x, const Tensor<T>& w,
                                             const Tensor<T>& r,
                                             const std::vector<std::int64_t>& ids,
                                             const Tensor<I>& targets,
                                             CrossEntropyOptions options = {}) {
  Tensor<T> whole = w.clone();
  for (std::size_t k = 0; k < ids.size(); ++k)
    whole.select(0, ids[k]).copy_from(r.select(0, static_cast<index_t>(k)));
  return definition::linear_cross_entropy(x, whole, targets, options);
}
}  // namespace definition

/// Rows of w that are others: w[ids[k]] = rows[k], rows [K, D].
template <Floating T>
struct ReplacedRows {
  Tensor<T> rows{};
  std::vector<std::int64_t> ids{};
};

/// Gradients for dy = 1; those that are not wanted stay undefined.
template <Floating T>
struct LinearCrossEntropyGrads {
  bool want_dx = true, want_dw = true, want_dr = false;
  Tensor<T> dx, dw, dr;
};

namespace detail {

template <Floating T, Index I>
Tensor<I> check_linear_cross_entropy(const Tensor<T>& x, const Tensor<T>& w,
                                     const Tensor<I>& targets, const CrossEntropyOptions& options,
                                     const ReplacedRows<T>& replaced) {
  constexpr const char* op = "linear_cross_entropy";
  require_cpu(op, x);
  require_cpu(op, w);
  if (x.rank() < 1 || w.rank() != 2 || x.size(-1) != w.size(1)) {
    fail<ShapeError>(op, "x [.., D] and w [V, D]", cat(x.shape(), " and ", w.shape()));
  }
  const auto K = static_cast<index_t>(replaced.ids.size());
  if (K > 0 && !(replaced.rows.shape() == Shape{K, w.size(1)}))
    fail<ShapeError>(op, cat("rows ", Shape{K, w.size(1)}), replaced.rows.shape());
  for (std::size_t k = 0; k < replaced.ids.size(); ++k) {
    const std::int64_t id = replaced.ids[k];
    const auto before = replaced.ids.begin() + static_cast<std::ptrdiff_t>(k);
    if (id < 0 || id >= w.size(0) || std::find(replaced.ids.begin(), before, id) != before)
      fail<ValueError>(op, cat("different rows below ", w.size(0)), id);
  }
  return check_cross_entropy(op, x, targets, w.size(0), options);
}

/// Rows of logits worked on at once: a few MB, but enough for the products to be worth their pass over w.
inline index_t logit_rows(index_t V, std::size_t element_bytes) {
  const index_t fit = (index_t{8} << 20) / (V * static_cast<index_t>(element_bytes) + 1);
  return std::min<index_t>(std::max<index_t>(fit, 128), 1024);
}

/// z becomes g (softmax(z) - onehot(target)).
template <class A>
void logits_to_gradient(A* z, index_t V, A log_sum, index_t target, A g) {
  const A p = math::exp_below(z[target] - log_sum);
  PLUME_SIMD
  for (index_t v = 0; v < V; ++v) z[v] = g * math::exp_below(z[v] - log_sum);
  z[target] = g * (p - 1);
}

}  // namespace detail

/// The loss, and the gradients that `grads` asks for. Throws ValueError for a target outside [0, V), and
/// for gradients of LossReduction::none, which depend on dy.
template <Floating T, Index I>
Tensor<accumulate_t<T>> linear_cross_entropy(const Tensor<T>& x, const Tensor<T>& w,
                                             const Tensor<I>& targets,
                                             CrossEntropyOptions options = {},
                                             LinearCrossEntropyGrads<T>* grads = nullptr,
                                             const ReplacedRows<T>& replaced = {}) {
  using A = accumulate_t<T>;
  const Tensor<I> t = detail::check_linear_cross_entropy(x, w, targets, options, replaced);
  const bool want_dx = grads != nullptr && grads->want_dx;
  const bool want_dw = grads != nullptr && grads->want_dw;
  const bool want_dr = grads != nullptr && grads->want_dr;
  if ((want_dx || want_dw || want_dr) && options.reduction == LossReduction::none) {
    fail<ValueError>("linear_cross_entropy", "mean or sum where gradients are wanted", "none");
  }
  const index_t V = w.size(0), D = w.size(1), K = static_cast<index_t>(replaced.ids.size());
  const Tensor<T> xr = detail::contiguous_rows(x);
  const detail::RowOffsets row(xr);

  Tensor<index_t> places(targets.shape());  // the rows that count, in order
  index_t count = 0;
  for (index_t n = 0; n < t.numel(); ++n) {
    if (static_cast<index_t>(t.data()[n]) != options.ignore_index) places.data()[count++] = n;
  }
  const index_t rows = std::min(count, detail::logit_rows(V, sizeof(A)));
  Tensor<T> chunk_x(Shape{rows, D});
  Tensor<A> chunk_z(Shape{rows, V});
  Tensor<A> chunk_r(Shape{rows, K});  // what of chunk_z belongs to replaced rows
  Tensor<T> chunk_dx(Shape{want_dx ? rows : 0, D});
  Tensor<double> losses = zeros<double>(targets.shape());
  Tensor<T> dx = want_dx ? zeros<T>(x.shape()) : Tensor<T>{};
  Tensor<A> dw = want_dw ? Tensor<A>(w.shape()) : Tensor<A>{};
  if (want_dw && count == 0) dw.fill(0);
  Tensor<A> dr = want_dr ? zeros<A>(Shape{K, D}) : Tensor<A>{};
  const Tensor<T> r_rows = K > 0 ? replaced.rows.contiguous() : Tensor<T>{};

  const T* const from = xr.data();
  const I* const target = t.data();
  const index_t* const place = places.data();
  double* const loss = losses.data();
  T* const px = chunk_x.data();
  A* const pz = chunk_z.data();
  A* const pr = chunk_r.data();
  T* const pdx = chunk_dx.data();
  T* const to = dx.data();
  const kernel::Matrix<const T> weight{w.data(), w.strides()[0], w.strides()[1]};
  const kernel::Matrix<const T> others{r_rows.data(), D};
  const std::int64_t* const id = replaced.ids.data();
  const bool mean = options.reduction == LossReduction::mean;
  const A g = mean ? A{1} / static_cast<A>(count) : A{1};

  for (index_t first = 0; first < count; first += rows) {
    const index_t r = std::min(rows, count - first);
    parallel_for(r, D, [=, &row](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        const T* xn = from + row(place[first + i]);
        std::copy(xn, xn + D, px + i * D);
      }
    });
    kernel::gemm<A, T, T>(r, V, D, 1, {px, D}, weight.transposed(), 0, {pz, V});
    if (K > 0) {
      kernel::gemm<A, T, T>(r, K, D, 1, {px, D}, others.transposed(), 0, {pr, K});
      for (index_t i = 0; i < r; ++i) {
        for (index_t k = 0; k < K; ++k) pz[i * V + id[k]] = pr[i * K + k];
      }
    }
    parallel_for(r, 2 * V, [=](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) {
        const index_t n = place[first + i];
        const index_t label = static_cast<index_t>(target[n]);
        A* z = pz + i * V;
        const double log_sum = detail::log_sum_exp<A>(z, V);
        loss[n] = log_sum - static_cast<double>(z[label]);
        if (want_dx || want_dw || want_dr) {
          detail::logits_to_gradient(z, V, static_cast<A>(log_sum), label, g);
        }
      }
    });
    if (K > 0) {
      for (index_t i = 0; i < r; ++i) {
        for (index_t k = 0; k < K; ++k) pr[i * K + k] = std::exchange(pz[i * V + id[k]], A{0});
      }
    }
    if (want_dr) {
      kernel::gemm<A, A, T>(K, D, r, 1, {pr, 1, K}, {px, D}, 1, {dr.data(), D});
    }
    if (want_dw) {
      kernel::gemm<A, A, T>(V, D, r, 1, {pz, 1, V}, {px, D}, first == 0 ? A{0} : A{1},
                            {dw.data(), D});
    }
    if (want_dx) {
      kernel::gemm<T, A, T>(r, D, V, 1, {pz, V}, weight, 0, {pdx, D});
      if (K > 0) kernel::gemm<T, A, T>(r, D, K, 1, {pr, K}, others, 1, {pdx, D});
      parallel_for(r, D, [=](index_t begin, index_t end) {
        for (index_t i = begin; i < end; ++i) {
          std::copy(pdx + i * D, pdx + (i + 1) * D, to + place[first + i] * D);
        }
      });
    }
  }
  if (grads != nullptr) {
    grads->dx = dx;
    grads->dw = want_dw ? dw.template cast<T>() : Tensor<T>{};
    grads->dr = want_dr ? dr.template cast<T>() : Tensor<T>{};
  }
  return detail::reduce_losses<A>(losses, count, options.reduction);
}

/// A gradient of the loss from that for dy = 1.
template <Floating T>
Tensor<T> linear_cross_entropy_backward(const Tensor<accumulate_t<T>>& dy, const Tensor<T>& unit) {
  const double factor = static_cast<double>(dy.item());
  return factor == 1 ? unit : scale(unit, factor);
}

namespace detail {
template <Floating T>
LinearCrossEntropyGrads<T> wanted(const Var<T>& x, const Var<T>& w, const Var<T>& r = {}) {
  const bool records = autograd_state.enabled;
  return {.want_dx = records && x.requires_grad(),
          .want_dw = records && w.requires_grad(),
          .want_dr = records && r.defined() && r.requires_grad(),
          .dx = {},
          .dw = {},
          .dr = {}};
}
}  // namespace detail

/// Differentiable in x and w, for the mean and the sum.
template <Floating T, Index I>
Var<accumulate_t<T>> linear_cross_entropy(const Var<T>& x, const Var<T>& w,
                                          const Tensor<I>& targets,
                                          CrossEntropyOptions options = {}) {
  const detail::ProductOperands<T> operands("linear_cross_entropy");
  LinearCrossEntropyGrads<T> unit = detail::wanted(x, w);
  Tensor<accumulate_t<T>> loss = linear_cross_entropy(
      operands.round(x.value()), operands.round(w.value()), targets, options, &unit);
  return record("linear_cross_entropy", std::move(loss), inputs(x, w),
                [unit](const Tensor<accumulate_t<T>>& dy, GradSink<T> dx, GradSink<T> dw) {
                  if (dx) dx += linear_cross_entropy_backward(dy, unit.dx);
                  if (dw) dw += linear_cross_entropy_backward(dy, unit.dw);
                });
}

/// The same with r[k] in the place of w[ids[k]]: differentiable in x, w and r [K, D].
template <Floating T, Index I>
Var<accumulate_t<T>> linear_cross_entropy(const Var<T>& x, const Var<T>& w, const Var<T>& r,
                                          const std::vector<std::int64_t>& ids,
                                          const Tensor<I>& targets,
                                          CrossEntropyOptions options = {}) {
  const detail::ProductOperands<T> operands("linear_cross_entropy");
  LinearCrossEntropyGrads<T> unit = detail::wanted(x, w, r);
  Tensor<accumulate_t<T>> loss =
      linear_cross_entropy(operands.round(x.value()), operands.round(w.value()), targets, options,
                           &unit, {operands.round(r.value()), ids});
  return record(
      "linear_cross_entropy", std::move(loss), inputs(x, w, r),
      [unit](const Tensor<accumulate_t<T>>& dy, GradSink<T> dx, GradSink<T> dw, GradSink<T> dr) {
        if (dx) dx += linear_cross_entropy_backward(dy, unit.dx);
        if (dw) dw += linear_cross_entropy_backward(dy, unit.dw);
        if (dr) dr += linear_cross_entropy_backward(dy, unit.dr);
      });
}

}  // namespace plume
