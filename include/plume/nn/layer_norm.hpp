#pragma once
// LayerNorm over the last axis, with or without a bias (MPT has none).

#include "plume/nn/linear.hpp"
#include "plume/ops/layer_norm.hpp"

namespace plume::nn {

template <Floating T>
class LayerNorm : public Module {
 public:
  Parameter<T> weight;
  std::optional<Parameter<T>> bias;
  double eps;

  LayerNorm(Module& owner, std::string name, index_t width, Bias with = Bias::yes,
            double epsilon = 1e-5)
      : Module(owner, std::move(name)),
        weight(*this, "weight", {width}, Init::ones()),
        eps(epsilon) {
    if (with == Bias::yes) bias.emplace(*this, "bias", Shape{width}, Init::zeros());
  }

  Var<T> operator()(const Var<T>& x) const {
    const ModuleScope scope(name().c_str());
    return layer_norm(x, weight(), bias ? (*bias)() : Var<T>{}, eps);
  }
};

}  // namespace plume::nn
