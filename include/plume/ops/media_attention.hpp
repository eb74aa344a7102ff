#pragma once
// media_attention: each text token attends to the latents of one image alone (Alayrac et al., Flamingo,
// arXiv 2204.14198, section 2.3).
//
//   y_t = sum_l p_tl v_(m, l)     p_t = softmax_l(scale q_t . k_(m, l))     m = image_t
//
//   q, y [B, H, T, hd]   k, v [B, H, M, L, hd]   image [B, T] in [-1, M)   scale: 1 / sqrt(hd) unless given
//
// image_t = -1: the token belongs to no image; y_t = 0 and it passes no gradient. The tokens of one
// sequence that share an image form a block, which is an attention of its own over L keys. Nothing but the
// blocks is computed, so the cost is that of B T L scores per head however large M is: an image that no
// token belongs to is not even read, and its gradient is 0.
//
// It equals attention over all M L keys under the mask image_t == s / L, which is its definition. The
// gradients are those of attention, block by block.

#include "plume/ops/attention.hpp"

namespace plume {

inline constexpr OpInfo media_attention_info{
    .name = "media_attention",
    .formula = "y = softmax(scale q k^T) v over the latents of one image"};

struct MediaAttentionOptions {
  std::optional<double> scale{};
};

/// Rows [begin, begin + count) of sequence `b`, which all belong to `image`.
struct MediaBlock {
  index_t b, image, begin, count;
};

/// Which tokens belong to which image: what media_attention computes.
struct MediaBlocks {
  std::vector<MediaBlock, PoolAllocator<MediaBlock>> blocks;
  /// Defined where the tokens of some image do not follow each other in the text: [B, T], the positions in
  /// the text of the rows that `blocks` speaks of.
  Tensor<index_t> order;

  /// Pairs of a query and a key for which a score is computed, per head.
  [[nodiscard]] index_t scores(index_t latents) const {
    index_t n = 0;
    for (const MediaBlock& block : blocks) n += block.count * latents;
    return n;
  }
};

/// Groups the tokens of image [B, T]. Throws ValueError naming a token outside [-1, images).
template <Index I>
MediaBlocks media_blocks(const Tensor<I>& image, index_t images) {
  if (image.rank() != 2) fail<ShapeError>("media_attention", "image of rank 2", image.shape());
  const index_t B = image.size(0), T = image.size(1);
  const Tensor<I> rows = image.contiguous();
  MediaBlocks out{{}, Tensor<index_t>(Shape{B, T})};
  Tensor<index_t> ends(Shape{images + 1});  // of the rows of image m - 1
  index_t* const end = ends.data();
  bool in_place = true;
  for (index_t b = 0; b < B; ++b) {
    const I* of = rows.data() + b * T;
    index_t* order = out.order.data() + b * T;
    ends.fill(0);
    for (index_t t = 0; t < T; ++t) {
      const auto m = static_cast<index_t>(of[t]);
      if (m < -1 || m >= images) {
        fail<ValueError>("media_attention", cat("image indices in [-1, ", images, ")"),
                         cat(m, " for token ", t, " of sequence ", b));
      }
      ++end[m + 1];
    }
    index_t begin = 0;
    for (index_t m = -1; m < images; ++m) {
      const index_t count = end[m + 1];
      if (m >= 0 && count > 0) out.blocks.push_back({b, m, begin, count});
      end[m + 1] = begin;
      begin += count;
    }
    for (index_t t = 0; t < T; ++t) order[end[static_cast<index_t>(of[t]) + 1]++] = t;
  }
  for (const MediaBlock& block : out.blocks) {
    const index_t* order = out.order.data() + block.b * T + block.begin;
    in_place = in_place && order[block.count - 1] - order[0] + 1 == block.count;
  }
  if (in_place) {
    for (MediaBlock& block : out.blocks) block.begin = out.order(block.b, block.begin);
    out.order = {};
  }
  return out;
}

namespace definition {
template <Floating T, Index I>
Tensor<T> media_attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                          const Tensor<I>& image, const MediaAttentionOptions& options = {}) {
  const index_t L = k.size(3);
  const Dims keys{k.size(0), k.size(1), k.size(2) * L, k.size(4)};
  return attend(
      q, k.reshape(keys), v.reshape(keys), plume::detail::attention_scale(options.scale, q.size(3)),
      [&](index_t b, index_t t, index_t s) { return static_cast<index_t>(image(b, t)) == s / L; },
      [](index_t, index_t, index_t) { return 0.0; });
}
}  // namespace definition

