#pragma once
// One training step, as OpenFlamingo takes it (arXiv 2308.01390, section 3.2): next-token loss on several streams
// (image-text pairs, interleaved documents), each with its weight,
//
//   g = sum_s weight_s / micro_batches * d loss_s      clipped once to a global norm      AdamW
//
// with weight decay on the gated cross-attention blocks alone. Only what trains has moments. A step in which a
// loss or the gradient is not finite changes nothing, nor does one without a label that counts.
//
// Random numbers that the model draws (dropout) come from a generator of the step's own: what else draws from
// default_generator() between two micro-batches changes nothing, and checkpoints hold its state.

#include <chrono>
#include <cmath>
#include <optional>
#include <set>

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
  bool skipped = false;  ///< something was not finite, or nothing had a label: `why` says what
  std::string why{};
  index_t unlabelled = 0;  ///< micro-batches without a label that counts
  StepSeconds seconds{};
};

/// Throws ValueError naming the number of `recipe` that is out of its range.
inline void check(const Recipe& recipe) {
  const auto need = [](bool ok, const char* expected, const auto& got) {
    if (!ok) fail<ValueError>("train", expected, got);
  };
  const auto natural = [](double x) { return x >= 0 && std::isfinite(x); };
  const auto positive = [](double x) { return x > 0 && std::isfinite(x); };
  need(natural(recipe.learning_rate), "a finite learning_rate >= 0", recipe.learning_rate);
  need(recipe.beta1 >= 0 && recipe.beta1 < 1, "0 <= beta1 < 1", recipe.beta1);
  need(recipe.beta2 >= 0 && recipe.beta2 < 1, "0 <= beta2 < 1", recipe.beta2);
  need(positive(recipe.eps), "a finite eps > 0", recipe.eps);
  need(natural(recipe.weight_decay), "a finite weight_decay >= 0", recipe.weight_decay);
  need(positive(recipe.clip), "a finite clip > 0, the largest norm of the gradient", recipe.clip);
  need(recipe.micro_batches >= 1, "micro_batches >= 1", recipe.micro_batches);
}

/// How many tokens of a batch are learned: labels but -100. The first of a row is never guessed.
template <Floating T>
index_t labelled(const Batch<T>& batch) {
  const Tensor<std::int64_t> labels = batch.labels.contiguous();
  index_t count = 0;
  const index_t length = labels.size(-1);
  for (index_t i = 0; i < labels.numel(); ++i)
    count += i % length != 0 && labels.data()[i] != -100 ? 1 : 0;
  return count;
}

/// The parameters of `model` that train and have `decay` or not: decay is for the gated cross-attention alone.
template <Floating T>
std::vector<nn::Parameter<T>*> trained(const nn::Module& model, bool decay) {
  std::vector<nn::Parameter<T>*> out;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    const bool gated = key.find("gated_cross_attn") != std::string::npos;
    if (p.trainable() && p.dtype() == dtype_of<T> && gated == decay)
      out.push_back(static_cast<nn::Parameter<T>*>(&p));
  });
  return out;
}

template <Floating T, class Model = models::Flamingo<T>>
class Stepper {
 public:
  Stepper(const Model& model, const Recipe& recipe) : model_(model), recipe_(recipe) {
    check(recipe);
    if (recipe.precision != Precision::fp32 && !std::is_same_v<T, float>)
      fail<ValueError>("train", cat("a float model for ", name(recipe.precision)), dtype_name<T>());
    AdamWOptions options{recipe.learning_rate, recipe.beta1, recipe.beta2, recipe.eps, 0};
    for (const bool decay : {false, true}) {
      options.weight_decay = decay ? recipe.weight_decay : 0;
      optimizer_.add_parameters(trained<T>(model, decay), options);
    }
    if (optimizer_.slots().empty())
      fail<ValueError>("train", "a model of which something trains", "none");
  }

