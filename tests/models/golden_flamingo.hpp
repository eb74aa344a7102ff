#pragma once
// A golden Flamingo case: the model built from its files, and its values compared with the reference's.

#include <cstdio>
#include <filesystem>

#include "plume/autograd/backward.hpp"
#include "plume/models/checkpoint.hpp"
#include "plume/models/config.hpp"
#include "plume/models/flamingo.hpp"

namespace plume::test {

using models::Flamingo;

template <Floating T>
std::unique_ptr<Flamingo<T>> build_golden(const std::string& folder) {
  const io::Json c = io::read_json(folder + "/case.json");
  const std::string lm_config = folder + "/lm/config.json";
  const std::string vision_config = folder + "/vision/open_clip_config.json";
  const io::Json lm = io::read_json(lm_config);
  const models::ClipVisionSizes vision =
      models::clip_vision_sizes(vision_config, io::read_json(vision_config));
  const io::Json& r = c["resampler"];
  const io::Json& g = c["gated_block"];
  const auto vocabulary = c["vocabulary"].get<index_t>();
  const auto image = c["image_token"].get<std::int64_t>();
  const auto endofchunk = c["endofchunk_token"].get<std::int64_t>();
  const index_t text_width = lm.contains("d_model") ? lm["d_model"] : lm["hidden_size"];
  auto model = std::make_unique<Flamingo<T>>(
      models::FusionPlan{c["cross_attn_every_n_layers"], image},
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<models::ClipVision<T>>(owner, name, vision);
      },
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<T>>(
            owner, name,
            nn::ResamplerSizes{.width = vision.width,
                               .depth = r["depth"],
                               .latents = r["num_latents"],
                               .heads = {r["heads"], r["dim_head"]},
                               .multiple = r["ff_mult"]});
      },
      [&](nn::Module& owner, const char* name) {
        return models::make_decoder<T>(owner, name, lm_config, lm, vocabulary);
      },
      nn::GatedBlockSizes{.text_width = text_width,
                          .visual_width = vision.width,
                          .heads = {g["heads"], g["dim_head"]},
                          .multiple = g["ff_mult"],
                          .mask = g["only_attend_immediate_media"].get<bool>()
                                      ? nn::MediaMask::immediate
                                      : nn::MediaMask::all_previous});
  models::load_vision<T>(*model->vision_encoder, io::read_weights(folder + "/vision"));
  models::load_decoder<T>(*model->lang_encoder, io::read_weights(folder + "/lm"));
  models::load_checkpoint<T>(*model, io::read_weights(folder + "/checkpoint.pt"));
  if (!c["freeze_lm_embeddings"].get<bool>())
    model->lang_encoder->tokens().train_rows({image, endofchunk});
  return model;
}

struct GoldenResult {
  int comparisons = 0;
  double worst = 0;  ///< largest error relative to the tensor's largest element
  std::string worst_name, first_divergent;
};

/// Largest difference relative to the largest expected element; NaN or another shape is infinite.
template <Floating T>
double relative_error(const Tensor<T>& actual, const Tensor<double>& expected, double floor = 0) {
  if (!(actual.shape() == expected.shape())) return HUGE_VAL;
  const Tensor<double> a = actual.template cast<double>().contiguous();
  const Tensor<double> e = expected.contiguous();
  double largest = floor, worst = 0;
  for (index_t i = 0; i < e.numel(); ++i) largest = std::max(largest, std::abs(e.data()[i]));
  for (index_t i = 0; i < e.numel(); ++i) {
    const double d = std::abs(a.data()[i] - e.data()[i]);
    if (!(d <= worst)) worst = d <= HUGE_VAL ? d : HUGE_VAL;
    if (std::isnan(d)) return HUGE_VAL;
  }
  return worst == 0 ? 0 : worst / largest;
}

