#pragma once
// How the two parts are trained that a Flamingo keeps frozen: AdamW over everything, linear warm-up and half a cosine,
// and a log of the losses beside the weights.

#include <CLI/CLI.hpp>
#include <chrono>
#include <functional>
#include <iostream>
#include <optional>

#include "../flamingo/option_checks.hpp"
#include "plume/autograd/backward.hpp"
#include "plume/optim/adamw.hpp"
#include "plume/optim/clip.hpp"
#include "plume/optim/schedule.hpp"
#include "plume/train/log.hpp"
#include "plume/train/progress.hpp"
#include "save.hpp"

namespace world {

using plume::index_t;

/// Matrices decay, vectors do not.
struct Course {
  index_t steps = 0, warmup = 50;
  double learning_rate = 3e-3, weight_decay = 0.05;
};

/// Takes course.steps steps on loss(step); every tenth mean loss goes into `log`, a file that is begun anew, and into
/// a line now and then. Returns the mean of the last twenty. Throws NumericalError where a loss is not finite.
inline double pretrain(const plume::nn::Module& module, const Course& course,
                       const std::string& log,
                       const std::function<plume::Var<float>(index_t)>& loss) {
  using plume::Var;
  if (course.steps < 1) plume::fail<plume::ValueError>("pretrain", "steps >= 1", course.steps);
  std::vector<plume::nn::Parameter<float>*> matrices, others;
  for (plume::nn::Parameter<float>* p : plume::nn::trainable_parameters<float>(module))
    (p->shape().rank() > 1 ? matrices : others).push_back(p);
  plume::AdamWOptions options{.learning_rate = course.learning_rate, .beta2 = 0.98};
  plume::AdamW<float> optimizer;
  options.weight_decay = course.weight_decay;
  optimizer.add_parameters(matrices, options);
  options.weight_decay = 0;
  optimizer.add_parameters(others, options);
  const plume::Schedule schedule =
      plume::Schedule::cosine(std::min(course.warmup, course.steps), course.steps + 1);

  std::filesystem::remove(log);
  plume::train::Log lines(log);
  const auto begin = std::chrono::steady_clock::now();
  double shown = 0, sum = 0, last = 0;
  std::vector<double> losses;
  for (index_t step = 1; step <= course.steps; ++step) {
    const Var<float> now = loss(step);
    optimizer.zero_grad();
    plume::backward(now);
    plume::clip_gradients<float>(optimizer.trained(), 1);
    optimizer.step(schedule(step));
    losses.push_back(static_cast<double>(now.value().item()));
    if (!std::isfinite(losses.back()))
      plume::fail<plume::NumericalError>("pretrain", plume::cat("a finite loss at step ", step),
                                         losses.back());
    sum += losses.back();
    const bool end = step == course.steps;
    if (step % 10 != 0 && !end) continue;
    last = sum / static_cast<double>(step % 10 == 0 ? 10 : step % 10);
    sum = 0;
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    lines.write({{"event", "step"}, {"step", step}, {"loss", last}, {"time", spent.count()}});
    if (!end && spent.count() - shown < 10) continue;
    shown = spent.count();
    const double left =
        shown / static_cast<double>(step) * static_cast<double>(course.steps - step);
    std::cout << "step " << step << '/' << course.steps << "  loss " << plume::train::fixed(last, 3)
              << "  "
              << (end ? plume::train::duration(shown) : plume::train::duration(left) + " left")
              << std::endl;
  }
  const std::size_t few = std::min<std::size_t>(20, losses.size());
  double mean = 0;
  for (std::size_t i = losses.size() - few; i < losses.size(); ++i) mean += losses[i];
  return mean / static_cast<double>(few);
}

/// The options of a command that trains: where, and how long.
struct PretrainOptions {
  std::string data, out;

  void add_to(CLI::App& command, Course& course) {
    command.add_option("--data", data, "Folder of the world")->required();
    command.add_option("--out", out, "Folder for the weights")->required();
    command.add_option("--steps", course.steps)
        ->transform(flamingo::checks::integer(1))
        ->capture_default_str();
    command.add_option("--lr", course.learning_rate, "Largest learning rate")
        ->transform(flamingo::checks::non_negative())
        ->capture_default_str();
    command.add_option("--warmup", course.warmup, "Steps of linear warm-up")
        ->transform(flamingo::checks::integer(0))
        ->capture_default_str();
  }
  /// Writes OUT/training.json, last of all: it tells that the rest is there.
  void done(const plume::io::Json& what) const {
    save_json(what, out + "/training.json");
    std::cout << out << ": " << plume::io::print_json(what) << std::endl;
  }
};

}  // namespace world
