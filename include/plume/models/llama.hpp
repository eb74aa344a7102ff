#pragma once
// LLaMA (Touvron et al., arXiv 2302.13971): RMSNorm, rotary positions over the whole head, a gated SiLU
// feed-forward, no biases, an output matrix of its own. Names and the order of q and k channels as in transformers.

#include "plume/models/text_decoder.hpp"
#include "plume/nn/linear.hpp"
#include "plume/nn/rms_norm.hpp"
#include "plume/ops/silu.hpp"

namespace plume::models {

struct LlamaSizes {
  index_t vocabulary = 32000;
  index_t width = 4096;
  index_t layers = 32;
  index_t heads = 32;
  index_t ffn = 11008;
  double rotary_base = 10000;
  double eps = 1e-6;
  double rotary_stretch = 1;  ///< linear scaling: positions are divided by this
};

template <Floating T>
class Llama : public TextDecoder<T> {
 public:
  using TextDecoder<T>::tokens;
  struct Attention : nn::Module {
    nn::Linear<T> q_proj, k_proj, v_proj, o_proj;
    Attention(nn::Module& owner, std::string name, index_t width)
        : Module(owner, std::move(name)),
          q_proj(*this, "q_proj", width, width, nn::Bias::no),
          k_proj(*this, "k_proj", width, width, nn::Bias::no),
          v_proj(*this, "v_proj", width, width, nn::Bias::no),
          o_proj(*this, "o_proj", width, width, nn::Bias::no) {}
  };
  struct Mlp : nn::Module {
    nn::Linear<T> gate_proj, up_proj, down_proj;
    Mlp(nn::Module& owner, std::string name, const LlamaSizes& s)
        : Module(owner, std::move(name)),
          gate_proj(*this, "gate_proj", s.width, s.ffn, nn::Bias::no),
          up_proj(*this, "up_proj", s.width, s.ffn, nn::Bias::no),
          down_proj(*this, "down_proj", s.ffn, s.width, nn::Bias::no) {}
  };
  struct Layer : nn::Module {
    Attention self_attn;
    Mlp mlp;
    nn::RmsNorm<T> input_layernorm, post_attention_layernorm;
    Layer(nn::Module& owner, std::string name, const LlamaSizes& s)
        : Module(owner, std::move(name)),
          self_attn(*this, "self_attn", s.width),
          mlp(*this, "mlp", s),
          input_layernorm(*this, "input_layernorm", s.width, s.eps),
          post_attention_layernorm(*this, "post_attention_layernorm", s.width, s.eps) {}
  };
  struct Model : nn::Module {
    nn::TokenEmbedding<T> embed_tokens;
    nn::ModuleList<Layer> layers;
    nn::RmsNorm<T> norm;
    Model(nn::Module& owner, std::string name, const LlamaSizes& s)
        : Module(owner, std::move(name)),
          embed_tokens(*this, "embed_tokens", s.vocabulary, s.width),
          layers(*this, "layers"),
          norm(*this, "norm", s.width, s.eps) {
      for (index_t i = 0; i < s.layers; ++i) layers.append(s);
    }
  };

  LlamaSizes sizes;
  Model model;
  nn::Linear<T> lm_head;

  Llama(nn::Module& owner, std::string name, const LlamaSizes& s)
      : TextDecoder<T>(owner, std::move(name)),
        sizes(s),
        model(*this, "model", s),
        lm_head(*this, "lm_head", s.width, s.vocabulary, nn::Bias::no) {}

  [[nodiscard]] index_t width() const override { return sizes.width; }
  [[nodiscard]] index_t layer_count() const override { return sizes.layers; }
  [[nodiscard]] nn::TokenEmbedding<T>& tokens() override { return model.embed_tokens; }
  [[nodiscard]] std::string layer_path() const override { return "model.layers"; }
  [[nodiscard]] const nn::Linear<T>* head() const override { return &lm_head; }
  [[nodiscard]] DecoderStep<T> begin(const TextInput& input, KvCache<T>* cache) const override {
    DecoderStep<T> step = this->causal_step(input, cache);
    step.rotary = rotary_table(this->running_positions(input), sizes.width / sizes.heads,
                               sizes.rotary_base, RotaryAngle::float32, sizes.rotary_stretch);
    return step;
  }
  [[nodiscard]] Var<T> embed(const TextInput& input) const override {
    return model.embed_tokens(input.ids);
  }
  [[nodiscard]] Var<T> layer(index_t i, const Var<T>& x,
                             const DecoderStep<T>& step) const override {
    const Layer& l = model.layers[i];
    const ModuleScope scope(l.name().c_str());
    const nn::HeadSizes heads{sizes.heads, sizes.width / sizes.heads};
    const Attention& a = l.self_attn;
    const Var<T> n = l.input_layernorm(x);
    const Var<T> q = rotary(nn::split_heads(a.q_proj(n), heads), step.rotary);
    const Var<T> k = rotary(nn::split_heads(a.k_proj(n), heads), step.rotary);
    const Var<T> h = add(x, a.o_proj(attend(q, k, nn::split_heads(a.v_proj(n), heads), step, i)));
    const Var<T> y = l.post_attention_layernorm(h);
    return add(h, l.mlp.down_proj(mul(silu(l.mlp.gate_proj(y)), l.mlp.up_proj(y))));
  }
  [[nodiscard]] Var<T> final_norm(const Var<T>& x) const override { return model.norm(x); }
};

}  // namespace plume::models
