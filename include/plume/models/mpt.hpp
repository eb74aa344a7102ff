#pragma once
// MPT (MosaicML): ALiBi instead of positions, LayerNorm without bias, no biases anywhere, tied embeddings.
// MPT-1B normalises queries and keys over the whole width, before they are split into heads; MPT-7B does not,
// and spells its names differently.

#include <optional>

#include "plume/models/text_decoder.hpp"
#include "plume/nn/layer_norm.hpp"
#include "plume/ops/gelu.hpp"

namespace plume::models {

struct MptSizes {
  enum class Names { mosaic_gpt, mpt } names = Names::mosaic_gpt;
  index_t vocabulary = 50432;
  index_t width = 2048;
  index_t layers = 24;
  index_t heads = 16;
  index_t multiple = 4;  ///< of the feed-forward
  double alibi_bias_max = 8;
  bool qk_norm = true;
  std::optional<double> softmax_scale{};  ///< of q k^T; none: 1 / sqrt(width of a head)
};

/// Slopes [H] of ALiBi: 2^(-max (h + 1) / H'); where H is no power of two, H' is the next one and every second
/// slope comes first.
inline Tensor<float> alibi_slopes(index_t heads, double bias_max = 8) {
  index_t power = 1;
  while (power < heads) power *= 2;
  Tensor<float> out(Shape{heads});
  for (index_t h = 0; h < heads; ++h) {
    index_t place = h;
    if (power != heads) place = h < power / 2 ? 2 * h + 1 : 2 * (h - power / 2);
    out(h) = static_cast<float>(
        std::exp2(-bias_max * static_cast<double>(place + 1) / static_cast<double>(power)));
  }
  return out;
}

template <Floating T>
class Mpt : public TextDecoder<T> {
 public:
  using TextDecoder<T>::tokens;
  struct Attention : nn::Module {
    nn::Linear<T> Wqkv;
    std::optional<nn::LayerNorm<T>> q_ln, k_ln;
    nn::Linear<T> out_proj;
    Attention(nn::Module& owner, std::string name, const MptSizes& s)
        : Module(owner, std::move(name)),
          Wqkv(*this, "Wqkv", s.width, 3 * s.width, nn::Bias::no),
          out_proj(*this, "out_proj", s.width, s.width, nn::Bias::no) {
      if (!s.qk_norm) return;
      q_ln.emplace(*this, "q_ln", s.width, nn::Bias::no);
      k_ln.emplace(*this, "k_ln", s.width, nn::Bias::no);
    }
  };
  struct FeedForward : nn::Module {
    nn::Linear<T> up, down;
    FeedForward(nn::Module& owner, const MptSizes& s)
        : Module(owner, old_names(s) ? "mlp" : "ffn"),
          up(*this, old_names(s) ? "mlp_up" : "up_proj", s.width, s.multiple * s.width,
             nn::Bias::no),
          down(*this, old_names(s) ? "mlp_down" : "down_proj", s.multiple * s.width, s.width,
               nn::Bias::no) {}
  };
  struct Block : nn::Module {
    nn::LayerNorm<T> norm_1;
    Attention attn;
    nn::LayerNorm<T> norm_2;
    FeedForward ffn;
    Block(nn::Module& owner, std::string name, const MptSizes& s)
        : Module(owner, std::move(name)),
          norm_1(*this, old_names(s) ? "ln_1" : "norm_1", s.width, nn::Bias::no),
          attn(*this, "attn", s),
          norm_2(*this, old_names(s) ? "ln_2" : "norm_2", s.width, nn::Bias::no),
          ffn(*this, s) {}
  };
  struct Transformer : nn::Module {
    nn::TokenEmbedding<T> wte;
    nn::ModuleList<Block> blocks;
    nn::LayerNorm<T> norm_f;
    Transformer(nn::Module& owner, std::string name, const MptSizes& s)
        : Module(owner, std::move(name)),
          wte(*this, "wte", s.vocabulary, s.width),
          blocks(*this, "blocks"),
          norm_f(*this, old_names(s) ? "ln_f" : "norm_f", s.width, nn::Bias::no) {
      for (index_t i = 0; i < s.layers; ++i) blocks.append(s);
    }
  };

  MptSizes sizes;
  Transformer transformer;

  Mpt(nn::Module& owner, std::string name, const MptSizes& s)
      : TextDecoder<T>(owner, std::move(name)), sizes(s), transformer(*this, "transformer", s) {}

  [[nodiscard]] index_t width() const override { return sizes.width; }
  [[nodiscard]] index_t layer_count() const override { return sizes.layers; }
  [[nodiscard]] nn::TokenEmbedding<T>& tokens() override { return transformer.wte; }
  [[nodiscard]] std::string layer_path() const override { return "transformer.blocks"; }
  [[nodiscard]] DecoderStep<T> begin(const TextInput& input, KvCache<T>* cache) const override {
    DecoderStep<T> step = this->causal_step(input, cache);
    step.attention.scale = sizes.softmax_scale;
    step.attention.alibi_slopes = alibi_slopes(sizes.heads, sizes.alibi_bias_max);
    return step;
  }
  [[nodiscard]] Var<T> embed(const TextInput& input) const override {
    return transformer.wte(input.ids);
  }
  [[nodiscard]] Var<T> layer(index_t i, const Var<T>& x,
                             const DecoderStep<T>& step) const override {
    const Block& block = transformer.blocks[i];
    const ModuleScope scope(block.name().c_str());
    const nn::HeadSizes heads{sizes.heads, sizes.width / sizes.heads};
    const Var<T> qkv =
        block.attn.Wqkv(block.norm_1(x));  // three blocks of the width, unlike GPT-NeoX
    const auto part = [&](index_t p) {
      return slice(qkv, -1, p * sizes.width, (p + 1) * sizes.width);
    };
    const Var<T> q = block.attn.q_ln ? (*block.attn.q_ln)(part(0)) : part(0);
    const Var<T> k = block.attn.k_ln ? (*block.attn.k_ln)(part(1)) : part(1);
    const Var<T> h =
        add(x, block.attn.out_proj(attend(nn::split_heads(q, heads), nn::split_heads(k, heads),
                                          nn::split_heads(part(2), heads), step, i)));
    return add(h, block.ffn.down(gelu(block.ffn.up(block.norm_2(h)))));
  }
  [[nodiscard]] Var<T> final_norm(const Var<T>& x) const override { return transformer.norm_f(x); }

 private:
  static bool old_names(const MptSizes& s) { return s.names == MptSizes::Names::mosaic_gpt; }
};

}  // namespace plume::models
