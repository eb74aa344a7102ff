#pragma once
// What every vision-language model must do, whatever its parts. A variant is put through it by one line:
//
//   MODEL_SUITE("a gate per channel", VectorGateFlamingo, resampler_of<Perceiver>(suite_perceiver()))
//
// All parameters are random, gates too, so nothing holds because something was zero.

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/models/flamingo.hpp"
#include "plume/models/opt.hpp"
#include "tests/support/compare.hpp"

namespace plume::test {

inline constexpr index_t suite_width = 8, suite_text = 12, suite_side = 8;
inline constexpr std::int64_t suite_image = 19;

inline nn::ResamplerSizes suite_perceiver() {
  return {.width = suite_width, .depth = 1, .latents = 2, .heads = {2, 4}, .multiple = 2};
}
inline nn::GatedBlockSizes suite_block() {
  return {.text_width = suite_text, .visual_width = suite_width, .heads = {2, 4}, .multiple = 2};
}

/// How the resampler of a model is made from sizes of its own.
template <class R, class... Sizes>
auto resampler_of(const Sizes&... sizes) {
  return [=](nn::Module& owner, const char* name) {
    return std::make_unique<R>(owner, name, sizes...);
  };
}

/// A ViT of one layer and 4 patches, an OPT of two layers, a block before each.
template <class Model, class MakeResampler>
std::unique_ptr<Model> suite_model(MakeResampler resampler) {
  using T = double;
  auto model = std::make_unique<Model>(
      models::FusionPlan{1, suite_image},
      [](nn::Module& owner, const char* name) {
        return std::make_unique<models::ClipVision<T>>(
            owner, name,
            models::ClipVisionSizes{suite_side, 4, suite_width, 1, 4, 6, 2,
                                    models::Activation::gelu});
      },
      resampler,
      [](nn::Module& owner, const char* name) {
        return std::make_unique<models::Opt<T>>(owner, name,
                                                models::OptSizes{20, suite_text, 2, 2, 16, 32});
      },
      suite_block());
  Generator g(5);
  nn::for_each_parameter(*model, [&](const std::string&, nn::ParameterBase& p) {
    Tensor<T> value = normal<T>(p.shape(), g);
    const T middle = p.init().kind == nn::Init::Kind::ones ? 1 : 0;
    for (index_t i = 0; i < value.numel(); ++i) value.data()[i] = middle + 0.4 * value.data()[i];
    static_cast<nn::Parameter<T>&>(p).set_value(value);
  });
  return model;
}

struct SuiteOptions {
  /// Text before the first image looks at no image. (All previous images: it looks at the mean of all.)
  bool blind_before_images = true;
};

struct SuiteBatch {
  Tensor<double> images;
  models::TextInput text;
};

/// One sequence with two images, and `pads` tokens of padding on its left.
inline SuiteBatch suite_batch(index_t pads = 0) {
  Generator g(9);
  SuiteBatch out{normal<double>({1, 2, 1, 3, suite_side, suite_side}, g), {}};
  const std::vector<std::int64_t> ids{5, 3, suite_image, 6, 7, suite_image, 8, 9};
  const index_t T = pads + static_cast<index_t>(ids.size());
  out.text = {zeros<std::int64_t>({1, T}), zeros<bool>({1, T})};
  for (index_t t = pads; t < T; ++t) {
    out.text.ids(0, t) = ids[static_cast<std::size_t>(t - pads)];
    out.text.mask(0, t) = true;
  }
  return out;
}

template <class Model>
Tensor<double> suite_logits(const Model& model, const SuiteBatch& batch) {
  return no_grad([&] { return model(batch.images, batch.text); }).value();
}

/// A scalar of the logits that treats no two alike.
template <class Model>
Var<double> suite_loss(const Model& model, const SuiteBatch& batch) {
  Tensor<std::int64_t> labels = batch.text.ids.clone();
  return models::next_token_loss(model(batch.images, batch.text), labels);
}

template <class Model>
void suite_gradients(Model& model) {
  const SuiteBatch batch = suite_batch();
  backward(suite_loss(model, batch));
  int trained = 0, felt = 0;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& base) {
    INFO(key);
    auto& p = static_cast<nn::Parameter<double>&>(base);
    const Tensor<double> gradient = p().grad();
    const bool frozen = key.starts_with("vision_encoder.") || key.starts_with("lang_encoder.");
    CHECK(p.trainable() != frozen);
    CHECK(gradient.defined() != frozen);
    if (!gradient.defined()) return;
    ++trained;
    Tensor<double> value = p().value();
    const Tensor<double> g = gradient.contiguous();
    // Central differences of four points, at the first, a middle and the last element.
    for (const index_t i : {index_t{0}, g.numel() / 2, g.numel() - 1}) {
      const double at = value.data()[i], h = 1e-5;  // small: OPT has kinks
      const auto loss = [&](double shift) {
        value.data()[i] = at + shift;
        const double out = no_grad([&] { return suite_loss(model, batch); }).value().item();
        value.data()[i] = at;
        return out;
      };
      const double numeric = (8 * (loss(h) - loss(-h)) - (loss(2 * h) - loss(-2 * h))) / (12 * h);
      CHECK(std::abs(numeric - g.data()[i]) <= 1e-7 * std::max(1.0, std::abs(numeric)));
      felt += std::abs(numeric) > 1e-9;
    }
  });
  CHECK(trained >= 4);
  CHECK(felt >= trained);  // most of what trains matters
}

