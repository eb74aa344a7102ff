#pragma once
// VisionLanguageModel: a vision encoder, a resampler, a fusion block before every k-th layer of a language
// model. Flamingo (arXiv 2204.14198, 2308.01390) is one combination; a variant replaces one part.
//
//   images [B, M, F, 3, S, S] -> vision tokens [B, M, F, P, W] -> latents [B, M, L, W]
//   ids [B, T] -> logits [B, T, V]
//
// The vision encoder and the language model are frozen: no graph is recorded for the former, and the latter
// keeps only what the blocks below need to be trained. That is still most of the memory of a training step:
//
//   decoder layer   what its norms, its attention (q, k, v, y) and its activation took in; no input of a product
//   gated block     those, and the input of every product
//
// FusionPlan::recompute trades it for time.

#include <functional>

#include "plume/autograd/recompute.hpp"
#include "plume/models/clip_vision.hpp"
#include "plume/models/parts.hpp"
#include "plume/models/text_decoder.hpp"
#include "plume/nn/gated_cross_attention.hpp"

namespace plume::models {

/// What backward computes again instead of keeping it. Losses and gradients have the same bits either way.
enum class Recompute : std::uint8_t {
  none,
  blocks,  ///< each fusion block: its input is kept, and what it made of the images
  layers,  ///< each decoder layer with the block before it, and the resampler
};

/// The name users read and write.
constexpr std::string_view name(Recompute recompute) noexcept {
  return recompute == Recompute::none     ? "none"
         : recompute == Recompute::blocks ? "blocks"
                                          : "layers";
}

struct FusionPlan {
  index_t every = 1;  ///< a block before each layer i with (i + 1) % every == 0
  std::int64_t image_token = -1;
  Recompute recompute = Recompute::none;  ///< where a graph is recorded
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
    const Var<T> all = reshape(tokens, {B, M, F, tokens.size(1), tokens.size(2)});
    const Var<T> latents = recomputes(Recompute::layers, observe)
                               ? recompute([this](const Var<T>& x) { return (*perceiver)(x); }, all)
                               : (*perceiver)(all);
    if (observe) observe("perceiver", latents.value());
    return latents;
  }
  /// What each fusion block needs of the latents, computed once for all tokens.
  Media prepare(const Var<T>& latents) const {
    const ModuleScope scope(fusion.name().c_str());
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
  /// What the last layer makes [B, T, d] of tokens with text times [B, T].
  Var<T> hidden(const TextInput& input, const Media& media, const Tensor<std::int64_t>& times,
                KvCache<T>* cache = nullptr, const Observer& observe = {}) const {
    const auto step = lang_encoder->begin(input, cache);
    Var<T> x = embed(input);
    if constexpr (requires { lang_encoder->tokens()(input.ids).value(); }) {
      if (observe) observe("lm.embedding", lang_encoder->tokens()(input.ids).value());
    }
    const bool blocks = cache == nullptr && recomputes(Recompute::blocks, observe);
    const bool layers = cache == nullptr && recomputes(Recompute::layers, observe);
    for (index_t i = 0; i < lang_encoder->layer_count(); ++i) {
      // What they capture lives as long as the graph does.
      const auto fuse = [this, i, prepared = media[static_cast<std::size_t>(i)],
                         times](const Var<T>& h) {
        const ModuleScope scope(fusion.name().c_str());
        return fusion[i](h, prepared, times);
      };
      const auto decode = [this, i, step](const Var<T>& h) {
        const ModuleScope scope(lang_encoder->name().c_str());
        return lang_encoder->layer(i, h, step);
      };
      if (layers) {
        x = fusion.has(i) ? recompute([=](const Var<T>& h) { return decode(fuse(h)); }, x)
                          : recompute(decode, x);
        continue;
      }
      if (fusion.has(i)) {
        if constexpr (requires { fusion[i].attn(x, media[0], times); }) {
          if (observe)
            observe(cat("layer.", i, ".cross_attention"),
                    fusion[i].attn(x, media[static_cast<std::size_t>(i)], times).value());
        }
        x = blocks ? recompute(fuse, x) : fuse(x);
        if (observe) observe(cat("layer.", i, ".gated_block"), x.value());
      }
      x = decode(x);
      if (observe) observe(cat("layer.", i, ".decoder"), x.value());
    }
    return x;
  }
  /// Logits [B, T, V] of the same.
  Var<T> read(const TextInput& input, const Media& media, const Tensor<std::int64_t>& times,
              KvCache<T>* cache = nullptr) const {
    return lang_encoder->logits(hidden(input, media, times, cache));
  }

  /// images [B, M, F, 3, S, S] and tokens to logits [B, T, V].
  Var<T> operator()(const Tensor<T>& images, const TextInput& input,
                    const Observer& observe = {}) const {
    const Var<T> logits = lang_encoder->logits(whole(images, input, observe));
    if (observe) observe("logits", logits.value());
    return logits;
  }
  /// next_token_loss of the logits. A language model with a `loss` of its own need not hold them.
  Var<T> loss(const Tensor<T>& images, const TextInput& input,
              const Tensor<std::int64_t>& labels) const {
    const Var<T> x = whole(images, input, {});
    if constexpr (requires { lang_encoder->loss(x, labels); }) {
      return lang_encoder->loss(x, labels);
    } else {
      return next_token_loss(lang_encoder->logits(x), labels);
    }
  }

 private:
  Var<T> embed(const TextInput& input) const {
    const ModuleScope scope(lang_encoder->name().c_str());
    return lang_encoder->embed(input);
  }
  /// Whether the graph that is being recorded, if one is, leaves out what `least` names. An observer sees every value
  /// once: for it nothing is computed twice.
  [[nodiscard]] bool recomputes(Recompute least, const Observer& observe) const {
    return !observe && plume::detail::autograd_state.enabled && plan.recompute >= least;
  }
  Var<T> whole(const Tensor<T>& images, const TextInput& input, const Observer& observe) const {
    return hidden(input, prepare(see(images, observe)), nn::text_times(input.ids, plan.image_token),
                  nullptr, observe);
  }
};

template <Floating T>
using Flamingo = VisionLanguageModel<T>;

}  // namespace plume::models
