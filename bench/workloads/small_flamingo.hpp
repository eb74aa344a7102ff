#pragma once
// Flamingo at a small real size: ViT-B/32, Perceiver, OPT-125M's shapes, a gated block before each layer; random
// weights.

#include "plume/models/flamingo.hpp"
#include "plume/models/opt.hpp"

namespace plume::bench {

inline constexpr index_t small_vocabulary = 50280;
inline constexpr std::int64_t small_image_token = 50278;

inline models::OptSizes opt_125m() { return {small_vocabulary, 768, 12, 12, 3072, 2048}; }

inline std::unique_ptr<models::Flamingo<float>> small_flamingo() {
  using namespace models;
  auto model = std::make_unique<Flamingo<float>>(
      FusionPlan{1, small_image_token},
      [](nn::Module& owner, const char* name) {
        return std::make_unique<ClipVision<float>>(
            owner, name, ClipVisionSizes::vit_b_32(Activation::quick_gelu));
      },
      [](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<float>>(owner, name,
                                                               nn::ResamplerSizes{.width = 768});
      },
      [](nn::Module& owner, const char* name) {
        return std::make_unique<Opt<float>>(owner, name, opt_125m());
      },
      nn::GatedBlockSizes{.text_width = 768, .visual_width = 768});
  initialize(*model, 1);
  return model;
}

}  // namespace plume::bench
