#pragma once
// A variant: no Perceiver. The P patches are averaged in L runs that follow each other, over all frames, and
// each mean is projected:
//
//   y_l = W mean_(f, p in run l) x_(f, p) + b      x [B, M, F, P, D] -> y [B, M, L, D]      L divides P
//
// What the attention of the resampler is worth is what this lacks.

#include "plume/models/flamingo.hpp"

namespace variants {

using namespace plume;

template <Floating T>
class PoolingResampler : public nn::Module {
 public:
  index_t latents;
  nn::LayerNorm<T> norm;
  nn::Linear<T> project;

  PoolingResampler(nn::Module& owner, std::string name, index_t width, index_t latent_count)
      : Module(owner, std::move(name)),
        latents(latent_count),
        norm(*this, "norm", width),
        project(*this, "project", width, width) {}

  Var<T> operator()(const Var<T>& x) const {
    const index_t B = x.size(0), M = x.size(1), F = x.size(2), P = x.size(3), D = x.size(4);
    if (P % latents != 0)
      fail<ShapeError>("pooling_resampler", cat("a multiple of ", latents, " patches"), P);
    const Var<T> runs = reshape(x, {B, M, F, latents, P / latents, D});
    return project(norm(mean(runs, {2, 4})));
  }
};

template <Floating T>
using PoolingFlamingo = models::VisionLanguageModel<T, models::ClipVision<T>, PoolingResampler<T>>;

}  // namespace variants
