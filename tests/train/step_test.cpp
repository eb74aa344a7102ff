#include "plume/train/step.hpp"

#include <map>

#include "tests/models/model_suite.hpp"

using namespace plume;
using namespace plume::test;
using train::Batch;
using train::Recipe;
using train::Stepper;

namespace {

using Model = models::Flamingo<double>;

std::unique_ptr<Model> model() {
  return suite_model<Model>(resampler_of<nn::PerceiverResampler<double>>(suite_perceiver()));
}
Batch<double> batch(double brightness = 1) {
  const SuiteBatch b = suite_batch();
  Tensor<double> images = b.images.clone();
  for (index_t i = 0; i < images.numel(); ++i) images.data()[i] *= brightness;
  return {images, b.text, b.text.ids.clone()};
}
Recipe recipe() {
  return {.learning_rate = 1e-2, .weight_decay = 0.5, .schedule = Schedule::constant(0)};
}
std::map<std::string, Tensor<double>> values(const Model& m) {
  std::map<std::string, Tensor<double>> out;
  nn::for_each_parameter(m, [&](const std::string& key, nn::ParameterBase& p) {
    out[key] = static_cast<nn::Parameter<double>&>(p)().value().clone();
  });
  return out;
}

TEST_CASE("training step: what is frozen stays, what trains moves, the loss falls") {
  const auto m = model();
  const auto before = values(*m);
  Stepper<double> stepper(*m, recipe());
  const double first = stepper.accumulate(batch(), 1);
  stepper.update();
  for (int i = 0; i < 20; ++i) {
    stepper.accumulate(batch(), 1);
    stepper.update();
  }
  CHECK(stepper.accumulate(batch(), 1) < first - 0.1);
  for (const auto& [name, value] : values(*m)) {
    const std::string& key = name;  // clang 14 captures no structured binding
    INFO(key);
    const bool frozen = key.starts_with("vision_encoder.") || key.starts_with("lang_encoder.");
    CHECK(same_bits(value, before.at(key)) == frozen);
  }
  index_t moments = 0;
  for (const auto& slot : stepper.optimizer().slots()) moments += slot.m.numel();
  index_t trained = 0;
  for (auto* p : nn::trainable_parameters<double>(*m)) trained += p->shape().numel();
  CHECK(moments == trained);
}

TEST_CASE("training step: decay is for the gated cross-attention alone") {
  const auto m = model();
  const Stepper<double> stepper(*m, recipe());
  index_t decayed = 0, gated = 0;
  for (const auto& slot : stepper.optimizer().slots())
    decayed += slot.options.weight_decay > 0 ? slot.parameter.value().numel() : 0;
  nn::for_each_parameter(
      m->fusion, [&](const std::string&, nn::ParameterBase& p) { gated += p.shape().numel(); });
  CHECK(decayed == gated);
}

TEST_CASE("training step: micro-batches add up to the step of their mean") {
  const auto whole = model(), halves = model();
  Recipe two = recipe();
  two.micro_batches = 2;
  Stepper<double> a(*whole, recipe()), b(*halves, two);
  a.accumulate(batch(), 1);
  const auto ra = a.update();
  b.accumulate(batch(), 1);
  b.accumulate(batch(), 1);
  const auto rb = b.update();
  CHECK(std::abs(ra.gradient_norm - rb.gradient_norm) <= 1e-12 * ra.gradient_norm);
  const auto va = values(*whole), vb = values(*halves);
  for (const auto& [name, value] : va) {
    const std::string& key = name;  // clang 14 captures no structured binding
    const Comparison same = compare(vb.at(key), value, {0, 1e-9});
    CHECK_MESSAGE(same.ok, key, ": ", same.message);
  }
}

TEST_CASE("training step: a loss that is not finite skips the whole step, and says so") {
  const auto m = model();
  Stepper<double> stepper(*m, recipe());
  stepper.accumulate(batch(), 1);
  stepper.update();
  const auto before = values(*m);
  stepper.accumulate(batch(), 1);
  CHECK(std::isnan(stepper.accumulate(batch(std::nan("")), 1)));
  const auto result = stepper.update();
  CHECK(result.skipped);
  CHECK(result.why.find("loss") != std::string::npos);
  for (const auto& [key, value] : values(*m)) CHECK(same_bits(value, before.at(key)));
  // The next step is a step as any other.
  stepper.accumulate(batch(), 1);
  const auto next = stepper.update();
  CHECK_FALSE(next.skipped);
  CHECK(next.step == 2);
}

/// What `f` throws.
std::string refusal(const auto& f) {
  try {
    f();
  } catch (const ValueError& error) {
    return error.what();
  }
  return "nothing";
}

TEST_CASE("training step: a parameter that is frozen, set or held meanwhile trains on") {
  const auto m = model(), untouched = model();
  Stepper<double> stepper(*m, recipe()), other(*untouched, recipe());
  const auto step = [&] {
    for (Stepper<double>* s : {&stepper, &other}) {
      s->accumulate(batch(), 1);
      CHECK_FALSE(s->update().skipped);
    }
  };
  step();
  freeze(m->fusion);
  freeze(m->fusion, false);
  step();
  nn::for_each_parameter(*m->perceiver, [](const std::string&, nn::ParameterBase& base) {
    auto& p = static_cast<nn::Parameter<double>&>(base);
    p.set_value(p().value().clone());
  });
  step();
  const auto a = values(*m), b = values(*untouched);
  for (const auto& [name, value] : a) {
    const std::string& key = name;  // clang 14 captures no structured binding
    CHECK_MESSAGE(same_bits(value, b.at(key)), key);
  }
  // While it is frozen it stays.
  freeze(m->fusion);
  stepper.accumulate(batch(), 1);
  stepper.update();
  const auto c = values(*m);
  for (const auto& [name, value] : a) {
    const std::string& key = name;
    if (key.starts_with("gated_cross_attn_layers.")) CHECK(same_bits(value, c.at(key)));
    if (key.starts_with("perceiver.")) CHECK_FALSE(same_bits(value, c.at(key)));
  }
}

TEST_CASE("training step: what gets a gradient that the optimizer does not hold is refused") {
  const auto m = model();
  freeze(*m->perceiver);
  Stepper<double> stepper(*m, recipe());
  freeze(*m->perceiver, false);
  CHECK(refusal([&] { stepper.accumulate(batch(), 1); }).find("perceiver.") != std::string::npos);
  // A Var that is a member of a module, and no parameter of it.
  struct Scaled : nn::PerceiverResampler<double> {
    Var<double> scale = trainable(full<double>({1}, 2.0));
    using PerceiverResampler::PerceiverResampler;
    Var<double> operator()(const Var<double>& x) const {
      return mul(PerceiverResampler::operator()(x), scale);
    }
  };
  using Variant =
      models::VisionLanguageModel<double, models::ClipVision<double>, Scaled,
                                  nn::GatedCrossAttention<double>, models::TextDecoder<double>>;
  const auto v = suite_model<Variant>(resampler_of<Scaled>(suite_perceiver()));
  for (const auto recompute : {models::Recompute::none, models::Recompute::layers}) {
    v->plan.recompute = recompute;
    Stepper<double, Variant> careful(*v, recipe());
    const std::string said = refusal([&] { careful.accumulate(batch(), 1); });
    CHECK(said.find("Var of shape [1]") != std::string::npos);
    CHECK(said.find("nn::Parameter") != std::string::npos);
  }
}

TEST_CASE("training step: a micro-batch without a label adds nothing; a step of none is skipped") {
  const auto m = model(), n = model();
  Recipe two = recipe();
  two.micro_batches = 2;
  Stepper<double> a(*m, two), b(*n, two);
  Batch<double> empty = batch();
  empty.labels.fill(-100);
  empty.labels(0, 0) = 5;  // the first token is not guessed
  a.accumulate(batch(), 1);
  b.accumulate(batch(), 1);
  CHECK(b.accumulate(empty, 1) == 0);
  CHECK(a.update().unlabelled == 0);
  const auto result = b.update();
  CHECK(result.unlabelled == 1);
  CHECK_FALSE(result.skipped);
  const auto va = values(*m), vb = values(*n);
  for (const auto& [key, value] : va) CHECK(same_bits(value, vb.at(key)));
  b.accumulate(empty, 1);
  b.accumulate(empty, 1);
  const auto none = b.update();
  CHECK(none.skipped);
  CHECK(none.why.find("label") != std::string::npos);
  const auto after = values(*n);
  for (const auto& [key, value] : vb) CHECK(same_bits(value, after.at(key)));
}

TEST_CASE("training step: numbers of a recipe out of their range are named") {
  const auto m = model();
  const double inf = std::numeric_limits<double>::infinity(), nan = std::nan("");
  const auto names = [&](const char* field, double Recipe::*member,
                         std::initializer_list<double> bad) {
    for (const double value : bad) {
      Recipe r = recipe();
      r.*member = value;
      CHECK_MESSAGE(refusal([&] { Stepper<double>(*m, r); }).find(field) != std::string::npos,
                    field, " ", value);
    }
  };
  names("learning_rate", &Recipe::learning_rate, {inf, nan, -1});
  names("beta1", &Recipe::beta1, {1, nan, -0.1});
  names("beta2", &Recipe::beta2, {1, nan, -0.1});
  names("eps", &Recipe::eps, {0, inf, nan});
  names("weight_decay", &Recipe::weight_decay, {inf, nan, -1});
  names("clip", &Recipe::clip, {0, inf, nan});
  Stepper<double> stepper(*m, recipe());
  CHECK_THROWS_AS(stepper.accumulate(batch(), nan), ValueError);
}

TEST_CASE("training step: wrong calls") {
  const auto m = model();
  Recipe none = recipe();
  none.micro_batches = 0;
  CHECK_THROWS_AS(Stepper<double>(*m, none), ValueError);
  Stepper<double> stepper(*m, recipe());
  Batch<double> wrong = batch();
  wrong.labels = zeros<std::int64_t>({1, 3});
  CHECK_THROWS_AS(stepper.accumulate(wrong, 1), ShapeError);
  freeze(*m);
  CHECK_THROWS_AS(Stepper<double>(*m, recipe()), ValueError);
}

}  // namespace
