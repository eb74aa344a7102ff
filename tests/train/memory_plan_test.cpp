#include "plume/train/memory_plan.hpp"

#include <doctest/doctest.h>

#include <sstream>

#include "plume/models/gpt_neox.hpp"
#include "plume/models/mpt.hpp"
#include "plume/models/opt.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using models::Recompute;
using train::MemoryPlan;
using train::StepShape;

namespace {

using Model = models::Flamingo<float>;
constexpr index_t width = 96, vocabulary = 700, side = 32;
constexpr std::int64_t image_token = vocabulary - 2, end_token = vocabulary - 1;

/// A Flamingo of that language model, without values.
template <class Language, class Sizes>
std::unique_ptr<Model> shape_of(const Sizes& sizes, index_t every = 2) {
  auto model = std::make_unique<Model>(
      models::FusionPlan{every, image_token},
      [](nn::Module& owner, const char* name) {
        return std::make_unique<models::ClipVision<float>>(
            owner, name,
            models::ClipVisionSizes{side, 8, 64, 3, 32, 32, 4, models::Activation::quick_gelu});
      },
      [](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<float>>(
            owner, name,
            nn::ResamplerSizes{.width = 64, .depth = 2, .latents = 16, .heads = {4, 16}});
      },
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<Language>(owner, name, sizes);
      },
      nn::GatedBlockSizes{.text_width = width, .visual_width = 64, .heads = {4, 16}});
  model->lang_encoder->tokens().train_rows({image_token, end_token});
  return model;
}
std::unique_ptr<Model> opt() {
  return shape_of<models::Opt<float>>(models::OptSizes{vocabulary, width, 4, 4, 4 * width, 512});
}
std::unique_ptr<Model> neox() {
  models::GptNeoxSizes s;
  s.vocabulary = vocabulary, s.width = width, s.layers = 4, s.heads = 4, s.ffn = 4 * width;
  return shape_of<models::GptNeox<float>>(s, 1);
}
std::unique_ptr<Model> mpt() {
  models::MptSizes s;
  s.vocabulary = vocabulary, s.width = width, s.layers = 4, s.heads = 4;
  return shape_of<models::Mpt<float>>(s, 4);
}

train::Batch<float> batch_of(const train::StreamShape& s, Generator& g) {
  train::Batch<float> out{
      normal<float>({s.batch, s.images, 1, 3, side, side}, g),
      {zeros<std::int64_t>({s.batch, s.tokens}), ones<bool>({s.batch, s.tokens})},
      zeros<std::int64_t>({s.batch, s.tokens})};
  const Tensor<float> noise = uniform<float>({s.batch, s.tokens}, g, 0, vocabulary - 3);
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t t = 0; t < s.tokens; ++t) {
      const bool picture = t % (s.tokens / s.images) == 0;
      out.text.ids(b, t) = picture ? image_token : static_cast<std::int64_t>(noise(b, t));
      out.labels(b, t) = picture ? -100 : out.text.ids(b, t);
    }
  }
  return out;
}

/// Most bytes at once in steps 2 and 3 of a model that is made for it.
std::size_t measured(Model& model, const StepShape& shape) {
  const std::size_t before = cpu_memory().stats().total.current;
  initialize(model, 3);
  model.plan.recompute = shape.recompute;
  if (shape.bf16_frozen) nn::hold_frozen_in_bf16(model);
  train::Stepper<float> stepper(
      model, {.micro_batches = shape.micro_batches, .precision = shape.precision});
  Generator g(1);
  for (int step = 0; step < 3; ++step) {
    if (step == 1) cpu_memory().reset_peak();
    Tensor<float> samples({shape.micro_batches * (shape.pairs.batch * shape.pairs.images +
                                                  shape.documents.batch * shape.documents.images),
                           3, side, side});
    for (index_t i = 0; i < shape.micro_batches; ++i) {
      if (shape.pairs.batch > 0) stepper.accumulate(batch_of(shape.pairs, g), 0.2);
      if (shape.documents.batch > 0) stepper.accumulate(batch_of(shape.documents, g), 1);
    }
    CHECK_FALSE(stepper.update().skipped);
  }
  return cpu_memory().stats().total.peak - before;
}

void check(std::unique_ptr<Model> (*make)(), const StepShape& shape) {
  CAPTURE(name(shape.recompute));
  CAPTURE(shape.bf16_frozen);
  const auto model = make();
  const std::size_t before = cpu_memory().stats().total.current;
  const MemoryPlan plan = train::memory_plan<float>(*model, shape);
  CHECK(cpu_memory().stats().total.current == before);
  nn::for_each_parameter(*model, [](const std::string&, const nn::ParameterBase& p) {
    REQUIRE_FALSE(p.has_values());
  });
  const auto real = static_cast<double>(measured(*make(), shape));
  CHECK(std::abs(static_cast<double>(plan.peak) / real - 1) < 0.01);
  const auto sum = static_cast<double>(plan.sum().total());
  CHECK(std::abs(sum - static_cast<double>(plan.peak)) < 64);
}