  /// Adds the gradient of weight * loss; returns the loss, unweighted. A batch without a label that counts, of which
  /// the mean loss would be 0 / 0, adds nothing: 0. Throws ValueError where something received a gradient that the
  /// optimizer does not hold, and names it: it would never train.
  double accumulate(const Batch<T>& batch, double weight) {
    if (!(batch.labels.shape() == batch.text.ids.shape()))
      fail<ShapeError>("train", cat("labels ", batch.text.ids.shape()), batch.labels.shape());
    if (!std::isfinite(weight)) fail<ValueError>("train", "a finite weight of a loss", weight);
    if (!DryRun::active() && labelled(batch) == 0) {
      ++unlabelled_;
      return 0;
    }
    ++labelled_;
    const auto begin = Clock::now();
    const RandomState random = random_.state();
    const RandomScope draws(random_);
    const PrecisionScope scope(recipe_.precision);
    const Var<T> loss = model_.loss(batch.images, batch.text, batch.labels);
    if (!random_known_ && !(default_generator().state() == random))
      fail<ValueError>("train",
                       "the random state of the checkpoint for a model that draws (dropout)",
                       "a checkpoint without one, as earlier versions wrote it");
    const auto value = static_cast<double>(loss.value().item());
    const auto middle = Clock::now();
    seconds_.forward += seconds(begin, middle);
    if (!std::isfinite(value)) {
      if (why_.empty()) why_ = cat("a loss of ", value);
      return value;
    }
    const double factor = weight / static_cast<double>(recipe_.micro_batches);
    const plume::detail::LeafWatch watch;
    backward(loss, full<T>(loss.shape(), static_cast<T>(factor)));
    require_held(watch.leaves);
    seconds_.backward += seconds(middle, Clock::now());
    return value;
  }

  /// Clips what was accumulated, without updating: its norm before clipping.
  double clip() {
    norm_ = clip_gradients<T>(optimizer_.trained(), recipe_.clip);
    if (!std::isfinite(*norm_) && why_.empty()) why_ = cat("a gradient of norm ", *norm_);
    return *norm_;
  }

  /// Updates the parameters (clips first, if clip() was not called), clears the gradients, goes on to the next step.
  StepResult update() {
    const auto begin = Clock::now();
    if (labelled_ == 0 && unlabelled_ > 0 && why_.empty())
      why_ = "no token with a label in any micro-batch";
    if (!norm_) clip();
    const double factor = recipe_.schedule(step_);
    StepResult out{step_,       *norm_,  recipe_.learning_rate * factor, !why_.empty(), why_,
                   unlabelled_, seconds_};
    if (!out.skipped) optimizer_.step(factor);
    optimizer_.zero_grad();
    out.seconds.update = seconds(begin, Clock::now());
    seconds_ = {};
    ++step_;
    norm_.reset();
    why_.clear();
    labelled_ = unlabelled_ = 0;
    return out;
  }

  [[nodiscard]] index_t step() const noexcept { return step_; }
  void set_step(index_t step) noexcept { step_ = step; }
  /// Where the random numbers of the model go on; the state of default_generator() when this was made. Nothing is set
  /// where it is not known: then a model that draws is refused.
  [[nodiscard]] RandomState random() const noexcept { return random_.state(); }
  void set_random(std::optional<RandomState> state) noexcept {
    random_known_ = state.has_value();
    if (state) random_.set_state(*state);
  }
  [[nodiscard]] AdamW<T>& optimizer() noexcept { return optimizer_; }
  [[nodiscard]] const AdamW<T>& optimizer() const noexcept { return optimizer_; }
  [[nodiscard]] const Recipe& recipe() const noexcept { return recipe_; }

 private:
  using Clock = std::chrono::steady_clock;
  static double seconds(Clock::time_point from, Clock::time_point to) {
    return std::chrono::duration<double>(to - from).count();
  }

  /// Every leaf with a gradient must be a parameter that the optimizer updates.
  void require_held(const plume::detail::NodeList& leaves) const {
    std::set<const plume::detail::NodeBase*> held;
    for (const auto& slot : optimizer_.slots()) held.insert(slot.parameter.node());
    for (const auto& leaf : leaves) {
      if (held.contains(leaf.get())) continue;
      std::string got = cat("a gradient for a Var of shape ", leaf->shape,
                            " that is no parameter of the model: declare it as nn::Parameter, or "
                            "without a gradient");
      nn::for_each_parameter(model_, [&](const std::string& key, nn::ParameterBase& p) {
        if (!p.trainable() || p.dtype() != dtype_of<T> || !p.has_values()) return;
        if (static_cast<nn::Parameter<T>&>(p)().node().get() == leaf.get())
          got = cat("a gradient for ", key,
                    ", which was made trainable after the optimizer was made: make another one");
      });
      fail<ValueError>("train", "gradients of what the optimizer updates alone", got);
    }
  }

  const Model& model_;
  Recipe recipe_;
  AdamW<T> optimizer_;
  Generator random_ = default_generator();
  bool random_known_ = true;
  index_t labelled_ = 0, unlabelled_ = 0;  ///< micro-batches of this step
  index_t step_ = 0;
  std::optional<double> norm_;
  std::string why_;
  StepSeconds seconds_;
};

}  // namespace plume::train
