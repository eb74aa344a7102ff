#pragma once
// cross_entropy: how unlikely the targets are under softmax(logits).
//
//   loss_n = lse_n - x[n, t_n],   lse_n = log sum_v e^x[n, v]        0 where t_n is ignore_index
//
//   x [.., V]   t [..], integers in [0, V) or ignore_index
//   mean: sum of loss_n / count of places that are not ignored;   sum;   none: loss [..]
//
//   dx[n, v] = g_n (e^(x[n, v] - lse_n) - [v = t_n]),  g_n = dy / count, dy or dy_n;  0 where ignored
//
// The mean over nothing is 0 / 0 = NaN, as in PyTorch; its gradient is 0. Only lse is kept for backward:
// probabilities are computed again. The loss of 16-bit logits is a float.

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/ids.hpp"
#include "plume/ops/log_softmax.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/row_offsets.hpp"
#include "plume/ops/rows.hpp"

namespace plume {

inline constexpr OpInfo cross_entropy_info{
    .name = "cross_entropy", .formula = "y = mean over n of log sum_v exp(x[n, v]) - x[n, t_n]"};

enum class LossReduction { mean, sum, none };

struct CrossEntropyOptions {
  index_t ignore_index = -100;  ///< a target that stands for "no target here"
  LossReduction reduction = LossReduction::mean;
};

namespace definition {
template <Floating T, Index I>
Tensor<accumulate_t<T>> cross_entropy(const Tensor<T>& logits, const Tensor<I>& targets,
                                      CrossEntropyOptions options = {}) {
  using A = accumulate_t<T>;
  const Tensor<T> log_p = definition::log_softmax(logits).contiguous();
  const Tensor<I> t = targets.contiguous();
  Tensor<A> loss(targets.shape());
  double sum = 0;
  index_t count = 0;
  for (index_t n = 0; n < t.numel(); ++n) {
    const index_t target = static_cast<index_t>(t.data()[n]);
    const bool ignored = target == options.ignore_index;
    const A value = ignored ? A{0} : -static_cast<A>(log_p.data()[n * logits.size(-1) + target]);
    loss.data()[n] = value;
    sum += static_cast<double>(value);
    count += ignored ? 0 : 1;
  }
  if (options.reduction == LossReduction::none) return loss;
  if (options.reduction == LossReduction::mean) sum /= static_cast<double>(count);
  return scalar(static_cast<A>(sum));
}
}  // namespace definition

/// What backward needs of forward.
template <Floating T>
struct CrossEntropySaved {
  Tensor<accumulate_t<T>> lse;  ///< of the shape of the targets; 0 where ignored
  index_t count = 0;            ///< targets that are not ignored
};

namespace detail {

/// The targets in row-major order.
template <Scalar T, Index I>
Tensor<I> check_cross_entropy(std::string_view op, const Tensor<T>& logits,
                              const Tensor<I>& targets, index_t V,
                              const CrossEntropyOptions& options) {
  require_cpu(op, logits);
  Dims rows = logits.shape();
  if (!rows.empty()) rows.pop_back();
  if (logits.rank() < 1 || !(targets.shape() == Shape(rows))) {
    fail<ShapeError>(op, cat("targets of shape ", rows, " for an input of shape ", logits.shape()),
                     targets.shape());
  }
  return checked_ids(op, "targets", targets, V, &options.ignore_index);
}

/// log sum_v e^x[v] in one pass: each run of 2048 is read, and read again from the cache.
template <class A, class T>
double log_sum_exp(const T* x, index_t V) {
  double sum = 0;
  A most = -std::numeric_limits<A>::infinity();
  for (index_t begin = 0; begin < V; begin += 2048) {
    const index_t n = std::min<index_t>(2048, V - begin);
    const A here = max_row<A>(x + begin, n);
    if (here > most) {
      sum *= std::exp(static_cast<double>(most) - static_cast<double>(here));
      most = here;
    }
    // Not NaN = -infinity - -infinity, but nothing is added.
    const A m = most == -std::numeric_limits<A>::infinity() ? A{0} : most;
    sum +=
        static_cast<double>(sum_row<A>(x + begin, n, [m](A v) { return math::exp_below(v - m); }));
  }
  return static_cast<double>(most) + std::log(sum);
}

/// The loss from the loss of each place.
template <class A>
Tensor<A> reduce_losses(const Tensor<double>& losses, index_t count, LossReduction reduction) {
  if (reduction == LossReduction::none) return losses.cast<A>();
  double total = 0;
  for (index_t n = 0; n < losses.numel(); ++n) total += losses.data()[n];
  if (reduction == LossReduction::mean) total /= static_cast<double>(count);
  return scalar(static_cast<A>(total));
}

}  // namespace detail

/// The loss: a scalar, or for LossReduction::none one per target. Fills `saved` where given.
/// Throws ValueError for a target outside [0, V) that is not options.ignore_index.
template <Floating T, Index I>
Tensor<accumulate_t<T>> cross_entropy(const Tensor<T>& logits, const Tensor<I>& targets,
                                      CrossEntropyOptions options = {},
                                      CrossEntropySaved<T>* saved = nullptr) {
  using A = accumulate_t<T>;
  const index_t V = logits.rank() == 0 ? 0 : logits.size(-1);
  const Tensor<I> t = detail::check_cross_entropy("cross_entropy", logits, targets, V, options);
  const Tensor<T> x = detail::contiguous_rows(logits);
  const detail::RowOffsets row(x);
  Tensor<double> losses(targets.shape());
  Tensor<A> lse(targets.shape());
  const T* const px = x.data();
  const I* const pt = t.data();
  double* const loss = losses.data();
  A* const ps = lse.data();
  const index_t ignored = options.ignore_index;
  parallel_for(t.numel(), V + 8, [=, &row](index_t begin, index_t end) {
    for (index_t n = begin; n < end; ++n) {
      const index_t target = static_cast<index_t>(pt[n]);
      loss[n] = 0;
      ps[n] = 0;
      if (target == ignored) continue;
      const T* xn = px + row(n);
      const double log_sum = detail::log_sum_exp<A>(xn, V);
      ps[n] = static_cast<A>(log_sum);
      loss[n] = log_sum - static_cast<double>(static_cast<A>(xn[target]));
    }
  });
  index_t count = 0;
  for (index_t n = 0; n < t.numel(); ++n) count += static_cast<index_t>(pt[n]) == ignored ? 0 : 1;
  if (saved != nullptr) *saved = {lse, count};
  return detail::reduce_losses<A>(losses, count, options.reduction);
}

/// dx of the shape of the logits, from dy of the shape of the loss.
template <Floating T, Index I>
Tensor<T> cross_entropy_backward(const Tensor<accumulate_t<T>>& dy, const Tensor<T>& logits,
                                 const Tensor<I>& targets, const CrossEntropySaved<T>& saved,
                                 CrossEntropyOptions options = {}) {
  using A = accumulate_t<T>;
  const bool each = options.reduction == LossReduction::none;
  if (!(dy.shape() == (each ? targets.shape() : Shape{}))) {
    fail<ShapeError>("cross_entropy_backward",
                     cat("a gradient of shape ", each ? targets.shape() : Shape{}), dy.shape());
  }
  const Tensor<T> x = detail::contiguous_rows(logits);
  const detail::RowOffsets row(x);
  const Tensor<I> t = targets.contiguous();
  const Tensor<A> g = dy.contiguous();
  Tensor<T> dx(x.shape());
  const index_t V = x.size(-1);
  const T* const px = x.data();
  const I* const pt = t.data();
  const A* const lse = saved.lse.data();
  const A* const pg = g.data();
  T* const out = dx.data();
  const A share = options.reduction == LossReduction::mean ? A{1} / static_cast<A>(saved.count) : 1;
  const index_t ignored = options.ignore_index;
  parallel_for(t.numel(), V + 8, [=, &row](index_t begin, index_t end) {
    for (index_t n = begin; n < end; ++n) {
      const index_t target = static_cast<index_t>(pt[n]);
      T* dxn = out + n * V;
      if (target == ignored) {
        std::fill(dxn, dxn + V, T{});
        continue;
      }
      const T* xn = px + row(n);
      const A scale = pg[each ? n : 0] * share;
      const A log_sum = lse[n];
      PLUME_SIMD
      for (index_t v = 0; v < V; ++v) {
        dxn[v] = static_cast<T>(scale * math::exp_below(static_cast<A>(xn[v]) - log_sum));
      }
      const A p = math::exp_below(static_cast<A>(xn[target]) - log_sum);
      dxn[target] = static_cast<T>(scale * (p - 1));
    }
  });
  return dx;
}

/// Differentiable in the logits.
template <Floating T, Index I>
Var<accumulate_t<T>> cross_entropy(const Var<T>& logits, const Tensor<I>& targets,
                                   CrossEntropyOptions options = {}) {
  CrossEntropySaved<T> saved;
  Tensor<accumulate_t<T>> loss = cross_entropy(logits.value(), targets, options, &saved);
  return record("cross_entropy", std::move(loss), inputs(logits),
                [x = Saved(logits.value()), targets = Saved(targets), saved, options](
                    const Tensor<accumulate_t<T>>& dy, GradSink<T> dx) {
                  if (dx) dx += cross_entropy_backward(dy, *x, *targets, saved, options);
                });
}

}  // namespace plume
