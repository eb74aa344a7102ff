#pragma once
// RmsNorm over the last axis (LLaMA).

#include "plume/nn/module.hpp"
#include "plume/ops/rms_norm.hpp"

namespace plume::nn {

template <Floating T>
class RmsNorm : public Module {
 public:
  Parameter<T> weight;
  double eps;

  RmsNorm(Module& owner, std::string name, index_t width, double epsilon = 1e-6)
      : Module(owner, std::move(name)),
        weight(*this, "weight", {width}, Init::ones()),
        eps(epsilon) {}

  Var<T> operator()(const Var<T>& x) const {
    const ModuleScope scope(name().c_str());
    return rms_norm(x, weight(), eps);
  }
};

}  // namespace plume::nn