template <Floating T>
GoldenResult check_golden(const std::string& folder, double tolerance, double gradient_tolerance) {
  const auto model = build_golden<T>(folder);
  const io::StateDict in = io::read_weights(folder + "/inputs.safetensors");
  const io::StateDict expected = io::read_weights(folder + "/expected.safetensors");
  GoldenResult result;
  const auto note = [&](const std::string& name, double error, double allowed) {
    ++result.comparisons;
    if (!(error <= result.worst)) {
      result.worst = error;
      result.worst_name = name;
    }
    if (!(error <= allowed) && result.first_divergent.empty()) {
      char text[40];
      std::snprintf(text, sizeof text, ": error %.3g", error);
      result.first_divergent = name + text;
    }
  };
  const auto observe = [&](const std::string& name, const Tensor<T>& value) {
    std::string full = "train." + name;
    if (!expected.contains(full)) return;
    const Shape recorded = expected.at(full).shape();
    // llm-foundry calls one module for the way in and the way out; what was recorded is its last result.
    if (name == "lm.embedding" && recorded.back() != value.size(-1)) return;
    note(full, relative_error(value, expected.at(full).template to<double>()), tolerance);
  };
  const auto input = [&](const std::string& which) {
    return models::TextInput{
        in.at(which + ".lang_x").template to<std::int64_t>(),
        in.at(which + ".attention_mask").template to<std::int64_t>().template cast<bool>()};
  };
  const Var<T> logits = (*model)(in.at("train.vision_x").template to<T>(), input("train"), observe);
  const Var<T> loss =
      models::next_token_loss(logits, in.at("train.labels").template to<std::int64_t>());
  note("train.loss",
       relative_error(loss.value().reshape({1}), expected.at("train.loss").template to<double>()),
       tolerance);
  backward(loss);

  // Left-padded prompts: real tokens alone.
  const models::TextInput prompts = input("eval");
  const Var<T> read =
      no_grad([&] { return (*model)(in.at("eval.vision_x").template to<T>(), prompts); });
  const Tensor<double> reference = expected.at("eval.logits").template to<double>();
  double eval_error = 0;
  for (index_t b = 0; b < prompts.ids.size(0); ++b) {
    for (index_t t = 0; t < prompts.ids.size(1); ++t) {
      if (!prompts.mask(b, t)) continue;
      eval_error = std::max(eval_error, relative_error(read.value().select(0, b).select(0, t),
                                                       reference.select(0, b).select(0, t)));
    }
  }
  note("eval.logits", eval_error, tolerance);

  // Gradients, whole or every K-th element; each within its own largest element, or a floor of the case's.
  const std::string prefix = "train.gradient.";
  double largest = 0;
  for (const auto& [name, tensor] : expected) {
    if (name.rfind(prefix, 0) != 0 || name.ends_with("@norm")) continue;
    const Tensor<double> g = tensor.template to<double>();
    for (index_t i = 0; i < g.numel(); ++i) largest = std::max(largest, std::abs(g.data()[i]));
  }
  for (const auto& [name, tensor] : expected) {
    if (name.rfind(prefix, 0) != 0 || name.ends_with("@norm")) continue;
    std::string key = name.substr(prefix.size());
    index_t every = 1;
    const std::size_t at = key.find("@every");
    if (at != std::string::npos) {
      every = std::stoll(key.substr(at + 6));
      key.resize(at);
    }
    const Tensor<T> whole = models::gradient_of<T>(*model, key);
    if (!whole.defined()) {
      note(name, HUGE_VAL, gradient_tolerance);
      continue;
    }
    const Tensor<T> flat = whole.contiguous().reshape({-1});
    const Tensor<double> e = tensor.template to<double>();
    const Tensor<T> part =
        every == 1 ? flat.reshape(e.shape()) : flat.slice(0, 0, flat.numel(), every);
    note(name,
         relative_error(part, e, gradient_tolerance > 0 ? 1e-6 * largest / gradient_tolerance : 0),
         gradient_tolerance);
  }
  return result;
}

}  // namespace plume::test
