#pragma once
// A Flamingo small enough to be trained, saved and damaged a few hundred times, in any scalar type.

#include "plume/models/flamingo.hpp"
#include "plume/models/opt.hpp"
#include "plume/train/step.hpp"

namespace plume::test {

struct SmallSizes {
  index_t layers = 1;
  index_t text_width = 8;
  std::vector<std::int64_t> trained_tokens{18, 19};  ///< the last one is <image>
};

template <Floating T>
std::unique_ptr<models::Flamingo<T>> small_model(const SmallSizes& sizes = {}) {
  const index_t width = 8;
  auto model = std::make_unique<models::Flamingo<T>>(
      models::FusionPlan{1, 19},
      [](nn::Module& owner, const char* name) {
        return std::make_unique<models::ClipVision<T>>(
            owner, name,
            models::ClipVisionSizes{8, 4, width, 1, 4, 6, 2, models::Activation::gelu});
      },
      [](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<T>>(
            owner, name,
            nn::ResamplerSizes{
                .width = width, .depth = 1, .latents = 2, .heads = {2, 4}, .multiple = 2});
      },
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<models::Opt<T>>(
            owner, name, models::OptSizes{20, sizes.text_width, sizes.layers, 2, 16, 32});
      },
      nn::GatedBlockSizes{
          .text_width = sizes.text_width, .visual_width = width, .heads = {2, 4}, .multiple = 2});
  initialize(*model, 7);
  for (index_t i = 0; i < sizes.layers; ++i) {  // open gates, so that everything moves
    model->fusion[i].attn_gate.set_value(full<T>({1}, static_cast<T>(0.5F)));
    model->fusion[i].ff_gate.set_value(full<T>({1}, static_cast<T>(-0.5F)));
  }
  model->lang_encoder->tokens().train_rows(sizes.trained_tokens);
  return model;
}

/// The batch of a step: another one each time.
template <Floating T>
train::Batch<T> small_batch(index_t step) {
  Generator g(static_cast<std::uint64_t>(step) + 1);
  Tensor<std::int64_t> ids = zeros<std::int64_t>({1, 6});
  const std::int64_t text[] = {5, 19, 6, 7 + step % 5, 18, 2};
  std::copy(std::begin(text), std::end(text), ids.data());
  return {normal<T>({1, 1, 1, 3, 8, 8}, g), {ids, full<bool>({1, 6}, true)}, ids.clone()};
}

/// Takes `steps` steps; the losses. In bfloat16, of which no loss is made, down the sum of the logits.
template <Floating T>
std::vector<double> advance(const models::Flamingo<T>& model, train::Stepper<T>& stepper,
                            index_t steps) {
  std::vector<double> losses;
  for (index_t i = 0; i < steps; ++i) {
    const train::Batch<T> batch = small_batch<T>(stepper.step());
    if constexpr (std::is_same_v<T, bfloat16>) {
      const Var<T> logits = model(batch.images, batch.text);
      backward(logits, ones<T>(logits.shape()));
    } else {
      losses.push_back(stepper.accumulate(batch, 1));
    }
    stepper.update();
  }
  return losses;
}

inline train::Recipe small_recipe() {
  return {.learning_rate = 1e-2, .schedule = Schedule::linear(2, 100)};
}

}  // namespace plume::test
