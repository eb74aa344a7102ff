#pragma once
// PerceiverResampler: any number of visual features in, L latents out (Jaegle et al., arXiv 2103.03206, as
// used by Flamingo, arXiv 2204.14198, and built by OpenFlamingo).
//
//   x [B, M, F, P, D] -> latents [B, M, L, D]
//
// depth times: the latents attend to [features; latents], then a feed-forward; residual both; a norm at the
// end. Images do not see each other. With frame embeddings each of the F frames adds its own vector, with
// media-time embeddings each of the M images does.

#include "plume/nn/feed_forward.hpp"
#include "plume/nn/module_list.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/attention.hpp"
#include "plume/ops/broadcast_to.hpp"
#include "plume/ops/concat.hpp"
#include "plume/ops/permute.hpp"
#include "plume/ops/reshape.hpp"
#include "plume/ops/slice.hpp"

namespace plume::nn {

/// Sizes shared by the resampler's attention and the gated cross-attention.
struct HeadSizes {
  index_t heads = 8;
  index_t head_width = 64;
  [[nodiscard]] index_t inner() const noexcept { return heads * head_width; }
};

/// x [.., N, heads * head_width] seen as [B, heads, N, head_width]; B is the product of the leading axes.
template <Floating T>
Var<T> split_heads(const Var<T>& x, HeadSizes sizes) {
  return permute(reshape(x, {-1, x.size(-2), sizes.heads, sizes.head_width}), {0, 2, 1, 3});
}
/// The reverse: [B, H, N, hd] to [B, N, H * hd].
template <Floating T>
Var<T> merge_heads(const Var<T>& x) {
  return reshape(permute(x, {0, 2, 1, 3}), {x.size(0), x.size(2), x.size(1) * x.size(3)});
}

/// Latents [N, L, D] look at media [N, P, D] and at themselves; the result [N, L, D] is not yet added.
template <Floating T>
class PerceiverAttention : public Module {
 public:
  HeadSizes sizes;
  LayerNorm<T> norm_media;
  LayerNorm<T> norm_latents;
  Linear<T> to_q;
  Linear<T> to_kv;
  Linear<T> to_out;

  PerceiverAttention(Module& owner, std::string name, index_t width, HeadSizes head_sizes)
      : Module(owner, std::move(name)),
        sizes(head_sizes),
        norm_media(*this, "norm_media", width),
        norm_latents(*this, "norm_latents", width),
        to_q(*this, "to_q", width, sizes.inner(), Bias::no),
        to_kv(*this, "to_kv", width, 2 * sizes.inner(), Bias::no),
        to_out(*this, "to_out", sizes.inner(), width, Bias::no) {}

  Var<T> operator()(const Var<T>& media, const Var<T>& latents) const {
    const ModuleScope scope(name().c_str());
    const Var<T> own = norm_latents(latents);
    const Var<T> kv = to_kv(concat({norm_media(media), own}, 1));
    const Var<T> q = split_heads(to_q(own), sizes);
    const Var<T> k = split_heads(slice(kv, -1, 0, sizes.inner()), sizes);
    const Var<T> v = split_heads(slice(kv, -1, sizes.inner(), 2 * sizes.inner()), sizes);
    return to_out(merge_heads(attention(q, k, v)));
  }
};

struct ResamplerSizes {
  index_t width = 1024;
  index_t depth = 6;
  index_t latents = 64;
  HeadSizes heads{};
  index_t multiple = 4;    ///< of the feed-forward
  index_t max_frames = 0;  ///< > 0: frame embeddings
  index_t max_media = 0;   ///< > 0: media-time embeddings
};

template <Floating T>
class PerceiverResampler : public Module {
 public:
  /// One layer; names as in the reference's ModuleList of pairs.
  struct Layer : Module {
    PerceiverAttention<T> attention;
    FeedForward<T> feed_forward;
    Layer(Module& owner, std::string name, const ResamplerSizes& sizes)
        : Module(owner, std::move(name)),
          attention(*this, "0", sizes.width, sizes.heads),
          feed_forward(*this, "1", sizes.width, sizes.multiple) {}
  };

  ResamplerSizes sizes;
  Parameter<T> latents;
  std::optional<Parameter<T>> frame_embs;
  std::optional<Parameter<T>> media_time_embs;
  ModuleList<Layer> layers;
  LayerNorm<T> norm;

  PerceiverResampler(Module& owner, std::string name, const ResamplerSizes& s)
      : Module(owner, std::move(name)),
        sizes(s),
        latents(*this, "latents", {s.latents, s.width}, Init::normal(1)),
        layers(*this, "layers"),
        norm(*this, "norm", s.width) {
    if (s.max_frames > 0)
      frame_embs.emplace(*this, "frame_embs", Shape{s.max_frames, s.width}, Init::normal(1));
    if (s.max_media > 0) {
      media_time_embs.emplace(*this, "media_time_embs", Shape{s.max_media, 1, s.width},
                              Init::normal(1));
    }
    for (index_t i = 0; i < s.depth; ++i) layers.append(s);
  }

  /// x [B, M, F, P, D] to [B, M, L, D]. Throws ShapeError for more frames or images than embeddings.
  Var<T> operator()(const Var<T>& x) const {
    const ModuleScope scope(name().c_str());
    if (x.rank() != 5 || x.size(4) != sizes.width) {
      fail<ShapeError>("perceiver_resampler", cat("features [B, M, F, P, ", sizes.width, "]"),
                       x.shape());
    }
    const index_t B = x.size(0), M = x.size(1), F = x.size(2), P = x.size(3), D = sizes.width;
    Var<T> media = x;
    if (frame_embs) {
      if (F > sizes.max_frames)
        fail<ShapeError>("perceiver_resampler", cat("at most ", sizes.max_frames, " frames"), F);
      media = add(media, reshape(slice((*frame_embs)(), 0, 0, F), {F, 1, D}));
    }
    media = reshape(media, {B, M, F * P, D});
    if (media_time_embs) {
      if (M > sizes.max_media)
        fail<ShapeError>("perceiver_resampler", cat("at most ", sizes.max_media, " images"), M);
      media = add(media, slice((*media_time_embs)(), 0, 0, M));
    }
    media = reshape(media, {B * M, F * P, D});
    Var<T> z = broadcast_to(latents(), {B * M, sizes.latents, D});
    for (index_t i = 0; i < layers.size(); ++i) {
      z = add(z, layers[i].attention(media, z));
      z = add(z, layers[i].feed_forward(z));
    }
    return reshape(norm(z), {B, M, sizes.latents, D});
  }
};

}  // namespace plume::nn
