#pragma once
// A golden Flamingo case: the model built from its files, and its values compared with the reference's.

#include "plume/autograd/backward.hpp"
#include "plume/models/open.hpp"
#include "verify/values.hpp"

namespace flamingo {

/// Largest errors allowed (docs/numerics.md): relative to a tensor's largest element; of gradients also a
/// hundredth of the tolerance relative to the largest gradient of the case.
struct Allowed {
  double values, gradients;
};

/// In double only the order of sums differs; the reference keeps the rotary tables in float32, and some of its
/// models compute in float32 inside (the case says so).
template <plume::Floating T>
Allowed allowed(const plume::io::Json& facts) {
  if (facts.value("precision", "") == "float32") return {1e-4, 1e-4};
  if (std::is_same_v<T, float>) return {1e-5, 1e-4};
  const std::string language = facts.value("language_model", "");
  const bool rotary = language == "neox" || language == "gpt_neox" || language == "llama";
  return rotary ? Allowed{1e-5, 1e-5} : Allowed{1e-9, 1e-9};
}

template <plume::Floating T>
std::unique_ptr<plume::models::Flamingo<T>> open_case(const std::string& folder) {
  const std::string file = folder + "/case.json";
  return plume::models::open_flamingo<T>(
      plume::models::files_below(folder),
      plume::models::flamingo_sizes(file, plume::io::read_json(file)));
}

inline plume::models::TextInput text_of(const plume::io::StateDict& in, const std::string& which) {
  return {in.at(which + ".lang_x").template to<std::int64_t>(),
          in.at(which + ".attention_mask").template to<std::int64_t>().template cast<bool>()};
}

/// Hears of every named value of a forward pass on the case's training batch; returns the loss.
template <plume::Floating T>
plume::Var<T> forward_case(const plume::models::Flamingo<T>& model, const plume::io::StateDict& in,
                           const typename plume::models::Flamingo<T>::Observer& observe) {
  const plume::Var<T> logits =
      model(in.at("train.vision_x").template to<T>(), text_of(in, "train"), observe);
  const plume::Var<T> loss =
      plume::models::next_token_loss(logits, in.at("train.labels").template to<std::int64_t>());
  observe("loss", loss.value().reshape({1}));
  return loss;
}

/// Every recorded value of the forward pass, the loss, logits of left-padded prompts, and every gradient.
template <plume::Floating T>
void check_values(const plume::models::Flamingo<T>& model, const std::string& folder,
                  const Allowed& allowed, const std::string& prefix, Report& report) {
  const plume::io::StateDict in = plume::io::read_weights(folder + "/inputs.safetensors");
  const plume::io::StateDict expected = plume::io::read_weights(folder + "/expected.safetensors");
  const auto recorded = [&](const std::string& name) { return expected.at(name).to<double>(); };
  std::set<std::string> seen;
  const plume::Var<T> loss =
      forward_case<T>(model, in, [&](const std::string& name, const plume::Tensor<T>& value) {
        const std::string full = "train." + name;
        if (!expected.contains(full)) return;
        const plume::Tensor<double> e = recorded(full);
        seen.insert(full);
        // llm-foundry calls one module on the way in and on the way out; recorded is the last result.
        if (name == "lm.embedding" && e.size(-1) != value.size(-1)) return;
        report.add(difference(prefix + full, value, e.numel() == 1 ? e.reshape(value.shape()) : e,
                              allowed.values));
      });
  backward(loss);

  // Left-padded prompts: real tokens alone.
  const plume::models::TextInput prompts = text_of(in, "eval");
  const plume::Var<T> read =
      plume::no_grad([&] { return model(in.at("eval.vision_x").template to<T>(), prompts); });
  const plume::Tensor<double> logits = recorded("eval.logits");
  Comparison worst = difference(prefix + "eval.logits", read.value(), logits, allowed.values);
  if (read.value().shape() == logits.shape()) {
    worst = {prefix + "eval.logits", 0, allowed.values, 0, {}};
    for (plume::index_t b = 0; b < logits.size(0); ++b) {
      for (plume::index_t t = 0; t < logits.size(1); ++t) {
        if (!prompts.mask(b, t)) continue;
        const Comparison c = difference(plume::cat(prefix, "eval.logits[", b, ", ", t, "]"),
                                        read.value().select(0, b).select(0, t),
                                        logits.select(0, b).select(0, t), allowed.values);
        if (!(c.error <= worst.error)) worst = c;
      }
    }
  }
  report.add(worst);
  seen.insert("eval.logits");

  const std::string gradient = "train.gradient.";
  const double largest = largest_element(expected, gradient);
  for (const auto& [name, tensor] : expected) {
    if (!name.starts_with(gradient)) {
      if (!seen.contains(name)) report.wrong(prefix + name, "Plume computes nothing of this name");
      continue;
    }
    const Recorded part(name);
    const plume::Tensor<T> whole =
        plume::models::gradient_of<T>(model, part.name.substr(gradient.size()));
    report.add(difference(
        prefix + name, whole.defined() ? part.of(whole, tensor.shape()) : plume::Tensor<double>(),
        tensor.template to<double>(), allowed.gradients, 0.01 * largest));
  }
}

}  // namespace flamingo