namespace detail {

template <Floating T>
void check_media_attention(std::string_view op, const Tensor<T>& q, const Tensor<T>& k,
                           const Shape& image, const MediaAttentionOptions& options) {
  require_cpu(op, q);
  require_cpu(op, k);
  if (q.rank() != 4) fail<ShapeError>(op, "q of shape [B, H, T, hd]", q.shape());
  const index_t B = q.size(0), H = q.size(1), hd = q.size(3);
  const bool five = k.rank() == 5;
  if (!five || !(k.shape() == Shape{B, H, k.size(2), k.size(3), hd})) {
    fail<ShapeError>(op, cat("k of shape [", B, ", ", H, ", M, L, ", hd, "]"), k.shape());
  }
  if (!(image == Shape{B, q.size(2)})) {
    fail<ShapeError>(op, cat("image of shape ", Shape{B, q.size(2)}), image);
  }
  check_scale(op, options.scale);
}

/// An uninitialised [B, H, M, L, hd] that lies in memory as [B, M, L, H, hd].
template <Floating T>
Tensor<T> media_heads_inside(const Shape& s) {
  return Tensor<T>(Shape{s[0], s[2], s[3], s[1], s[4]}).permute({0, 3, 1, 2, 4});
}

/// Row i of every head of the result is row order(b, i) of x, or the other way round; x itself if `order` is
/// undefined. x [B, H, T, hd].
template <Floating T>
Tensor<T> reorder(const Tensor<T>& x, const Tensor<index_t>& order, bool back) {
  if (!order.defined() || !x.defined()) return x;
  Tensor<T> out = heads_inside<T>(x.shape());
  const Tensor<T> from = unit_rows(x);
  const index_t H = x.size(1), rows = x.size(2), size = x.size(3);
  parallel_for(order.numel(), H * size, [&, H, rows, size, back](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t there = order.data()[i], here = i % rows;
      for (index_t h = 0; h < H; ++h) {
        const T* source = head_of(from, i / rows, h).at(back ? here : there, 0).data;
        std::copy_n(source, size, head_of(out, i / rows, h).at(back ? there : here, 0).data);
      }
    }
  });
  return out;
}

/// Zeros in the rows of x that belong to no image.
template <Floating T, Index I>
void clear_imageless(Tensor<T>& x, const Tensor<I>& image) {
  for (index_t b = 0; b < image.size(0); ++b) {
    for (index_t t = 0; t < image.size(1); ++t) {
      if (image(b, t) < 0) x.select(0, b).select(1, t).fill(T{});
    }
  }
}

/// Zeros in the gradients of images without a token.
template <Floating T>
void clear_unattended(AttentionGrads<T>& grads, const MediaBlocks& blocks) {
  for (Tensor<T>* grad : {&grads.dk, &grads.dv}) {
    if (!grad->defined()) continue;
    std::size_t next = 0;  // blocks come in the order of sequence and image
    for (index_t b = 0; b < grad->size(0); ++b) {
      for (index_t m = 0; m < grad->size(2); ++m) {
        const bool here = next < blocks.blocks.size() && blocks.blocks[next].b == b &&
                          blocks.blocks[next].image == m;
        if (here) ++next;
        if (!here) grad->select(0, b).select(1, m).fill(T{});
      }
    }
  }
}