TEST_CASE("memory plan: within a hundredth of what training steps take") {
  const auto both = [](auto make) {
    StepShape shape{.pairs = {6, 24, 1}, .documents = {3, 96, 3}};
    for (const Recompute recompute : {Recompute::none, Recompute::blocks, Recompute::layers}) {
      shape.recompute = recompute;
      check(make, shape);
    }
  };
  SUBCASE("OPT") { both(opt); }
  SUBCASE("GPT-NeoX") { both(neox); }
  SUBCASE("MPT") { both(mpt); }
  SUBCASE("one stream, a single pass") { check(mpt, {.pairs = {}, .documents = {4, 64, 2}}); }
  SUBCASE("micro-batches") {
    check(opt, {.pairs = {8, 16, 1}, .documents = {2, 64, 2}, .micro_batches = 3});
  }
  SUBCASE("bfloat16") {
    check(neox, {.pairs = {6, 24, 1},
                 .documents = {3, 96, 3},
                 .precision = Precision::amp_bf16,
                 .bf16_frozen = true});
  }
}

TEST_CASE("memory plan: a model with values is left as it was") {
  const auto model = opt();
  initialize(*model, 3);
  nn::hold_frozen_in_bf16(*model);
  std::vector<Tensor<float>> before;
  std::vector<const nn::HeldMatrix<float>*> held;
  const auto each = [&](auto f) {
    nn::for_each_parameter(*model, [&](const std::string&, nn::ParameterBase& p) {
      f(static_cast<nn::Parameter<float>&>(p));
    });
  };
  each([&](const auto& p) {
    before.push_back(p.held() != nullptr ? Tensor<float>() : p().value().clone());
    held.push_back(p.held());
  });
  StepShape shape{.pairs = {2, 8, 1}, .documents = {2, 16, 2}};
  shape.recompute = Recompute::layers;
  const MemoryPlan once = train::memory_plan<float>(*model, shape);
  std::size_t i = 0;
  each([&](const auto& p) {
    CHECK(p.held() == held[i]);
    if (p.held() == nullptr) CHECK(test::same_bits(p().value(), before[i]));
    if (p.trainable()) CHECK_FALSE(p().grad().defined());
    ++i;
  });
  CHECK(model->plan.recompute == Recompute::none);
  CHECK(train::memory_plan<float>(*model, shape).peak == once.peak);
}

TEST_CASE("memory plan: parts and kinds are where they belong") {
  const auto model = opt();
  const MemoryPlan plan =
      train::memory_plan<float>(*model, {.pairs = {6, 24, 1}, .documents = {3, 96, 3}});
  REQUIRE(plan.rows.size() == 7);
  const auto bytes = [](const nn::Module& m) { return nn::totals(m).bytes; };
  const auto& vision = plan.rows[0];
  CHECK(vision.part == "vision_encoder");
  CHECK(vision.frozen == bytes(*model->vision_encoder));
  CHECK(vision.trainable + vision.gradients + vision.moments == 0);
  const auto& perceiver = plan.rows[1];
  CHECK(perceiver.part == "perceiver");
  CHECK(perceiver.frozen == 0);
  CHECK(perceiver.trainable == bytes(*model->perceiver));
  CHECK(perceiver.gradients == perceiver.trainable);
  CHECK(perceiver.moments == 2 * perceiver.trainable);
  CHECK(perceiver.activations > 0);
  const auto& language = plan.rows[2];
  CHECK(language.part == "lang_encoder");
  CHECK(language.trainable == 2 * width * sizeof(float));
  CHECK(language.activations > perceiver.activations);
  CHECK(plan.rows[3].part == "gated_cross_attn_layers");
  const io::Json json = train::plan_json(plan);
  CHECK(json.at("peak") == plan.peak);
  CHECK(json.at("rows").size() == 7);
  std::ostringstream text;
  train::print_plan(text, plan);
  CHECK(text.str().find("gated_cross_attn_layers") != std::string::npos);
}

TEST_CASE("memory plan: wrong shapes") {
  const auto model = opt();
  CHECK_THROWS_AS(train::memory_plan<float>(*model, {}), ValueError);
  CHECK_THROWS_AS(train::memory_plan<float>(*model, {.pairs = {2, 1, 1}, .documents = {}}),
                  ValueError);
  // A dry run would walk over all of them.
  CHECK_THROWS_WITH_AS(
      train::memory_plan<float>(*model, {.pairs = {index_t{1} << 60, 32, 1}, .documents = {}}),
      doctest::Contains("at most 4194304 tokens in a micro-batch"), ValueError);
  StepShape none{.pairs = {2, 8, 1}, .documents = {}};
  none.micro_batches = 0;
  CHECK_THROWS_AS(train::memory_plan<float>(*model, none), ValueError);
}

}  // namespace
