#pragma once
// AdamW (Loshchilov, Hutter, arXiv 1711.05101), with the arithmetic of torch.optim.AdamW. At step t = 1, 2, ...
// for a parameter p with gradient g and moments m, v (both 0 at first), in this order:
//
//   p <- p (1 - lr wd)                     decay, decoupled from the gradient
//   m <- m + (1 - beta1) (g - m)
//   v <- beta2 v + (1 - beta2) g g
//   p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
//
// One pass over memory per parameter: p, m, v are read and written once, g is read once. t is counted per
// parameter: one without a gradient is left alone altogether, decay included.

#include <cmath>
#include <span>
#include <vector>

#include "plume/nn/module.hpp"
#include "plume/ops/cpu/math.hpp"

namespace plume {

struct AdamWOptions {
  double learning_rate = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0.01;
};

/// The numbers of one update, worked out in double.
struct AdamWFactors {
  double keep;        ///< 1 - lr wd
  double take1;       ///< 1 - beta1
  double beta2;       ///< beta2
  double take2;       ///< 1 - beta2
  double step;        ///< lr / (1 - beta1^t)
  double root_scale;  ///< 1 / sqrt(1 - beta2^t)
  double eps;
};

namespace detail {

// The square root of x >= 0. std::sqrt would set errno, so a loop over it stays scalar (5 times slower in cache). An estimate
// of 1 / sqrt(x) from the exponent, two Newton steps, and one for the root itself: right to 2e-7. Below
// the smallest normal float the result is somewhere under 1.1e-19, far below any eps.
inline float root(float x) noexcept {
  const float half = 0.5F * x;
  float y = math::detail::from_bits<float>(0x5f375a86U - (math::detail::to_bits(x) >> 1));
  y = y * (1.5F - half * y * y);
  y = y * (1.5F - half * y * y);
  const float s = x * y;
  constexpr float infinity = __builtin_huge_valf();
  return math::detail::select(x == infinity, infinity, s + 0.5F * y * (x - s * s));
}
inline double root(double x) noexcept { return std::sqrt(x); }

}  // namespace detail

/// p, m, v (n) updated in place from g (n), all contiguous.
template <class T>
inline DeviceKernel<void(T* p, const T* g, accumulate_t<T>* m, accumulate_t<T>* v, index_t n,
                         AdamWFactors factors)>
    adamw_cuda{"adamw"};

/// One update of n elements on the CPU.
template <Floating T>
void adamw_update(T* p, const T* g, accumulate_t<T>* m, accumulate_t<T>* v, index_t n,
                  const AdamWFactors& factors) {
  using A = accumulate_t<T>;
  const A keep = static_cast<A>(factors.keep);
  const A take1 = static_cast<A>(factors.take1);
  const A beta2 = static_cast<A>(factors.beta2);
  const A take2 = static_cast<A>(factors.take2);
  const A step = static_cast<A>(factors.step);
  const A root_scale = static_cast<A>(factors.root_scale);
  const A eps = static_cast<A>(factors.eps);
  parallel_for(n, 2, [=](index_t begin, index_t end) {
    PLUME_SIMD
    for (index_t i = begin; i < end; ++i) {
      const A gi = static_cast<A>(g[i]);
      const A mi = m[i] + take1 * (gi - m[i]);
      const A vi = beta2 * v[i] + take2 * (gi * gi);
      m[i] = mi;
      v[i] = vi;
      p[i] = static_cast<T>(static_cast<A>(p[i]) * keep -
                            step * (mi / (detail::root(vi) * root_scale + eps)));
    }
  });
}

/// What an optimizer updates. A parameter of a module is updated whatever values it has by then: others that were
/// loaded or set, the same after it was frozen and made trainable again. A leaf is updated as it is.
template <Floating T>
class Target {
 public:
  Target(nn::Parameter<T>& parameter) : parameter_(&parameter) {}
  Target(Var<T> leaf) : leaf_(std::move(leaf)) {}

  /// Null for a leaf.
  [[nodiscard]] const nn::Parameter<T>* parameter() const noexcept { return parameter_; }
  [[nodiscard]] const Var<T>& var() const {
    return parameter_ != nullptr ? (*parameter_)() : leaf_;
  }
  [[nodiscard]] const Shape& shape() const noexcept {
    return parameter_ != nullptr ? parameter_->shape() : leaf_.shape();
  }
  [[nodiscard]] Tensor<T> value() const {
    return parameter_ != nullptr ? parameter_->value() : leaf_.value();
  }
  /// Takes over numbers in place, or in the form the parameter holds them in.
  void assign(const Tensor<T>& numbers) {
    if (parameter_ != nullptr && parameter_->held() != nullptr)
      return parameter_->set_value(numbers);
    value().copy_from(numbers);
  }
  /// Whether it has a gradient to look for. A frozen parameter has none.
  [[nodiscard]] bool trains() const noexcept {
    return parameter_ == nullptr || (parameter_->trainable() && parameter_->has_values());
  }
  [[nodiscard]] const detail::NodeBase* node() const {
    return trains() ? var().node().get() : nullptr;
  }
  /// For messages.
  [[nodiscard]] std::string text() const {
    return parameter_ != nullptr ? parameter_->name() : cat("a leaf of shape ", shape());
  }

 private:
  nn::Parameter<T>* parameter_ = nullptr;
  Var<T> leaf_;
};

template <Floating T>
class AdamW {
 public:
  /// What is updated, and what is remembered of its gradients.
  struct Slot {
    Target<T> parameter;
    AdamWOptions options;
    Tensor<accumulate_t<T>> m;
    Tensor<accumulate_t<T>> v;
    index_t steps = 0;
  };

