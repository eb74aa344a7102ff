#pragma once
// GatedCrossAttention: how images enter a frozen language model (Flamingo, arXiv 2204.14198, section 2.3).
//
//   x <- x + tanh(attn_gate) MaskedCrossAttention(x, media)
//   x <- x + tanh(ff_gate) FeedForward(x)
//
//   x [B, T, d]   media [B, M, L, D]   text times [B, T]   gates [1], 0 at first: the block is the identity
//
// Which images a token attends to is the mask's to say. Under `immediate`, text before the first image gets
// exactly 0 from attention; the feed-forward still acts on it. Where there are more <image> tokens than images
// the reference masks every key alike, which is the mean of all values; so does this. Under `all_previous` the
// reference does the same with text before the first image: it sees the mean of all values, of later images too.

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
        to_out(*this, "to_out", s.heads.inner(), s.text_width, Bias::no) {}

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
    return to_out(merge_heads(mask == MediaMask::immediate ? attend_immediate(q, media, times)
                                                           : attend_all_previous(q, media, times)));
  }

 private:
  static Var<T> attend_immediate(const Var<T>& q, const KeysAndValues& media,
                                 const Tensor<std::int64_t>& text_times) {
    const index_t M = media.keys.size(2);
    const Tensor<std::int64_t> times = text_times.contiguous();
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
    return y;
  }

  /// Tokens that follow each other with the same time c are one attention over the latents of images 1 .. c.
  static Var<T> attend_all_previous(const Var<T>& q, const KeysAndValues& media,
                                    const Tensor<std::int64_t>& times) {
    const index_t B = q.size(0), H = q.size(1), N = q.size(2), hd = q.size(3);
    const index_t M = media.keys.size(2), L = media.keys.size(3);
    if (q.numel() == 0 || M == 0) return constant(zeros<T>(q.shape()));
    std::vector<Var<T>> sequences;
    for (index_t b = 0; b < B; ++b) {
      const auto latents = [&](const Var<T>& x, index_t images) {
        return reshape(slice(slice(x, 0, b, b + 1), 2, 0, images), {1, H, images * L, hd});
      };
      std::vector<Var<T>> runs;
      for (index_t begin = 0, end = 0; begin < N; begin = end) {
        const std::int64_t time = times(b, begin);
        while (end < N && times(b, end) == time) ++end;
        if (time > 0) {
          const index_t images = std::min<index_t>(time, M);
          const Var<T> queries = slice(slice(q, 0, b, b + 1), 2, begin, end);
          runs.push_back(
              attention(queries, latents(media.keys, images), latents(media.values, images)));
        } else {
          runs.push_back(
              broadcast_to(mean(latents(media.values, M), {2}, true), {1, H, end - begin, hd}));
        }
      }
      sequences.push_back(concat(runs, 2));
    }
    return concat(sequences, 0);
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
