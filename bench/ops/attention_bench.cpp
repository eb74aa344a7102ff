// The two attentions against their unfused forms, which keep every score. Flops are those of the products:
// 2 forward, 5 backward (one is the scores again); under a causal mask half of them.

#include "bench/support.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/attention.hpp"
#include "plume/ops/attention_unfused.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/media_attention.hpp"
#include "plume/ops/permute.hpp"
#include "plume/ops/reshape.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/softmax.hpp"

namespace plume::bench {
namespace {

constexpr float minus_infinity = -std::numeric_limits<float>::infinity();

/// softmax(q k^T / sqrt(hd) + bias) v; bias undefined: none.
Var<float> unfused_attention(const Var<float>& q, const Var<float>& k, const Var<float>& v,
                             const Tensor<float>& bias) {
  const double factor = 1 / std::sqrt(static_cast<double>(q.size(3)));
  Var<float> scores = matmul(scale(q, factor), transpose(k, -1, -2));
  if (bias.defined()) scores = add(scores, Var<float>(bias));
  return matmul(softmax(scores), v);
}

void add_attention(index_t B, index_t H, index_t T, index_t hd, bool causal) {
  const AttentionOptions options{.causal = causal};
  Tensor<float> bias;
  if (causal) {
    bias = zeros<float>(Shape{T, T});
    for (index_t t = 0; t < T; ++t) bias.slice(0, t, t + 1).slice(1, t + 1, T).fill(minus_infinity);
  }
  const double product = 2.0 * static_cast<double>(B * H * T * T * hd) / (causal ? 2 : 1);
  const Input heads = normal({B, H, T, hd});
  Bench(
      "attention", {heads, heads, heads},
      [options](const auto& q, const auto& k, const auto& v) {
        return attention(q, k, v, options);
      },
      [options](const auto& q, const auto& k, const auto& v) {
        // In double the unfused form is tested against the definition, which takes too long here.
        return q.size(2) > 256 ? unfused::attention(q, k, v, options)
                               : definition::attention(q, k, v, options);
      },
      shape_name(heads.shape) + (causal ? ",causal" : ""))
      .check_items(1)
      .composed_peer("unfused", [bias](const auto& q, const auto& k,
                                       const auto& v) { return unfused_attention(q, k, v, bias); })
      .forward(computes(2 * product))
      .backward(computes(5 * product));
}

/// T tokens of a sequence belong to M images in turn, L latents each.
void add_media_attention(index_t B, index_t H, index_t T, index_t M, index_t L, index_t hd) {
  Tensor<std::int64_t> image(Shape{B, T});
  Tensor<float> bias = full<float>(Shape{B, 1, T, M * L}, minus_infinity);
  for (index_t b = 0; b < B; ++b) {
    for (index_t t = 0; t < T; ++t) {
      const index_t m = (t * (M + 1)) / T - 1;  // the first tokens belong to none
      image(b, t) = m;
      if (m >= 0) bias.select(0, b).select(1, t).slice(-1, m * L, (m + 1) * L).fill(0);
    }
  }
  const double product = 2.0 * static_cast<double>(B * H * T * L * hd) * static_cast<double>(M) /
                         static_cast<double>(M + 1);
  const Input media = normal({B, H, M, L, hd});
  const auto first = [image](index_t batch) {
    return sample(image, batch == image.size(0) ? 0 : batch);
  };
  Bench(
      "media_attention", {normal({B, H, T, hd}), media, media},
      [image](const auto& q, const auto& k, const auto& v) {
        return media_attention(q, k, v, image);
      },
      [first](const auto& q, const auto& k, const auto& v) {
        return definition::media_attention(q, k, v, first(q.size(0)));
      },
      cat("B", B, ",H", H, ",T", T, ",M", M, ",L", L))
      .check_items(1)
      .composed_peer(
          "unfused",
          [bias](const auto& q, const auto& k, const auto& v) {
            const auto keys = [](const Var<float>& x) {
              return reshape(x, {x.size(0), x.size(1), x.size(2) * x.size(3), x.size(4)});
            };
            return unfused_attention(q, keys(k), keys(v), bias);
          })
      .forward(computes(2 * product))
      .backward(computes(5 * product));
}

const bool registered = [] {
  add_attention(4, 4, 64, 64, true);
  add_attention(4, 4, 256, 64, true);
  add_attention(4, 4, 257, 64, false);  // images of ViT-L/14
  add_attention(4, 4, 1024, 64, false);
  add_attention(4, 4, 1024, 64, true);
  add_attention(2, 4, 2048, 64, true);
  add_media_attention(4, 8, 256, 3, 64, 64);
  add_media_attention(4, 8, 256, 12, 64, 64);
  return true;
}();

}  // namespace
}  // namespace plume::bench
