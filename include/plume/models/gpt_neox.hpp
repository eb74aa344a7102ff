#pragma once
// GPT-NeoX (Black et al., arXiv 2204.06745): RedPajama-INCITE and Pythia. Rotary positions on the first part of
// each head, GELU, biases, an output matrix of its own. Names as in transformers.
//
//   sequential (RedPajama):  a = x + attn(LN1 x);  x = a + mlp(LN2 a)
//   parallel (Pythia):       x = x + attn(LN1 x) + mlp(LN2 x)

#include "plume/models/text_decoder.hpp"
#include "plume/nn/layer_norm.hpp"
#include "plume/ops/gelu.hpp"

namespace plume::models {

struct GptNeoxSizes {
  index_t vocabulary = 50432;
  index_t width = 2560;
  index_t layers = 32;
  index_t heads = 32;
  index_t ffn = 10240;
  double rotary_part = 1;  ///< of each head
  double rotary_base = 10000;
  bool parallel_residual = false;
  double eps = 1e-5;
  double rotary_stretch = 1;  ///< linear scaling: positions are divided by this
};

template <Floating T>
class GptNeox : public TextDecoder<T> {
 public:
  using TextDecoder<T>::tokens;
  struct Attention : nn::Module {
    nn::Linear<T> query_key_value, dense;
    Attention(nn::Module& owner, std::string name, index_t width)
        : Module(owner, std::move(name)),
          query_key_value(*this, "query_key_value", width, 3 * width),
          dense(*this, "dense", width, width) {}
  };
  struct Mlp : nn::Module {
    nn::Linear<T> dense_h_to_4h, dense_4h_to_h;
    Mlp(nn::Module& owner, std::string name, const GptNeoxSizes& s)
        : Module(owner, std::move(name)),
          dense_h_to_4h(*this, "dense_h_to_4h", s.width, s.ffn),
          dense_4h_to_h(*this, "dense_4h_to_h", s.ffn, s.width) {}
  };
  struct Layer : nn::Module {
    nn::LayerNorm<T> input_layernorm, post_attention_layernorm;
    Attention attention;
    Mlp mlp;
    Layer(nn::Module& owner, std::string name, const GptNeoxSizes& s)
        : Module(owner, std::move(name)),
          input_layernorm(*this, "input_layernorm", s.width, nn::Bias::yes, s.eps),
          post_attention_layernorm(*this, "post_attention_layernorm", s.width, nn::Bias::yes,
                                   s.eps),
          attention(*this, "attention", s.width),
          mlp(*this, "mlp", s) {}
  };
  struct Model : nn::Module {
    nn::TokenEmbedding<T> embed_in;
    nn::ModuleList<Layer> layers;
    nn::LayerNorm<T> final_layer_norm;
    Model(nn::Module& owner, std::string name, const GptNeoxSizes& s)
        : Module(owner, std::move(name)),
          embed_in(*this, "embed_in", s.vocabulary, s.width),
          layers(*this, "layers"),
          final_layer_norm(*this, "final_layer_norm", s.width, nn::Bias::yes, s.eps) {
      for (index_t i = 0; i < s.layers; ++i) layers.append(s);
    }
  };

  GptNeoxSizes sizes;
  Model gpt_neox;
  nn::Linear<T> embed_out;

  GptNeox(nn::Module& owner, std::string name, const GptNeoxSizes& s)
      : TextDecoder<T>(owner, std::move(name)),
        sizes(s),
        gpt_neox(*this, "gpt_neox", s),
        embed_out(*this, "embed_out", s.width, s.vocabulary, nn::Bias::no) {}

  [[nodiscard]] index_t width() const override { return sizes.width; }
  [[nodiscard]] index_t layer_count() const override { return sizes.layers; }
  [[nodiscard]] nn::TokenEmbedding<T>& tokens() override { return gpt_neox.embed_in; }
  [[nodiscard]] std::string layer_path() const override { return "gpt_neox.layers"; }
  [[nodiscard]] const nn::Linear<T>* head() const override { return &embed_out; }
  [[nodiscard]] DecoderStep<T> begin(const TextInput& input, KvCache<T>* cache) const override {
    DecoderStep<T> step = this->causal_step(input, cache);
    const auto turned =
        static_cast<index_t>(static_cast<double>(sizes.width / sizes.heads) * sizes.rotary_part);
    step.rotary = rotary_table(this->running_positions(input), turned, sizes.rotary_base,
                               RotaryAngle::float32, sizes.rotary_stretch);
    return step;
  }
  [[nodiscard]] Var<T> embed(const TextInput& input) const override {
    return gpt_neox.embed_in(input.ids);
  }
  [[nodiscard]] Var<T> layer(index_t i, const Var<T>& x,
                             const DecoderStep<T>& step) const override {
    const Layer& l = gpt_neox.layers[i];
    const ModuleScope scope(l.name().c_str());
    const index_t hd = sizes.width / sizes.heads;
    // Each head's q, k and v lie side by side in the product: [B, T, H, 3 hd].
    const Var<T> qkv = reshape(l.attention.query_key_value(l.input_layernorm(x)),
                               {x.size(0), x.size(1), sizes.heads, 3 * hd});
    const auto part = [&](index_t p) {
      return permute(slice(qkv, -1, p * hd, (p + 1) * hd), {0, 2, 1, 3});
    };
    const Var<T> a = l.attention.dense(
        attend(rotary(part(0), step.rotary), rotary(part(1), step.rotary), part(2), step, i));
    const auto mlp = [&](const Var<T>& h) {
      return l.mlp.dense_4h_to_h(gelu(l.mlp.dense_h_to_4h(l.post_attention_layernorm(h))));
    };
    if (sizes.parallel_residual) return add(add(mlp(x), a), x);
    const Var<T> h = add(a, x);
    return add(mlp(h), h);
  }
  [[nodiscard]] Var<T> final_norm(const Var<T>& x) const override {
    return gpt_neox.final_layer_norm(x);
  }
};

}  // namespace plume::models
