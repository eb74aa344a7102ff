#pragma once
// A variant: text attends to all images before it, not to the last one alone. The mask is a choice that the
// gated block already offers, so the variant is one line of constructor; its name keeps the choice with the
// type, and with every model that is built from it.

#include "plume/models/flamingo.hpp"

namespace variants {

using namespace plume;

template <Floating T>
class AllPreviousCrossAttention : public nn::GatedCrossAttention<T> {
 public:
  AllPreviousCrossAttention(nn::Module& owner, std::string name, nn::GatedBlockSizes sizes)
      : nn::GatedCrossAttention<T>(owner, std::move(name), looking_back(sizes)) {}

 private:
  static nn::GatedBlockSizes looking_back(nn::GatedBlockSizes sizes) {
    sizes.mask = nn::MediaMask::all_previous;
    return sizes;
  }
};

template <Floating T>
using AllPreviousFlamingo =
    models::VisionLanguageModel<T, models::ClipVision<T>, nn::PerceiverResampler<T>,
                                AllPreviousCrossAttention<T>>;

}  // namespace variants
