// expect: plume: the fusion block lacks prepare(latents) const
#include "plume/models/flamingo.hpp"

using namespace plume;

struct Block : nn::Module {
#ifdef CONTROL
  Var<float> prepare(const Var<float>& latents) const { return latents; }
#endif
  Var<float> operator()(const Var<float>& x, const Var<float>& /*media*/,
                        const Tensor<std::int64_t>& /*times*/) const {
    return x;
  }
};

int main() {
  using Model = models::VisionLanguageModel<float, models::ClipVision<float>,
                                            nn::PerceiverResampler<float>, Block>;
  return static_cast<int>(sizeof(Model));
}
