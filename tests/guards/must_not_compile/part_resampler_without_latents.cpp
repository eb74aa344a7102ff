// expect: plume: the resampler must be callable as resampler(features) const and give latents
#include "plume/models/flamingo.hpp"

using namespace plume;

struct Pool : nn::Module {
#ifdef CONTROL
  Var<float> operator()(const Var<float>& features) const { return features; }
#else
  Tensor<float> operator()(const Tensor<float>& features) const { return features; }
#endif
};

int main() {
  using Model = models::VisionLanguageModel<float, models::ClipVision<float>, Pool>;
  return static_cast<int>(sizeof(Model));
}