/// The attention of one head of one block.
template <Floating T>
kernel::AttentionHead<accumulate_t<T>, T> media_head(const MediaBlock& block, index_t h,
                                                     const Tensor<T>& q, const Tensor<T>& k,
                                                     const Tensor<T>& v, double scale) {
  const auto of_image = [&](const Tensor<T>& x) {
    if (x.data() == nullptr) return kernel::Matrix<const T>{nullptr, 0};
    const Strides& step = x.strides();
    return kernel::Matrix<const T>{
        x.data() + block.b * step[0] + h * step[1] + block.image * step[2], step[3]};
  };
  return {.q = head_of(q, block.b, h).at(block.begin, 0),
          .k = of_image(k),
          .v = of_image(v),
          .queries = block.count,
          .keys = k.size(3),
          .size = q.size(3),
          .scale = static_cast<accumulate_t<T>>(scale)};
}

}  // namespace detail

/// What backward needs of forward. Rows of lse [B, H, T] are in the order of `blocks`.
template <Floating T>
struct MediaAttentionSaved {
  MediaBlocks blocks;
  Tensor<accumulate_t<T>> lse;
};

/// y [B, H, T, hd], which lies as [B, T, H, hd]. Fills `saved` where given.
template <Floating T, Index I>
Tensor<T> media_attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                          const Tensor<I>& image, const MediaAttentionOptions& options = {},
                          MediaAttentionSaved<T>* saved = nullptr) {
  using R = accumulate_t<T>;
  constexpr const char* op = "media_attention";
  detail::check_media_attention(op, q, k, image.shape(), options);
  detail::check_same_shape(op, "v", v, k.shape());
  const index_t H = q.size(1), N = q.size(2), L = k.size(3);
  MediaAttentionSaved<T> kept{media_blocks(image, k.size(2)), Tensor<R>(Shape{q.size(0), H, N})};
  const auto& blocks = kept.blocks.blocks;
  const Tensor<T> qs = detail::reorder(detail::unit_rows(q), kept.blocks.order, false);
  const Tensor<T> ks = detail::unit_rows(k), vs = detail::unit_rows(v);
  const double scale = detail::attention_scale(options.scale, q.size(3));
  Tensor<T> y = detail::heads_inside<T>(q.shape());
  R* const lse = kept.lse.data();
  const auto tasks = static_cast<index_t>(blocks.size()) * H;
  const index_t cost = kept.blocks.scores(L + 8) / std::max<index_t>(1, tasks / H) * q.size(3) / 20;
  parallel_for(tasks, cost, [&, H, N, lse, scale](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const MediaBlock& block = blocks[static_cast<std::size_t>(i / H)];
      const index_t h = i % H;
      const auto head = detail::media_head(block, h, qs, ks, vs, scale);
      for (index_t t = 0; t < block.count; t += 512) {
        kernel::attention_forward<R, T>(head, t, std::min(block.count, t + 512),
                                        detail::head_of(y, block.b, h).at(block.begin, 0),
                                        lse + (block.b * H + h) * N + block.begin);
      }
    }
  });
  y = detail::reorder(y, kept.blocks.order, true);
  detail::clear_imageless(y, image);
  if (saved != nullptr) *saved = std::move(kept);
  return y;
}

