#pragma once
// Embedding: a table [V, d] from which rows are looked up, ids [..] to [.., d].

#include "plume/nn/module.hpp"
#include "plume/ops/embedding.hpp"

namespace plume::nn {

template <Floating T>
class Embedding : public Module {
 public:
  Parameter<T> weight;

  Embedding(Module& owner, std::string name, index_t rows, index_t width, double deviation = 0.02)
      : Module(owner, std::move(name)),
        weight(*this, "weight", {rows, width}, Init::normal(deviation)) {}

  Var<T> operator()(const Tensor<std::int64_t>& ids) const {
    const ModuleScope scope(name().c_str());
    return embedding(weight(), ids);
  }
};

}  // namespace plume::nn
