#pragma once
// VisionLanguageModel: a vision encoder, a resampler, a fusion block before every k-th layer of a language
// model. Flamingo (arXiv 2204.14198, 2308.01390) is one combination; a variant replaces one part.
//
//   images [B, M, F, 3, S, S] -> vision tokens [B, M, F, P, W] -> latents [B, M, L, W]
//   ids [B, T] -> logits [B, T, V]
//
// The vision encoder and the language model are frozen: no graph is recorded for the former, and the latter
// keeps only what the blocks below need to be trained.

#include <functional>

#include "plume/models/clip_vision.hpp"
#include "plume/models/parts.hpp"
#include "plume/models/text_decoder.hpp"
#include "plume/nn/gated_cross_attention.hpp"
#include "plume/ops/cross_entropy.hpp"

namespace plume::models {

struct FusionPlan {
  index_t every = 1;  ///< a block before each layer i with (i + 1) % every == 0
  std::int64_t image_token = -1;
};

template <Floating T, class Vision = ClipVision<T>, class Resample = nn::PerceiverResampler<T>,
          class Fuse = nn::GatedCrossAttention<T>, class Language = TextDecoder<T>>
class VisionLanguageModel : public nn::Module {
  static_assert(parts_fit<T, Vision, Resample, Fuse, Language>());

 public:
  using Media =
      std::vector<decltype(std::declval<const Fuse&>().prepare(std::declval<const Var<T>&>()))>;
  /// Hears of every named intermediate value.
  using Observer = std::function<void(const std::string& name, const Tensor<T>& value)>;

  FusionPlan plan;
  std::unique_ptr<Vision> vision_encoder;
  std::unique_ptr<Resample> perceiver;
  std::unique_ptr<Language> lang_encoder;
  nn::ModuleList<Fuse> fusion;

  /// Each part is made by a function of (owner, name).
  template <class MakeVision, class MakeResampler, class MakeLanguage, class... FusionSizes>
  VisionLanguageModel(FusionPlan fusion_plan, MakeVision vision, MakeResampler resampler,
                      MakeLanguage language, const FusionSizes&... fusion_sizes)
      : plan(fusion_plan),
        vision_encoder(vision(*this, "vision_encoder")),
        perceiver(resampler(*this, "perceiver")),
        lang_encoder(language(*this, "lang_encoder")),
        fusion(*this, "gated_cross_attn_layers") {
    if (plan.every < 1)
      fail<ValueError>("vision_language_model", "a block every >= 1 layers", plan.every);
    for (index_t i = 0; i < lang_encoder->layer_count(); ++i) {
      if ((i + 1) % plan.every == 0) {
        fusion.append(fusion_sizes...);
      } else {
        fusion.append_none();
      }
    }
    freeze(*vision_encoder);
    freeze(*lang_encoder);
  }

  /// Latents [B, M, L, W] of images [B, M, F, 3, S, S].
  Var<T> see(const Tensor<T>& images, const Observer& observe = {}) const {
    if (images.rank() != 6)
      fail<ShapeError>("flamingo", "images [B, M, F, 3, S, S]", images.shape());
    const index_t B = images.size(0), M = images.size(1), F = images.size(2);
    const Var<T> pixels(
        images.reshape({B * M * F, images.size(3), images.size(4), images.size(5)}));
    const NoGrad scope;
    const auto features = (*vision_encoder)(pixels);
    if (observe) {
      observe("vision.tokens", features.tokens.value());
      if constexpr (requires { features.pooled; })
        observe("vision.pooled", features.pooled.value());
    }
    const EnableGrad trainable_again;
    const Var<T> tokens = features.tokens.detach();
    const Var<T> latents = (*perceiver)(reshape(tokens, {B, M, F, tokens.size(1), tokens.size(2)}));
    if (observe) observe("perceiver", latents.value());
    return latents;
  }
  /// What each fusion block needs of the latents, computed once for all tokens.
  Media prepare(const Var<T>& latents) const {
    Media media;
    for (index_t i = 0; i < fusion.size(); ++i) {
      if (fusion.has(i)) {
        media.push_back(fusion[i].prepare(latents));
      } else {
        media.emplace_back();
      }
    }
    return media;
  }
  /// Logits [B, T, V] of tokens with text times [B, T].
  Var<T> read(const TextInput& input, const Media& media, const Tensor<std::int64_t>& times,
              KvCache<T>* cache = nullptr, const Observer& observe = {}) const {
    const auto step = lang_encoder->begin(input, cache);
    Var<T> x = lang_encoder->embed(input);
    if constexpr (requires { lang_encoder->tokens()(input.ids).value(); }) {
      if (observe) observe("lm.embedding", lang_encoder->tokens()(input.ids).value());
    }
    for (index_t i = 0; i < lang_encoder->layer_count(); ++i) {
      if (fusion.has(i)) {
        const auto& prepared = media[static_cast<std::size_t>(i)];
        if constexpr (requires { fusion[i].attn(x, prepared, times); }) {
          if (observe)
            observe(cat("layer.", i, ".cross_attention"),
                    fusion[i].attn(x, prepared, times).value());
        }
        x = fusion[i](x, prepared, times);
        if (observe) observe(cat("layer.", i, ".gated_block"), x.value());
      }
      x = lang_encoder->layer(i, x, step);
      if (observe) observe(cat("layer.", i, ".decoder"), x.value());
    }
    const Var<T> logits = lang_encoder->logits(x);
    if (observe) observe("logits", logits.value());
    return logits;
  }

  /// images [B, M, F, 3, S, S] and tokens to logits [B, T, V].
  Var<T> operator()(const Tensor<T>& images, const TextInput& input,
                    const Observer& observe = {}) const {
    return read(input, prepare(see(images, observe)), nn::text_times(input.ids, plan.image_token),
                nullptr, observe);
  }
};

template <Floating T>
using Flamingo = VisionLanguageModel<T>;

/// Mean cross-entropy of logits[:, t] against labels[:, t + 1]; labels of -100 do not count.
template <Floating T>
Var<T> next_token_loss(const Var<T>& logits, const Tensor<std::int64_t>& labels) {
  const index_t n = labels.size(1);
  return cross_entropy(slice(logits, 1, 0, n - 1), labels.slice(1, 1, n).contiguous());
}

}  // namespace plume::models
