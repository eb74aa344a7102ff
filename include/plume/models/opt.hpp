#pragma once
// OPT (Zhang et al., arXiv 2205.01068), the pre-norm form: learned positions that count real tokens, ReLU,
// biases, tied embeddings. Names as in transformers.
//
//   x = E[ids] + P[position + 2]      position: real tokens up to here, minus 1; -1 for padding

#include "plume/models/text_decoder.hpp"
#include "plume/nn/embedding.hpp"
#include "plume/nn/layer_norm.hpp"
#include "plume/ops/relu.hpp"

namespace plume::models {

struct OptSizes {
  index_t vocabulary = 50272;
  index_t width = 768;
  index_t layers = 12;
  index_t heads = 12;
  index_t ffn = 3072;
  index_t positions = 2048;
};

template <Floating T>
class Opt : public TextDecoder<T> {
 public:
  using TextDecoder<T>::tokens;
  struct Attention : nn::Module {
    nn::HeadSizes heads;
    nn::Linear<T> k_proj, v_proj, q_proj, out_proj;
    Attention(nn::Module& owner, std::string name, const OptSizes& s)
        : Module(owner, std::move(name)),
          heads{s.heads, s.width / s.heads},
          k_proj(*this, "k_proj", s.width, s.width),
          v_proj(*this, "v_proj", s.width, s.width),
          q_proj(*this, "q_proj", s.width, s.width),
          out_proj(*this, "out_proj", s.width, s.width) {}
  };
  struct Layer : nn::Module {
    Attention self_attn;
    nn::LayerNorm<T> self_attn_layer_norm;
    nn::Linear<T> fc1, fc2;
    nn::LayerNorm<T> final_layer_norm;
    Layer(nn::Module& owner, std::string name, const OptSizes& s)
        : Module(owner, std::move(name)),
          self_attn(*this, "self_attn", s),
          self_attn_layer_norm(*this, "self_attn_layer_norm", s.width),
          fc1(*this, "fc1", s.width, s.ffn),
          fc2(*this, "fc2", s.ffn, s.width),
          final_layer_norm(*this, "final_layer_norm", s.width) {}
  };
  struct Decoder : nn::Module {
    nn::TokenEmbedding<T> embed_tokens;
    nn::Embedding<T> embed_positions;
    nn::LayerNorm<T> final_layer_norm;
    nn::ModuleList<Layer> layers;
    Decoder(nn::Module& owner, std::string name, const OptSizes& s)
        : Module(owner, std::move(name)),
          embed_tokens(*this, "embed_tokens", s.vocabulary, s.width),
          embed_positions(*this, "embed_positions", s.positions + 2, s.width),
          final_layer_norm(*this, "final_layer_norm", s.width),
          layers(*this, "layers") {
      for (index_t i = 0; i < s.layers; ++i) layers.append(s);
    }
  };
  struct Model : nn::Module {
    Decoder decoder;
    Model(nn::Module& owner, std::string name, const OptSizes& s)
        : Module(owner, std::move(name)), decoder(*this, "decoder", s) {}
  };

  OptSizes sizes;
  Model model;

  Opt(nn::Module& owner, std::string name, const OptSizes& s)
      : TextDecoder<T>(owner, std::move(name)), sizes(s), model(*this, "model", s) {}

  [[nodiscard]] index_t width() const override { return sizes.width; }
  [[nodiscard]] index_t layer_count() const override { return sizes.layers; }
  [[nodiscard]] index_t positions() const override { return sizes.positions; }
  [[nodiscard]] nn::TokenEmbedding<T>& tokens() override { return model.decoder.embed_tokens; }
  [[nodiscard]] std::string layer_path() const override { return "model.decoder.layers"; }
  [[nodiscard]] DecoderStep<T> begin(const TextInput& input, KvCache<T>* cache) const override {
    return this->causal_step(input, cache);
  }

  [[nodiscard]] Var<T> embed(const TextInput& input) const override {
    Tensor<std::int64_t> positions(input.ids.shape());
    for (index_t b = 0; b < positions.size(0); ++b) {
      std::int64_t real = 0;
      for (index_t s = 0; s < input.past + positions.size(1); ++s) {
        const bool token = !input.mask.defined() || input.mask(b, s);
        real += token ? 1 : 0;
        if (s >= input.past) positions(b, s - input.past) = (token ? real - 1 : -1) + 2;
      }
    }
    return add(model.decoder.embed_tokens(input.ids), model.decoder.embed_positions(positions));
  }
  [[nodiscard]] Var<T> layer(index_t i, const Var<T>& x,
                             const DecoderStep<T>& step) const override {
    const Layer& l = model.decoder.layers[i];
    const ModuleScope scope(l.name().c_str());
    const Attention& a = l.self_attn;
    const Var<T> n = l.self_attn_layer_norm(x);
    const auto heads = [&](const nn::Linear<T>& proj) { return nn::split_heads(proj(n), a.heads); };
    const Var<T> h =
        add(x, a.out_proj(attend(heads(a.q_proj), heads(a.k_proj), heads(a.v_proj), step, i)));
    return add(h, l.fc2(relu(l.fc1(l.final_layer_norm(h)))));
  }
  [[nodiscard]] Var<T> final_norm(const Var<T>& x) const override {
    return model.decoder.final_layer_norm(x);
  }
};

}  // namespace plume::models
