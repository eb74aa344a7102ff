#pragma once
// TextDecoder: what Flamingo needs of a language model: embed, one layer at a time, logits.
//
// OPT, GPT-NeoX, MPT and LLaMA differ in positions, norms and names; they share this shape, the key-value cache
// and the treatment of padding: padding is masked as key, wherever it stands, and a padding query gives
// numbers nobody reads.

#include <limits>

#include "plume/nn/perceiver_resampler.hpp"
#include "plume/nn/token_embedding.hpp"
#include "plume/ops/rotary.hpp"

namespace plume::models {

/// Tokens of one call. With a cache, `ids` are the new ones and `mask` covers old and new.
struct TextInput {
  Tensor<std::int64_t> ids;  ///< [B, T]
  Tensor<bool> mask{};       ///< [B, past + T], true = a real token; undefined: all are
  index_t past = 0;          ///< tokens in the cache
};

/// Keys and values of the tokens so far, each [B, H, S, hd], per layer.
template <Floating T>
struct KvCache {
  struct Layer {
    Tensor<T> keys, values;
  };
  std::vector<Layer> layers;
  [[nodiscard]] index_t length() const {
    return layers.empty() || !layers[0].keys.defined() ? 0 : layers[0].keys.size(2);
  }
};

/// What all layers of one call share.
template <Floating T>
struct DecoderStep {
  AttentionOptions attention;
  RotaryTable rotary;  ///< undefined where the family has none
  KvCache<T>* cache = nullptr;
};

/// Labels [B, T] moved one token to the left: what each token has to guess. The last one guesses nothing: -100.
inline Tensor<std::int64_t> next_tokens(const Tensor<std::int64_t>& labels) {
  Tensor<std::int64_t> out = full<std::int64_t>(labels.shape(), -100);
  const index_t n = labels.size(1);
  if (n > 0) out.slice(1, 0, n - 1).copy_from(labels.slice(1, 1, n));
  return out;
}

/// Mean cross-entropy of logits[:, t] against labels[:, t + 1]; labels of -100 do not count.
template <Floating T>
Var<T> next_token_loss(const Var<T>& logits, const Tensor<std::int64_t>& labels) {
  return cross_entropy(logits, next_tokens(labels));
}

template <Floating T>
class TextDecoder : public nn::Module {
 public:
  using Module::Module;

  [[nodiscard]] virtual index_t width() const = 0;
  [[nodiscard]] virtual index_t layer_count() const = 0;
  /// How many tokens of a text it can read: the rows of a table of positions, where it has one.
  [[nodiscard]] virtual index_t positions() const { return std::numeric_limits<index_t>::max(); }
  [[nodiscard]] virtual nn::TokenEmbedding<T>& tokens() = 0;
  [[nodiscard]] const nn::TokenEmbedding<T>& tokens() const {
    return const_cast<TextDecoder*>(this)->tokens();
  }
  /// Where the layers lie in the reference's key names: "transformer.blocks".
  [[nodiscard]] virtual std::string layer_path() const = 0;
  /// The output matrix; null where it is the table of the input.
  [[nodiscard]] virtual const nn::Linear<T>* head() const { return nullptr; }
  [[nodiscard]] bool tied() const { return head() == nullptr; }
  /// Its token tables that have rows no weight file holds. They keep their scalar type, and checkpoints hold them.
  void set_grown(const std::vector<nn::ParameterBase*>& tables) {
    grown_ = tables;
    for (nn::ParameterBase* table : tables)
      static_cast<nn::Parameter<T>*>(table)->only_in_products(false);
  }
  [[nodiscard]] bool grew(const nn::ParameterBase& table) const {
    return std::find(grown_.begin(), grown_.end(), &table) != grown_.end();
  }

  [[nodiscard]] virtual DecoderStep<T> begin(const TextInput& input, KvCache<T>* cache) const = 0;
  [[nodiscard]] virtual Var<T> embed(const TextInput& input) const = 0;
  [[nodiscard]] virtual Var<T> layer(index_t i, const Var<T>& x,
                                     const DecoderStep<T>& step) const = 0;
  /// The last norm, [B, T, d].
  [[nodiscard]] virtual Var<T> final_norm(const Var<T>& x) const = 0;

  /// Final norm and output matrix: [B, T, d] to [B, T, V].
  [[nodiscard]] Var<T> logits(const Var<T>& x) const {
    const Var<T> n = final_norm(x);
    return tied() ? tokens().logits(n) : (*head())(n);
  }
  /// next_token_loss of logits(x), without holding them where the output matrix is a plain one.
  [[nodiscard]] Var<T> loss(const Var<T>& x, const Tensor<std::int64_t>& labels) const {
    if (!tied() && head()->weight.held() != nullptr) return next_token_loss(logits(x), labels);
    const Tensor<std::int64_t> targets = next_tokens(labels);
    const Var<T> n = final_norm(x);
    return tied() ? tokens().cross_entropy(n, targets)
                  : linear_cross_entropy(n, head()->weight(), targets);
  }

  /// The whole model: ids to logits [B, T, V].
  Var<T> operator()(const TextInput& input, KvCache<T>* cache = nullptr) const {
    const DecoderStep<T> step = begin(input, cache);
    Var<T> x = embed(input);
    for (index_t i = 0; i < layer_count(); ++i) x = layer(i, x, step);
    return logits(x);
  }

 protected:
  /// Causal, with the padding of `input` masked.
  [[nodiscard]] static DecoderStep<T> causal_step(const TextInput& input, KvCache<T>* cache) {
    DecoderStep<T> step;
    step.attention.causal = true;
    step.attention.key_mask = input.mask;
    step.cache = cache;
    return step;
  }
  /// Positions past .. past + T - 1 (relative positions need no more).
  [[nodiscard]] static Tensor<std::int64_t> running_positions(const TextInput& input) {
    Tensor<std::int64_t> out = arange<std::int64_t>(input.ids.size(1));
    for (index_t t = 0; t < out.numel(); ++t) out(t) += input.past;
    return out;
  }

 private:
  std::vector<nn::ParameterBase*> grown_;
};

/// Self-attention of one layer on heads q, k, v [B, H, T, hd]: puts k and v into the cache of layer i, if there
/// is one, and attends to all of it. Returns [B, T, H hd].
template <Floating T>
Var<T> attend(const Var<T>& q, Var<T> k, Var<T> v, const DecoderStep<T>& step, index_t i) {
  if (step.cache != nullptr) {
    auto& layers = step.cache->layers;
    if (layers.size() <= static_cast<std::size_t>(i))
      layers.resize(static_cast<std::size_t>(i) + 1);
    auto& kept = layers[static_cast<std::size_t>(i)];
    if (kept.keys.defined()) {
      k = concat({constant(kept.keys), k}, 2);
      v = concat({constant(kept.values), v}, 2);
    }
    kept = {k.value(), v.value()};
  }
  return nn::merge_heads(attention(q, k, v, step.attention));
}

}  // namespace plume::models