template <class Model>
void suite_properties(const Model& model, const SuiteOptions& options = {}) {
  const SuiteBatch batch = suite_batch();
  const Tensor<double> logits = suite_logits(model, batch);
  REQUIRE(logits.shape() == Shape{1, 8, 20});

  // Padding on the left changes no logit of a real token.
  const Tensor<double> padded = suite_logits(model, suite_batch(3)).slice(1, 3, 11);
  const Comparison same = compare(padded, logits, {0, 1e-12});
  CHECK_MESSAGE(same.ok, same.message);

  // Text before an image does not see it; text after it does.
  SuiteBatch other = suite_batch();
  for (index_t m = 0; m < 2; ++m) {
    other.images = batch.images.clone();
    other.images.select(1, m).fill(0.5);
    const Tensor<double> moved = suite_logits(model, other);
    const index_t at = m == 0 ? 2 : 5;  // the place of its <image>
    if (options.blind_before_images)
      CHECK(same_bits(moved.slice(1, 0, at), logits.slice(1, 0, at)));
    for (index_t t = at; t < 8; ++t)
      CHECK_FALSE(same_bits(moved.select(1, t), logits.select(1, t)));
  }

  // Token by token through the cache: what one pass gives.
  const auto media = no_grad([&] { return model.prepare(model.see(batch.images)); });
  const Tensor<std::int64_t> times = nn::text_times(batch.text.ids, suite_image);
  models::KvCache<double> cache;
  for (index_t t = 0; t < 8; ++t) {
    const models::TextInput token{batch.text.ids.slice(1, t, t + 1).clone(),
                                  batch.text.mask.slice(1, 0, t + 1).clone(), t};
    const Tensor<double> step =
        no_grad([&] {
          return model.read(token, media, times.slice(1, t, t + 1).clone(), &cache);
        }).value();
    const Comparison cached = compare(step.select(1, 0), logits.select(1, t), {0, 1e-12});
    CHECK_MESSAGE(cached.ok, "token ", t, ": ", cached.message);
  }
}

}  // namespace plume::test

/// MODEL_SUITE(name, Model, how to make its resampler[, SuiteOptions]).
#define MODEL_SUITE(name, Model, make_resampler, ...)                                \
  TEST_CASE("model suite: " name) {                                                  \
    const auto model = plume::test::suite_model<Model<double>>(make_resampler);      \
    SUBCASE("gradients") { plume::test::suite_gradients(*model); }                   \
    SUBCASE("padding, causality, cache") {                                           \
      plume::test::suite_properties(*model, plume::test::SuiteOptions{__VA_ARGS__}); \
    }                                                                                \
  }
