#pragma once
// ClipVision: the vision transformer of CLIP (Radford et al., arXiv 2103.00020), names as in open_clip.
//
//   pixels [N, 3, S, S] -> tokens [N, P, W], P = (S / patch)^2     (before ln_post, without the class token)
//                          pooled [N, E] = ln_post(class token) proj
//
// Flamingo reads the tokens as they were when it was trained: before the final norm. The pooled features
// are for retrieval. OpenAI's weights need QuickGELU, LAION's GELU: a wrong choice gives plausible but
// wrong features and cannot be seen from the weights, so it must be said.

#include "plume/image/normalization.hpp"
#include "plume/nn/layer_norm.hpp"
#include "plume/nn/module_list.hpp"
#include "plume/nn/multi_head_attention.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/patch_embedding.hpp"
#include "plume/ops/quick_gelu.hpp"
#include "plume/ops/relu.hpp"
#include "plume/ops/silu.hpp"

namespace plume::models {

enum class Activation { gelu, quick_gelu, relu, silu };

template <Floating T>
Var<T> activate(Activation activation, const Var<T>& x) {
  switch (activation) {
    case Activation::gelu:
      return gelu(x);
    case Activation::quick_gelu:
      return quick_gelu(x);
    case Activation::relu:
      return relu(x);
    case Activation::silu:
      return silu(x);
  }
  fail<ValueError>("activate", "a known activation", static_cast<int>(activation));
}

struct ClipVisionSizes {
  index_t image = 224;  ///< S
  index_t patch = 14;
  index_t width = 1024;  ///< W
  index_t layers = 24;
  index_t head_width = 64;
  index_t embed = 768;  ///< E
  double mlp_ratio = 4;
  Activation activation = Activation::quick_gelu;
  image::Normalization normalization{};  ///< of the pixels it was trained on

  [[nodiscard]] index_t grid() const noexcept { return image / patch; }
  [[nodiscard]] index_t heads() const noexcept { return width / head_width; }
  static ClipVisionSizes vit_b_32(Activation a) { return {224, 32, 768, 12, 64, 512, 4, a, {}}; }
  static ClipVisionSizes vit_b_16(Activation a) { return {224, 16, 768, 12, 64, 512, 4, a, {}}; }
  static ClipVisionSizes vit_l_14(Activation a) { return {224, 14, 1024, 24, 64, 768, 4, a, {}}; }
  static ClipVisionSizes vit_l_14_336(Activation a) {
    return {336, 14, 1024, 24, 64, 768, 4, a, {}};
  }
  static ClipVisionSizes vit_h_14(Activation a) { return {224, 14, 1280, 32, 80, 1024, 4, a, {}}; }
};

template <Floating T>
class ClipVision : public nn::Module {
 public:
  struct Block : nn::Module {
    struct Mlp : nn::Module {
      nn::Linear<T> c_fc;
      nn::Linear<T> c_proj;
      Mlp(nn::Module& owner, std::string name, index_t width, index_t hidden)
          : Module(owner, std::move(name)),
            c_fc(*this, "c_fc", width, hidden),
            c_proj(*this, "c_proj", hidden, width) {}
    };
    nn::LayerNorm<T> ln_1;
    nn::MultiHeadAttention<T> attn;
    nn::LayerNorm<T> ln_2;
    Mlp mlp;
    Activation activation;

    Block(nn::Module& owner, std::string name, const ClipVisionSizes& s)
        : Module(owner, std::move(name)),
          ln_1(*this, "ln_1", s.width),
          attn(*this, "attn", s.width, s.head_width),
          ln_2(*this, "ln_2", s.width),
          mlp(*this, "mlp", s.width,
              static_cast<index_t>(static_cast<double>(s.width) * s.mlp_ratio)),
          activation(s.activation) {}

    Var<T> operator()(const Var<T>& x) const {
      const ModuleScope scope(this->name().c_str());
      const Var<T> h = add(x, attn(ln_1(x)));
      return add(h, mlp.c_proj(activate(activation, mlp.c_fc(ln_2(h)))));
    }
  };
  struct Transformer : nn::Module {
    nn::ModuleList<Block> resblocks;
    Transformer(nn::Module& owner, std::string name)
        : Module(owner, std::move(name)), resblocks(*this, "resblocks") {}
  };

  ClipVisionSizes sizes;
  nn::Parameter<T> class_embedding;
  nn::Parameter<T> positional_embedding;
  nn::Parameter<T> proj;
  struct Conv : nn::Module {
    nn::Parameter<T> weight;
    Conv(nn::Module& owner, std::string name, const ClipVisionSizes& s)
        : Module(owner, std::move(name)),
          weight(*this, "weight", {s.width, 3, s.patch, s.patch},
                 nn::Init::fan_in(3 * s.patch * s.patch)) {}
  } conv1;
  nn::LayerNorm<T> ln_pre;
  Transformer transformer;
  nn::LayerNorm<T> ln_post;

  ClipVision(nn::Module& owner, std::string name, const ClipVisionSizes& s)
      : Module(owner, std::move(name)),
        sizes(s),
        class_embedding(*this, "class_embedding", {s.width}, nn::Init::normal(0.02)),
        positional_embedding(*this, "positional_embedding", {s.grid() * s.grid() + 1, s.width},
                             nn::Init::normal(0.02)),
        proj(*this, "proj", {s.width, s.embed}, nn::Init::normal(0.02)),
        conv1(*this, "conv1", s),
        ln_pre(*this, "ln_pre", s.width),
        transformer(*this, "transformer"),
        ln_post(*this, "ln_post", s.width) {
    for (index_t i = 0; i < s.layers; ++i) transformer.resblocks.append(s);
  }

  struct Features {
    Var<T> tokens;  ///< [N, P, W]
    Var<T> pooled;  ///< [N, E]
  };

  /// pixels [N, 3, S, S], normalised.
  Features operator()(const Var<T>& pixels) const {
    const ModuleScope scope(name().c_str());
    if (pixels.rank() != 4 ||
        !(pixels.shape() == Shape{pixels.size(0), 3, sizes.image, sizes.image})) {
      fail<ShapeError>("clip_vision", cat("pixels [N, 3, ", sizes.image, ", ", sizes.image, "]"),
                       pixels.shape());
    }
    const index_t N = pixels.size(0);
    const Var<T> patches = patch_embedding(pixels, conv1.weight());
    const Var<T> cls = broadcast_to(class_embedding(), {N, 1, sizes.width});
    Var<T> x = ln_pre(add(concat({cls, patches}, 1), positional_embedding()));
    for (index_t i = 0; i < transformer.resblocks.size(); ++i) x = transformer.resblocks[i](x);
    const Var<T> first = reshape(slice(x, 1, 0, 1), {N, sizes.width});
    return {slice(x, 1, 1, x.size(1)), matmul(ln_post(first), proj())};
  }
};

}  // namespace plume::models
