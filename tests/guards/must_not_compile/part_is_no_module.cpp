// expect: plume: the resampler must derive from plume::nn::Module
#include "plume/models/flamingo.hpp"

using namespace plume;

#ifdef CONTROL
struct Pool : nn::Module {
#else
struct Pool {
#endif
  Var<float> operator()(const Var<float>& features) const { return features; }
};

int main() {
  using Model = models::VisionLanguageModel<float, models::ClipVision<float>, Pool>;
  return static_cast<int>(sizeof(Model));
}
