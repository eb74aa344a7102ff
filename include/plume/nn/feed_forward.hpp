#pragma once
// FeedForward: LayerNorm, Linear to `multiple` times the width, GELU, Linear back; no biases in the products.
// Names as in the reference's nn.Sequential: 0 (norm), 1 (up), 3 (down).

#include "plume/nn/layer_norm.hpp"
#include "plume/ops/gelu.hpp"

namespace plume::nn {

template <Floating T>
class FeedForward : public Module {
 public:
  LayerNorm<T> norm;
  Linear<T> up;
  Linear<T> down;

  FeedForward(Module& owner, std::string name, index_t width, index_t multiple = 4)
      : Module(owner, std::move(name)),
        norm(*this, "0", width),
        up(*this, "1", width, multiple * width, Bias::no),
        down(*this, "3", multiple * width, width, Bias::no) {}

  Var<T> operator()(const Var<T>& x) const {
    const ModuleScope scope(name().c_str());
    return down(gelu(up(norm(x))));
  }
};

}  // namespace plume::nn
