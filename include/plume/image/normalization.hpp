#pragma once
// Normalization: the means and deviations by which pixels become a vision encoder's input.

#include <array>

namespace plume::image {

/// Per channel, on a scale of 0 to 1: y = (v / 255 - mean) / deviation. The defaults are OpenAI's, which open_clip
/// takes wherever a model says nothing else.
struct Normalization {
  std::array<float, 3> mean{0.48145466F, 0.4578275F, 0.40821073F};
  std::array<float, 3> deviation{0.26862954F, 0.26130258F, 0.27577711F};
};

}  // namespace plume::image
