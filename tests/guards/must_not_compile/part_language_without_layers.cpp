// expect: plume: the language model lacks layer(i, x, step) const
#include "plume/models/flamingo.hpp"

using namespace plume;

struct Language : nn::Module {
  models::DecoderStep<float> begin(const models::TextInput&, models::KvCache<float>*) const {
    return {};
  }
  Var<float> embed(const models::TextInput&) const { return {}; }
#ifdef CONTROL
  Var<float> layer(index_t, const Var<float>& x, const models::DecoderStep<float>&) const {
    return x;
  }
#endif
  index_t layer_count() const { return 0; }
  Var<float> logits(const Var<float>& x) const { return x; }
};

int main() {
  using Model =
      models::VisionLanguageModel<float, models::ClipVision<float>, nn::PerceiverResampler<float>,
                                  nn::GatedCrossAttention<float>, Language>;
  return static_cast<int>(sizeof(Model));
}
