#pragma once
// What a training step of the small Flamingo takes: the model as it trains, a batch of two sequences, the recipe.

#include "bench/workloads/small_flamingo.hpp"
#include "plume/train/step.hpp"

namespace plume::bench {

inline constexpr std::int64_t small_end_of_chunk = small_image_token - 1;

/// Images of noise; random tokens, each image's share of which begins with <image> and ends with <|endofchunk|>.
inline train::Batch<float> random_batch(index_t T, index_t M) {
  constexpr index_t B = 2;
  Generator generator(7);
  train::Batch<float> out;
  out.images = normal<float>(Shape{B, M, 1, 3, 224, 224}, generator);
  const Tensor<float> u = uniform<float>(Shape{B, T}, generator, 0, 50000);
  out.text.ids = u.cast<std::int64_t>();
  out.labels = out.text.ids.clone();
  const index_t share = T / M;
  for (index_t b = 0; b < B; ++b) {
    for (index_t m = 0; m < M; ++m) {
      out.text.ids(b, m * share) = small_image_token;
      out.labels(b, m * share) = -100;
      out.text.ids(b, (m + 1) * share - 1) = small_end_of_chunk;
      out.labels(b, (m + 1) * share - 1) = small_end_of_chunk;
    }
  }
  return out;
}

/// As it trains: the rows of the two special tokens too. Its gates are open, for a closed gate would stop the
/// gradient of its block.
inline std::unique_ptr<models::Flamingo<float>> small_flamingo_to_train() {
  auto model = small_flamingo();
  nn::for_each_parameter(*model, [](const std::string& key, nn::ParameterBase& p) {
    if (key.ends_with("_gate"))
      static_cast<nn::Parameter<float>&>(p).set_value(full<float>({1}, 0.3F));
  });
  model->lang_encoder->tokens().train_rows({small_image_token, small_end_of_chunk});
  return model;
}

/// The paper's numbers, but from the first step on at a tenth of its rate: AdamW's first steps are signs of gradients,
/// and what two programs round differently would soon part them.
inline train::Recipe recipe_without_warmup() {
  train::Recipe recipe;
  recipe.learning_rate = 1e-5;
  recipe.schedule = Schedule::constant(0);
  return recipe;
}

}  // namespace plume::bench
