#pragma once
// The training steps of a golden case: labels, losses, gradient norms, learning rates, the clipped gradient of the
// first step, every trainable parameter after the last.

#include "plume/data/labels.hpp"
#include "plume/train/step.hpp"
#include "verify/model_case.hpp"

namespace flamingo {

inline plume::train::Recipe recipe_of(const plume::io::Json& facts) {
  const plume::io::Json& t = facts.at("training");
  plume::train::Recipe r;
  r.learning_rate = t.at("learning_rate");
  r.beta1 = t.at("betas").at(0);
  r.beta2 = t.at("betas").at(1);
  r.eps = t.at("eps");
  r.weight_decay = t.at("weight_decay");
  r.clip = t.at("clip");
  r.schedule = plume::Schedule::constant(t.at("warmup_steps"));
  return r;
}

/// The batch of one stream at one step. Images without an axis of their own are one per sequence.
template <plume::Floating T>
plume::train::Batch<T> recorded_batch(const plume::io::StateDict& in, const std::string& prefix) {
  plume::Tensor<T> images = in.at(prefix + "images").template to<T>();
  const plume::Shape s = images.shape();
  images = s.rank() == 4 ? images.reshape({s[0], 1, 1, s[1], s[2], s[3]})
                         : images.reshape({s[0], s[1], 1, s[2], s[3], s[4]});
  return {images,
          {in.at(prefix + "input_ids").template to<std::int64_t>(),
           in.at(prefix + "attention_mask").template to<std::int64_t>().template cast<bool>()},
          in.at(prefix + "labels").template to<std::int64_t>()};
}

/// What Plume learns of the ids of a batch, against what the reference learnt of them.
inline void check_labels(const plume::io::StateDict& in, const std::string& at, bool pairs,
                         const plume::data::Specials& specials, const std::string& name,
                         Report& report) {
  const auto ids = in.at(at + "input_ids").to<std::int64_t>().contiguous();
  const auto recorded = in.at(at + "labels").to<std::int64_t>().contiguous();
  const auto row = [&ids](const plume::Tensor<std::int64_t>& of, plume::index_t b) {
    return std::span(of.data() + b * ids.size(1), static_cast<std::size_t>(ids.size(1)));
  };
  if (!(recorded.shape() == ids.shape())) return report.wrong(name, "labels of another shape");
  plume::io::Json got, expected;
  for (plume::index_t b = 0; b < ids.size(0); ++b) {
    got.push_back(pairs ? plume::data::pair_labels(row(ids, b), specials)
                        : plume::data::document_labels(row(ids, b), specials));
    expected.push_back(row(recorded, b));
  }
  report.equal(name, got, expected);
}

/// Trains `model`. `tolerance` is relative: to a number, to a tensor's largest element; a gradient's also to a
/// hundredth of the largest one of all.
template <plume::Floating T>
void check_training(const plume::models::Flamingo<T>& model, const std::string& folder,
                    double tolerance, const std::string& prefix, Report& report) {
  const plume::io::Json facts = plume::io::read_json(folder + "/case.json");
  const plume::io::Json log = plume::io::read_json(folder + "/train_log.json");
  const plume::io::StateDict in = plume::io::read_weights(folder + "/train_batches.safetensors");
  const plume::io::StateDict expected =
      plume::io::read_weights(folder + "/train_expected.safetensors");
  const auto number = [&](const std::string& name, double got, const plume::io::Json& recorded) {
    const auto e = recorded.get<double>();
    const double d = std::abs(got - e);
    report.add({prefix + name, d == 0 ? 0 : d / std::abs(e), tolerance, d,
                plume::cat("got ", got, ", expected ", e)});
  };
  const auto tensors = [&](const std::string& kind, double floor, const auto& value_of) {
    for (const auto& [name, tensor] : expected) {
      if (!name.starts_with(kind)) continue;
      const Recorded part(name);
      const plume::nn::Parameter<T>* p =
          plume::models::trained_parameter<T>(model, part.name.substr(kind.size()));
      const plume::Tensor<T> whole = p == nullptr ? plume::Tensor<T>() : value_of(*p);
      report.add(difference(
          prefix + name, whole.defined() ? part.of(whole, tensor.shape()) : plume::Tensor<double>(),
          tensor.template to<double>(), tolerance, floor));
    }
  };
  const std::string gradient = "clipped_gradient.";
  const double largest = largest_element(expected, gradient);
  const plume::data::Specials specials{facts.at("image_token"), facts.at("endofchunk_token"),
                                       facts.at("pad_token")};
  plume::train::Stepper<T> stepper(model, recipe_of(facts));
  for (const plume::io::Json& step : log) {
    const auto n = step.at("step").get<plume::index_t>();
    const auto stream = [&](const char* name) {
      const std::string at = plume::cat(n, ".", name, ".");
      check_labels(in, at, std::string_view(name) == "laion", specials,
                   plume::cat(prefix, "step ", n, " labels_", name), report);
      const double loss = stepper.accumulate(
          recorded_batch<T>(in, at),
          facts["training"].at(plume::cat("loss_multiplier_", name)).get<double>());
      number(plume::cat("step ", n, " loss_", name), loss, step.at(plume::cat("loss_", name)));
    };
    stream("laion");
    stream("mmc4");
    number(plume::cat("step ", n, " gradient_norm"), stepper.clip(), step.at("gradient_norm"));
    if (n == 0) {
      tensors(gradient, 0.01 * largest,
              [](const plume::nn::Parameter<T>& p) { return p().grad(); });
    }
    number(plume::cat("step ", n, " learning_rate"), stepper.update().learning_rate,
           step.at("learning_rate"));
  }
  for (const auto& [name, tensor] : expected) {
    if (!name.starts_with(gradient) && !name.starts_with("updated."))
      report.wrong(prefix + name, "Plume computes nothing of this name");
  }
  tensors("updated.", 0, [](const plume::nn::Parameter<T>& p) { return p().value(); });
}

}  // namespace flamingo
