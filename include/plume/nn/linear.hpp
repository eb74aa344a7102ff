#pragma once
// Linear: y = x W^T + b.   x [.., inputs], weight [outputs, inputs], bias [outputs]

#include <optional>

#include "plume/nn/module.hpp"
#include "plume/ops/linear.hpp"

namespace plume::nn {

/// Whether a layer has a bias; spelled out because most of Flamingo's have none.
enum class Bias { no, yes };

/// x w^T + b, in whatever form w is held.
template <Floating T>
Var<T> apply_linear(const Var<T>& x, const Parameter<T>& w, const Var<T>& b = {}) {
  return w.held() != nullptr ? w.held()->linear(x, b) : linear(x, w(), b);
}

template <Floating T>
class Linear : public Module {
 public:
  Parameter<T> weight;
  std::optional<Parameter<T>> bias;

  /// First values as in PyTorch: uniform in +-1 / sqrt(inputs), weight and bias.
  Linear(Module& owner, std::string name, index_t inputs, index_t outputs, Bias with = Bias::yes)
      : Module(owner, std::move(name)),
        weight(*this, "weight", {outputs, inputs}, Init::fan_in(inputs)) {
    weight.only_in_products();
    if (with == Bias::yes) bias.emplace(*this, "bias", Shape{outputs}, Init::fan_in(inputs));
  }

  Var<T> operator()(const Var<T>& x) const {
    const ModuleScope scope(name().c_str());
    return apply_linear(x, weight, bias ? (*bias)() : Var<T>{});
  }
};

}  // namespace plume::nn