/// dq, dk and dv from dy and what forward saw and gave. v and y are needed for dq and dk alone.
template <Floating T, Index I>
AttentionGrads<T> media_attention_backward(const Tensor<T>& dy, const Tensor<T>& q,
                                           const Tensor<T>& k, const Tensor<T>& v,
                                           const Tensor<T>& y, const Tensor<I>& image,
                                           const MediaAttentionSaved<T>& saved,
                                           const MediaAttentionOptions& options, bool want_dq,
                                           bool want_dk, bool want_dv) {
  using R = accumulate_t<T>;
  constexpr const char* op = "media_attention_backward";
  detail::check_media_attention(op, q, k, image.shape(), options);
  detail::check_same_shape(op, "a gradient", dy, q.shape());
  const bool scores = want_dq || want_dk;
  if (scores) {
    detail::check_same_shape(op, "v", v, k.shape());
    detail::check_same_shape(op, "y", y, q.shape());
  }
  const index_t H = q.size(1), N = q.size(2), size = q.size(3);
  detail::check_same_shape(op, "lse", saved.lse, Shape{q.size(0), H, N});
  const auto& blocks = saved.blocks.blocks;
  const auto in_order = [&](const Tensor<T>& x) {
    return detail::reorder(detail::unit_rows(x), saved.blocks.order, false);
  };
  const Tensor<T> qs = in_order(q), dys = in_order(dy), ys = scores ? in_order(y) : dys;
  const Tensor<T> ks = detail::unit_rows(k), vs = scores ? detail::unit_rows(v) : Tensor<T>{};
  const double scale = detail::attention_scale(options.scale, size);
  AttentionGrads<T> out;
  if (want_dq) out.dq = detail::heads_inside<T>(q.shape());
  if (want_dk) out.dk = detail::media_heads_inside<T>(k.shape());
  if (want_dv) out.dv = detail::media_heads_inside<T>(k.shape());

  const R* const lse = saved.lse.data();
  const auto tasks = static_cast<index_t>(blocks.size()) * H;
  const index_t cost =
      saved.blocks.scores(k.size(3) + 8) / std::max<index_t>(1, tasks / H) * size / 8;
  parallel_for(tasks, cost, [&, H, N, lse, scale, want_dq](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const MediaBlock& block = blocks[static_cast<std::size_t>(i / H)];
      const index_t b = block.b, h = i % H;
      const ScratchFrame frame;
      R* dq = want_dq ? frame.array<R>(kernel::dq_part_size<R>(block.count, size)) : nullptr;
      const auto head = detail::media_head(block, h, qs, ks, vs, scale);
      const auto of_image = [&](Tensor<T>& x) {
        if (x.data() == nullptr) return kernel::Matrix<T>{nullptr, 0};
        const Strides& step = x.strides();
        return kernel::Matrix<T>{x.data() + b * step[0] + h * step[1] + block.image * step[2],
                                 step[3]};
      };
      kernel::attention_backward<R, T>(head,
                                       {.dy = detail::head_of(dys, b, h).at(block.begin, 0),
                                        .y = detail::head_of(ys, b, h).at(block.begin, 0),
                                        .lse = lse + (b * H + h) * N + block.begin,
                                        .dk = of_image(out.dk),
                                        .dv = of_image(out.dv),
                                        .dq = dq},
                                       0, head.keys);
      if (want_dq) {
        kernel::store_dq(block.count, size, head.scale, dq, 1, 0,
                         detail::head_of(out.dq, b, h).at(block.begin, 0));
      }
    }
  });
  if (want_dq) {
    out.dq = detail::reorder(out.dq, saved.blocks.order, true);
    detail::clear_imageless(out.dq, image);
  }
  detail::clear_unattended(out, saved.blocks);
  return out;
}

/// Differentiable in q, k and v.
template <Floating T, Index I>
Var<T> media_attention(const Var<T>& q, const Var<T>& k, const Var<T>& v, const Tensor<I>& image,
                       const MediaAttentionOptions& options = {}) {
  const detail::ProductOperands<T> operands("media_attention");
  const Tensor<T> qs = operands.round(q.value()), ks = operands.round(k.value());
  const Tensor<T> vs = operands.round(v.value());
  MediaAttentionSaved<T> saved;
  const Tensor<T> y = operands.heads(media_attention(qs, ks, vs, image, options, &saved));
  const bool scores = q.requires_grad() || k.requires_grad();
  const bool records = scores || v.requires_grad();
  return record("media_attention", y, inputs(q, k, v),
                [operands, q = operands.keep_if(records, qs), k = operands.keep_if(records, ks),
                 v = operands.keep_if(scores, vs), y = operands.keep_if(scores, y),
                 image = Saved(image), saved = std::move(saved),
                 options](const Tensor<T>& dy, GradSink<T> dq, GradSink<T> dk, GradSink<T> dv) {
                  auto g = media_attention_backward(operands.round(dy), q.value(), k.value(),
                                                    v.value(), y.value(), *image, saved, options,
                                                    bool(dq), bool(dk), bool(dv));
                  if (dq) dq += std::move(g.dq);
                  if (dk) dk += std::move(g.dk);
                  if (dv) dv += std::move(g.dv);
                });
}

}  // namespace plume
