#pragma once
// MultiHeadAttention: self-attention without a mask, q, k and v in one product, their rows in this order (PyTorch's
// nn.MultiheadAttention, names as there).
//
//   x [B, N, D] -> [B, N, D]     in_proj_weight [3 D, D]

#include "plume/nn/perceiver_resampler.hpp"

namespace plume::nn {

template <Floating T>
class MultiHeadAttention : public Module {
 public:
  HeadSizes sizes;
  Parameter<T> in_proj_weight;
  Parameter<T> in_proj_bias;
  Linear<T> out_proj;

  /// Throws ShapeError where the heads do not fill the width.
  MultiHeadAttention(Module& owner, std::string name, index_t width, index_t head_width)
      : Module(owner, std::move(name)),
        sizes{width / head_width, head_width},
        in_proj_weight(*this, "in_proj_weight", {3 * width, width}, Init::fan_in(width)),
        in_proj_bias(*this, "in_proj_bias", {3 * width}, Init::zeros()),
        out_proj(*this, "out_proj", width, width) {
    if (sizes.inner() != width)
      fail<ShapeError>("multi_head_attention", cat("a multiple of ", head_width), width);
    in_proj_weight.only_in_products();
  }

  Var<T> operator()(const Var<T>& x) const {
    const ModuleScope scope(name().c_str());
    const index_t W = sizes.inner();
    const Var<T> qkv = apply_linear(x, in_proj_weight, in_proj_bias());
    const auto part = [&](index_t i) {
      return split_heads(slice(qkv, -1, i * W, (i + 1) * W), sizes);
    };
    return out_proj(merge_heads(attention(part(0), part(1), part(2))));
  }
};

}  // namespace plume::nn
