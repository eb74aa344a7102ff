#pragma once
// The same as attention, from matrix products and a softmax that store every score: [B, H, T, S]. What
// the fused op is compared with, in tests at sizes where the definition is too slow, and in benchmarks.

#include "plume/ops/attention.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/softmax.hpp"

namespace plume::unfused {

namespace detail {

/// What is added to the scores, [B or 1, H or 1, T, S]; undefined where nothing is.
template <Floating T>
Tensor<T> attention_bias(const Shape& q, index_t keys, const AttentionOptions& options) {
  const bool alibi = options.alibi_slopes.defined(), masked = options.key_mask.defined();
  if (!options.causal && !alibi && !masked) return {};
  const index_t offset = keys - q[2];
  Tensor<T> bias(Shape{masked ? q[0] : 1, alibi ? q[1] : 1, q[2], keys});
  T* p = bias.data();
  for (index_t b = 0; b < bias.size(0); ++b) {
    for (index_t h = 0; h < bias.size(1); ++h) {
      const float slope = alibi ? options.alibi_slopes(h) : 0;
      for (index_t t = 0; t < q[2]; ++t) {
        for (index_t s = 0; s < keys; ++s) {
          const bool hidden =
              (options.causal && s > t + offset) || (masked && !options.key_mask(b, s));
          const double value =
              hidden ? -HUGE_VAL : static_cast<double>(slope) * static_cast<double>(s - t - offset);
          *p++ = static_cast<T>(static_cast<accumulate_t<T>>(value));
        }
      }
    }
  }
  return bias;
}

}  // namespace detail

/// y; fills `probabilities` [B, H, T, S] where given.
template <Floating T>
Tensor<T> attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                    const AttentionOptions& options = {}, Tensor<T>* probabilities = nullptr) {
  const double scale = plume::detail::attention_scale(options.scale, q.size(3));
  Tensor<T> p = matmul(plume::scale(q, scale), k.transpose(-1, -2));
  const Tensor<T> bias = detail::attention_bias<T>(q.shape(), k.size(2), options);
  if (bias.defined()) p.add(bias.broadcast_to(p.shape()));
  p = softmax(p);
  Tensor<T> y = matmul(p, v);
  if (probabilities != nullptr) *probabilities = std::move(p);
  return y;
}

/// dq, dk and dv.
template <Floating T>
AttentionGrads<T> attention_backward(const Tensor<T>& dy, const Tensor<T>& q, const Tensor<T>& k,
                                     const Tensor<T>& v, const Tensor<T>& probabilities,
                                     const AttentionOptions& options = {}) {
  const double scale = plume::detail::attention_scale(options.scale, q.size(3));
  AttentionGrads<T> out;
  out.dv = matmul(probabilities.transpose(-1, -2), dy);
  const Tensor<T> ds = softmax_backward(matmul(dy, v.transpose(-1, -2)), probabilities);
  out.dq = plume::scale(matmul(ds, k), scale);
  out.dk = matmul(ds.transpose(-1, -2), plume::scale(q, scale));
  return out;
}

}  // namespace plume::unfused
