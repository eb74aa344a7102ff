#pragma once
// A variant: one gate per channel in place of one per block,
//
//   x <- x + tanh(a) * MaskedCrossAttention(x, media)      x <- x + tanh(f) * FeedForward(x)      a, f [d]
//
// so that a block may open for some channels and stay shut for others. At first all are 0, as in Flamingo.

#include "plume/models/flamingo.hpp"
#include "plume/ops/tanh.hpp"

namespace variants {

using namespace plume;

template <Floating T>
class VectorGatedCrossAttention : public nn::Module {
 public:
  nn::Parameter<T> attn_gate;
  nn::Parameter<T> ff_gate;
  nn::MaskedCrossAttention<T> attn;
  nn::FeedForward<T> ff;

  VectorGatedCrossAttention(nn::Module& owner, std::string name, const nn::GatedBlockSizes& s)
      : Module(owner, std::move(name)),
        attn_gate(*this, "attn_gate", {s.text_width}, nn::Init::zeros()),
        ff_gate(*this, "ff_gate", {s.text_width}, nn::Init::zeros()),
        attn(*this, "attn", s),
        ff(*this, "ff", s.text_width, s.multiple) {}

  auto prepare(const Var<T>& latents) const { return attn.keys_and_values(latents); }

  Var<T> operator()(const Var<T>& x,
                    const typename nn::MaskedCrossAttention<T>::KeysAndValues& media,
                    const Tensor<std::int64_t>& times) const {
    const Var<T> h = add(x, mul(attn(x, media, times), tanh(attn_gate())));
    return add(h, mul(ff(h), tanh(ff_gate())));
  }
};

template <Floating T>
using VectorGateFlamingo =
    models::VisionLanguageModel<T, models::ClipVision<T>, nn::PerceiverResampler<T>,
                                VectorGatedCrossAttention<T>>;

}  // namespace variants
