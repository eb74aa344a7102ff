#pragma once
// One training step, as OpenFlamingo takes it (arXiv 2308.01390, section 3.2): next-token loss on several streams
// (image-text pairs, interleaved documents), each with its weight,
//
//   g = sum_s weight_s / micro_batches * d loss_s      clipped once to a global norm      AdamW
//
// with weight decay on the gated cross-attention blocks alone. Only what trains has moments. A step in which a
// loss or the gradient is not finite changes nothing.

#include <chrono>
#include <cmath>
#include <optional>

#include "plume/autograd/backward.hpp"
#include "plume/autograd/precision.hpp"
#include "plume/models/flamingo.hpp"
#include "plume/optim/adamw.hpp"
#include "plume/optim/clip.hpp"
#include "plume/optim/schedule.hpp"

namespace plume::train {

/// What a step learns from: images [B, M, F, 3, S, S], tokens and labels [B, T]; labels of -100 do not count.
template <Floating T>
struct Batch {
  Tensor<T> images;
  models::TextInput text;
  Tensor<std::int64_t> labels;
};

/// The paper's numbers.
struct Recipe {
  double learning_rate = 1e-4;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  double weight_decay =
      0.1;          ///< of the gated cross-attention; the resampler and the embeddings have none
  double clip = 1;  ///< largest norm of the whole gradient
  index_t micro_batches = 1;  ///< of each stream per step
  Schedule schedule = Schedule::constant(1875);
  /// amp_bf16 is for float models; frozen matrices are held in bf16 by nn::hold_frozen_in_bf16, not by the step.
  Precision precision = Precision::fp32;
};

/// How long the parts of a step took.
struct StepSeconds {
  double forward = 0, backward = 0, update = 0;
};

struct StepResult {
  index_t step = 0;          ///< counted from 0
  double gradient_norm = 0;  ///< before clipping
  double learning_rate = 0;
  bool skipped = false;  ///< something was not finite: `why` says what
  std::string why{};
  StepSeconds seconds{};
};

/// The parameters of `model` that train and have `decay` or not: decay is for the gated cross-attention alone.
template <Floating T>
std::vector<Var<T>> trained(const nn::Module& model, bool decay) {
  std::vector<Var<T>> out;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    const bool gated = key.find("gated_cross_attn") != std::string::npos;
    if (p.trainable() && gated == decay) out.push_back(static_cast<nn::Parameter<T>&>(p)());
  });
  return out;
}

template <Floating T, class Model = models::Flamingo<T>>
class Stepper {
 public:
  Stepper(const Model& model, const Recipe& recipe) : model_(model), recipe_(recipe) {
    if (recipe.micro_batches < 1)
      fail<ValueError>("train", "micro_batches >= 1", recipe.micro_batches);
    if (recipe.precision != Precision::fp32 && !std::is_same_v<T, float>)
      fail<ValueError>("train", cat("a float model for ", name(recipe.precision)), dtype_name<T>());
    AdamWOptions options{recipe.learning_rate, recipe.beta1, recipe.beta2, recipe.eps, 0};
    for (const bool decay : {false, true}) {
      const std::vector<Var<T>> group = trained<T>(model, decay);
      options.weight_decay = decay ? recipe.weight_decay : 0;
      optimizer_.add_group(group, options);
      parameters_.insert(parameters_.end(), group.begin(), group.end());
    }
    if (parameters_.empty()) fail<ValueError>("train", "a model of which something trains", "none");
  }

  /// Adds the gradient of weight * loss; returns the loss, unweighted.
  double accumulate(const Batch<T>& batch, double weight) {
    if (!(batch.labels.shape() == batch.text.ids.shape()))
      fail<ShapeError>("train", cat("labels ", batch.text.ids.shape()), batch.labels.shape());
    const auto begin = Clock::now();
    const PrecisionScope scope(recipe_.precision);
    const Var<T> loss = model_.loss(batch.images, batch.text, batch.labels);
    const auto value = static_cast<double>(loss.value().item());
    const auto middle = Clock::now();
    seconds_.forward += seconds(begin, middle);
    if (!std::isfinite(value)) {
      if (why_.empty()) why_ = cat("a loss of ", value);
      return value;
    }
    const double factor = weight / static_cast<double>(recipe_.micro_batches);
    backward(loss, full<T>(loss.shape(), static_cast<T>(factor)));
    seconds_.backward += seconds(middle, Clock::now());
    return value;
  }

  /// Clips what was accumulated, without updating: its norm before clipping.
  double clip() {
    norm_ = clip_gradients<T>(parameters_, recipe_.clip);
    if (!std::isfinite(*norm_) && why_.empty()) why_ = cat("a gradient of norm ", *norm_);
    return *norm_;
  }

  /// Updates the parameters (clips first, if clip() was not called), clears the gradients, goes on to the next step.
  StepResult update() {
    const auto begin = Clock::now();
    if (!norm_) clip();
    const double factor = recipe_.schedule(step_);
    StepResult out{step_, *norm_, recipe_.learning_rate * factor, !why_.empty(), why_, seconds_};
    if (!out.skipped) optimizer_.step(factor);
    optimizer_.zero_grad();
    out.seconds.update = seconds(begin, Clock::now());
    seconds_ = {};
    ++step_;
    norm_.reset();
    why_.clear();
    return out;
  }

  [[nodiscard]] index_t step() const noexcept { return step_; }
  void set_step(index_t step) noexcept { step_ = step; }
  [[nodiscard]] AdamW<T>& optimizer() noexcept { return optimizer_; }
  [[nodiscard]] const AdamW<T>& optimizer() const noexcept { return optimizer_; }
  [[nodiscard]] const Recipe& recipe() const noexcept { return recipe_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  const Model& model_;
  Recipe recipe_;
  AdamW<T> optimizer_;
  std::vector<Var<T>> parameters_;
  index_t step_ = 0;
  std::optional<double> norm_;
  std::string why_;
  StepSeconds seconds_;
};

}  // namespace plume::train
