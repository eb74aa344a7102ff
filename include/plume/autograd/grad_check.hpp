#pragma once
// grad_check: is a gradient right? Compares backward with central differences in double, the four-point
// rule  f' = (8 (f(x+h) - f(x-h)) - (f(x+2h) - f(x-2h))) / 12h + O(h^4).
//
// For y_k = f_k(x_1, ..., x_n) and random cotangents c_k the scalar L = sum_k <c_k, y_k> is differentiated
// both ways for every element of every input. A random cotangent matters: with ones, the gradient of
// softmax would be zero and any backward would pass.

#include <cmath>
#include <functional>

#include "plume/autograd/backward.hpp"
#include "plume/core/random.hpp"

namespace plume {

using Vars = std::vector<Var<double>>;

struct GradCheckOptions {
  double step = 1e-4;          ///< h
  double tolerance = 1e-6;     ///< on |analytic - numeric| / max(scale, |analytic|, |numeric|)
  double scale = 1;            ///< below this, errors count absolutely
  std::uint64_t seed = 1;      ///< of the cotangents
  index_t max_elements = 400;  ///< per input; larger inputs are probed at that many random places
};

struct GradCheckResult {
  double worst = 0;     ///< largest relative error; infinity if a gradient is missing or NaN
  index_t checked = 0;  ///< elements compared
  std::string where;    ///< the worst place: input, element, both values
  [[nodiscard]] bool passed(double tolerance) const { return checked > 0 && worst <= tolerance; }
};

/// f takes the inputs and returns all outputs. Every input is differentiated; to hold one fixed, let f
/// capture it.
inline GradCheckResult grad_check(const std::function<Vars(const Vars&)>& f,
                                  const std::vector<Tensor<double>>& at,
                                  GradCheckOptions options = {}) {
  Generator generator(options.seed);
  Vars leaves;
  for (const Tensor<double>& x : at) leaves.push_back(trainable(x));
  const Vars outputs = f(leaves);
  std::vector<Tensor<double>> cotangents;
  for (const Var<double>& y : outputs) cotangents.push_back(normal<double>(y.shape(), generator));
  // One output at a time: gradients of leaves add up.
  for (std::size_t k = 0; k < outputs.size(); ++k) {
    if (outputs[k].requires_grad()) backward(outputs[k], cotangents[k], {.retain_graph = true});
  }
  const auto loss = [&](const Vars& inputs) {
    const NoGrad scope;
    const Vars ys = f(inputs);
    long double sum = 0;
    for (std::size_t k = 0; k < ys.size(); ++k) {
      const Tensor<double> y = ys[k].value().contiguous();
      const double* c = cotangents[k].data();
      for (index_t i = 0; i < y.numel(); ++i) {
        sum += static_cast<long double>(y.data()[i]) * static_cast<long double>(c[i]);
      }
    }
    return sum;
  };

  GradCheckResult result;
  for (std::size_t input = 0; input < at.size(); ++input) {
    Tensor<double> analytic = leaves[input].grad();
    if (!analytic.defined()) analytic = zeros<double>(at[input].shape());
    analytic = analytic.contiguous();
    // Probe through a view with the layout of the original, so that strided inputs stay strided; but not
    // where one number stands for several elements.
    Vars probes;
    for (const Tensor<double>& x : at) {
      bool repeats = false;
      for (int axis = 0; axis < x.rank(); ++axis)
        repeats = repeats || (x.strides()[axis] == 0 && x.shape()[axis] > 1);
      probes.push_back(constant(repeats ? x.clone() : x));
    }
    const index_t n = at[input].numel();
    const auto element = [&](index_t flat) -> double& {
      Tensor<double>& x = probes[input].mutable_value();
      index_t offset = 0;
      for (int axis = x.rank() - 1; axis >= 0; --axis) {
        offset += flat % x.shape()[axis] * x.strides()[axis];
        flat /= x.shape()[axis];
      }
      return x.data()[offset];
    };
    for (index_t k = 0; k < std::min(n, options.max_elements); ++k) {
      const index_t i = n <= options.max_elements ? k : generator.below(n);
      double& slot = element(i);
      const double original = slot;
      const auto at_offset = [&](double offset) {
        slot = original + offset;
        const long double value = loss(probes);
        slot = original;
        return value;
      };
      const double h = options.step;
      const long double near = at_offset(h) - at_offset(-h);
      const long double far = at_offset(2 * h) - at_offset(-2 * h);
      const auto numeric =
          static_cast<double>((8 * near - far) / (12 * static_cast<long double>(h)));
      const double exact = analytic.data()[i];
      const double error =
          std::abs(exact - numeric) / std::max({options.scale, std::abs(exact), std::abs(numeric)});
      ++result.checked;
      if (!(error <= result.worst)) {
        result.worst = error <= 1e300 ? error : HUGE_VAL;
        result.where = cat("input ", input, " of shape ", at[input].shape(), ", element ", i,
                           ": backward gives ", exact, ", central difference ", numeric);
      }
    }
  }
  return result;
}

}  // namespace plume