  AdamW() = default;
  explicit AdamW(std::span<const Var<T>> leaves, const AdamWOptions& options = {}) {
    add_group(leaves, options);
  }
  explicit AdamW(std::span<nn::Parameter<T>* const> parameters, const AdamWOptions& options = {}) {
    add_parameters(parameters, options);
  }

  /// Leaves that share options; those that need no gradient are passed over. Throws ValueError where one is here
  /// already: it would be updated twice. The value of an nn::Parameter is better given as the parameter.
  void add_group(std::span<const Var<T>> leaves, const AdamWOptions& options) {
    check(options);
    for (const Var<T>& leaf : leaves) add(leaf, options);
  }
  /// Parameters that share options; frozen ones are passed over.
  void add_parameters(std::span<nn::Parameter<T>* const> parameters, const AdamWOptions& options) {
    check(options);
    for (nn::Parameter<T>* parameter : parameters) add(*parameter, options);
  }

  /// Updates every parameter that has a gradient; one that is frozen by now is left alone and keeps its moments.
  /// `factor` multiplies the learning rate of every group; it is what a Schedule returns. Throws ValueError, and
  /// changes nothing, for a leaf that was the value of an nn::Parameter and is no more: nothing would be trained.
  void step(double factor = 1) {
    if (!(factor >= 0) || !std::isfinite(factor))
      fail<ValueError>("adamw", "a finite factor >= 0 on the learning rate", factor);
    for (const Slot& slot : slots_) require_current(slot);
    for (Slot& slot : slots_) {
      if (!slot.parameter.trains()) continue;
      const Var<T>& var = slot.parameter.var();
      const Tensor<T> g = var.grad();
      if (!g.defined()) continue;
      const AdamWFactors factors = factors_of(slot.options, factor, ++slot.steps);
      Tensor<T> p = var.value();
      p.changed();
      const index_t n = p.numel();
      if (p.device().is_cpu()) {
        adamw_update(p.data(), g.data(), slot.m.data(), slot.v.data(), n, factors);
      } else {
        adamw_cuda<T>(p.data(), g.data(), slot.m.data(), slot.v.data(), n, factors);
      }
    }
  }
  void zero_grad() const noexcept {
    for (const Slot& slot : slots_) {
      if (slot.parameter.trains()) slot.parameter.var().zero_grad();
    }
  }
  /// The values that train now, for clip_gradients. Those of parameters change when they are frozen or set.
  [[nodiscard]] std::vector<Var<T>> trained() const {
    std::vector<Var<T>> out;
    for (const Slot& slot : slots_) {
      if (slot.parameter.trains()) out.push_back(slot.parameter.var());
    }
    return out;
  }

  /// For checkpoints, and for changing options on the way.
  [[nodiscard]] std::span<Slot> slots() noexcept { return slots_; }
  [[nodiscard]] std::span<const Slot> slots() const noexcept { return slots_; }

 private:
  static AdamWFactors factors_of(const AdamWOptions& o, double factor, index_t t) {
    const double lr = o.learning_rate * factor;
    const double n = static_cast<double>(t);
    return {.keep = 1 - lr * o.weight_decay,
            .take1 = 1 - o.beta1,
            .beta2 = o.beta2,
            .take2 = 1 - o.beta2,
            .step = lr / (1 - std::pow(o.beta1, n)),
            .root_scale = 1 / std::sqrt(1 - std::pow(o.beta2, n)),
            .eps = o.eps};
  }
  void add(Target<T> target, const AdamWOptions& options) {
    if (target.parameter() != nullptr && !target.parameter()->trainable()) return;
    if (!target.var().requires_grad()) return;
    const MemoryScope scope(MemoryTag::optimizer);
    for (const Slot& slot : slots_) {
      if (slot.parameter.node() == target.node())
        fail<ValueError>("adamw", "each parameter once", cat(target.text(), " twice"));
    }
    const Device device = target.var().value().device();
    slots_.push_back({target, options, zeros<accumulate_t<T>>(target.shape(), device),
                      zeros<accumulate_t<T>>(target.shape(), device), 0});
    require_current(slots_.back());
  }
  static void require_current(const Slot& slot) {
    const Target<T>& target = slot.parameter;
    if (!target.trains()) return;
    const Var<T>& var = target.var();
    if (var.node()->replaced)
      fail<ValueError>("adamw",
                       "parameters that still have the values it was given (give it the "
                       "nn::Parameter, or make it after the last freeze and set_value)",
                       cat(target.text(), " that a parameter does not hold any more"));
    if (!var.value().is_contiguous())
      fail<ShapeError>("adamw", "contiguous parameters",
                       cat(target.text(), " of strides ", var.value().strides()));
    if (!(var.value().device() == slot.m.device()))
      fail<DeviceError>("adamw", cat(target.text(), " on ", slot.m.device()), var.value().device());
  }
  static void check(const AdamWOptions& o) {
    const auto in_unit = [](double beta) { return beta >= 0 && beta < 1; };
    const auto natural = [](double x) { return x >= 0 && std::isfinite(x); };
    if (!natural(o.learning_rate))
      fail<ValueError>("adamw", "a finite learning_rate >= 0", o.learning_rate);
    if (!in_unit(o.beta1)) fail<ValueError>("adamw", "0 <= beta1 < 1", o.beta1);
    if (!in_unit(o.beta2)) fail<ValueError>("adamw", "0 <= beta2 < 1", o.beta2);
    if (!(o.eps > 0) || !std::isfinite(o.eps)) fail<ValueError>("adamw", "a finite eps > 0", o.eps);
    if (!natural(o.weight_decay))
      fail<ValueError>("adamw", "a finite weight_decay >= 0", o.weight_decay);
  }

  std::vector<Slot> slots_;
};

}  // namespace plume
