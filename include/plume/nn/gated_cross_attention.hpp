#pragma once
// GatedCrossAttention: how images enter a frozen language model (Flamingo, arXiv 2204.14198, section 2.3).
//
//   x <- x + tanh(attn_gate) MaskedCrossAttention(x, media)
//   x <- x + tanh(ff_gate) FeedForward(x)
//
//   x [B, T, d]   media [B, M, L, D]   text times [B, T]   gates [1], 0 at first: the block is the identity
//
// Text before the first image gets exactly 0 from attention; the feed-forward still acts on it. Where there
// are more <image> tokens than images the reference masks every key alike, which is the mean of all values;
// so does this.

#include "plume/nn/media_mask.hpp"
#include "plume/nn/perceiver_resampler.hpp"
#include "plume/ops/gated_residual.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/media_attention.hpp"
#include "plume/ops/mul.hpp"

namespace plume::nn {

struct GatedBlockSizes {
  index_t text_width = 2048;    ///< d
  index_t visual_width = 1024;  ///< D
  HeadSizes heads{};
  index_t multiple = 4;  ///< of the feed-forward
  MediaMask mask = MediaMask::immediate;
};

template <Floating T>
class MaskedCrossAttention : public Module {
 public:
  HeadSizes heads;
  MediaMask mask;
  LayerNorm<T> norm;
  Linear<T> to_q;
  Linear<T> to_kv;
  Linear<T> to_out;

  MaskedCrossAttention(Module& owner, std::string name, const GatedBlockSizes& s)
      : Module(owner, std::move(name)),
        heads(s.heads),
        mask(s.mask),
        norm(*this, "norm", s.text_width),
        to_q(*this, "to_q", s.text_width, s.heads.inner(), Bias::no),
        to_kv(*this, "to_kv", s.visual_width, 2 * s.heads.inner(), Bias::no),
        to_out(*this, "to_out", s.heads.inner(), s.text_width, Bias::no) {
    if (mask != MediaMask::immediate) {
      fail<ValueError>("masked_cross_attention", "MediaMask::immediate, the only one there is yet",
                       "all_previous");
    }
  }

  /// Keys and values of all latents, each [B, H, M, L, hd]. They depend on the images alone, so generation
  /// computes them once.
  struct KeysAndValues {
    Var<T> keys, values;
  };
  KeysAndValues keys_and_values(const Var<T>& media) const {
    const index_t B = media.size(0), M = media.size(1), L = media.size(2), inner = heads.inner();
    const Var<T> kv = to_kv(media);
    const auto part = [&](index_t begin) {
      const Var<T> x = slice(kv, -1, begin, begin + inner);
      return permute(reshape(x, {B, M, L, heads.heads, heads.head_width}), {0, 3, 1, 2, 4});
    };
    return {part(0), part(inner)};
  }

  Var<T> operator()(const Var<T>& x, const KeysAndValues& media,
                    const Tensor<std::int64_t>& times) const {
    const ModuleScope scope(name().c_str());
    const Var<T> q = split_heads(to_q(norm(x)), heads);
    const index_t M = media.keys.size(2);
    Tensor<std::int64_t> image(times.shape());
    Tensor<T> unmasked = zeros<T>(Shape{times.size(0), 1, times.size(1), 1});
    bool any_unmasked = false;
    for (index_t i = 0; i < times.numel(); ++i) {
      const std::int64_t time = times.data()[i];
      image.data()[i] = time <= M ? time - 1 : -1;
      if (time > M) {
        unmasked.data()[i] = static_cast<T>(1.0F);
        any_unmasked = true;
      }
    }
    Var<T> y = media_attention(q, media.keys, media.values, image);
    if (any_unmasked && M > 0) {
      const Var<T> average = mean(media.values, {2, 3});  // [B, H, hd]
      y = add(y, mul(reshape(average, {y.size(0), y.size(1), 1, y.size(3)}), constant(unmasked)));
    }
    return to_out(merge_heads(y));
  }
};

template <Floating T>
class GatedCrossAttention : public Module {
 public:
  Parameter<T> attn_gate;
  Parameter<T> ff_gate;
  MaskedCrossAttention<T> attn;
  FeedForward<T> ff;

  GatedCrossAttention(Module& owner, std::string name, const GatedBlockSizes& s)
      : Module(owner, std::move(name)),
        attn_gate(*this, "attn_gate", {1}, Init::zeros()),
        ff_gate(*this, "ff_gate", {1}, Init::zeros()),
        attn(*this, "attn", s),
        ff(*this, "ff", s.text_width, s.multiple) {}

  /// Keys and values of latents [B, M, L, D], once for all tokens.
  auto prepare(const Var<T>& latents) const { return attn.keys_and_values(latents); }

  Var<T> operator()(const Var<T>& x, const typename MaskedCrossAttention<T>::KeysAndValues& media,
                    const Tensor<std::int64_t>& times) const {
    const ModuleScope scope(name().c_str());
    const Var<T> h = gated_residual(x, attn(x, media, times), attn_gate());
    return gated_residual(h, ff(h), ff_gate());
  }
};

}  // namespace plume::nn
