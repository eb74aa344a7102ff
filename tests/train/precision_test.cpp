#include "plume/autograd/precision.hpp"

#include <doctest/doctest.h>

#include "plume/nn/hold_frozen.hpp"
#include "tests/support/compare.hpp"
#include "verify/training.hpp"

using namespace plume;
using namespace plume::test;

namespace {

using Model = models::Flamingo<float>;

struct Case {
  std::string folder;
  io::Json facts;
  io::StateDict batches;
  explicit Case(const char* name)
      : folder(cat("tests/golden/models/", name)),
        facts(io::read_json(folder + "/case.json")),
        batches(io::read_weights(folder + "/train_batches.safetensors")) {}
  [[nodiscard]] std::unique_ptr<Model> model() const { return flamingo::open_case<float>(folder); }
  [[nodiscard]] train::Batch<float> batch(index_t step, const char* stream) const {
    return flamingo::recorded_batch<float>(batches, cat(step, ".", stream, "."));
  }
  [[nodiscard]] train::Recipe recipe(Precision precision) const {
    train::Recipe out = flamingo::recipe_of(facts);
    out.precision = precision;
    return out;
  }
};

struct Run {
  std::vector<double> losses, norms;
};

Run four_steps(const Case& c, const Model& model, Precision precision) {
  Run out;
  train::Stepper<float> stepper(model, c.recipe(precision));
  for (index_t n = 0; n < 4; ++n) {
    out.losses.push_back(stepper.accumulate(c.batch(n, "laion"), 1));
    out.losses.push_back(stepper.accumulate(c.batch(n, "mmc4"), 0.2));
    out.norms.push_back(stepper.update().gradient_norm);
  }
  return out;
}

double relative(double a, double b) { return std::abs(a - b) / std::abs(b); }

TEST_CASE("amp_bf16: four steps of a Flamingo stay close to those in fp32") {
  for (const char* name :
       {"mpt1b-every1", "redpajama-every2", "opt-all-previous-frozen-embeddings"}) {
    INFO(name);
    const Case c(name);
    const auto full = c.model(), amp = c.model();
    const index_t held = nn::hold_frozen_in_bf16(*amp);
    CHECK(held > 0);
    const Run expected = four_steps(c, *full, Precision::fp32);
    const Run got = four_steps(c, *amp, Precision::amp_bf16);
    for (std::size_t i = 0; i < got.losses.size(); ++i) {
      CHECK(got.losses[i] != expected.losses[i]);
      CHECK(relative(got.losses[i], expected.losses[i]) < amp_loss);
    }
    for (std::size_t i = 0; i < got.norms.size(); ++i) {
      CHECK(relative(got.norms[i], expected.norms[i]) < amp_gradient);
    }

    // What trains is a float master: close to what fp32 made of it, and not rounded.
    const auto a = nn::trainable_parameters<float>(*amp),
               b = nn::trainable_parameters<float>(*full);
    REQUIRE(a.size() == b.size());
    double moved = 0, apart = 0;
    bool between = false;
    const auto start = c.model();
    const auto s = nn::trainable_parameters<float>(*start);
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i]->stored_dtype() == DType::f32);
      CHECK((*a[i])().grad().defined() == false);
      const Tensor<float> x = a[i]->value(), y = b[i]->value(), z = s[i]->value();
      between = between || !same_bits(x, x.cast<bfloat16>().cast<float>());
      for (index_t k = 0; k < x.numel(); ++k) {
        moved += std::pow(y.data()[k] - z.data()[k], 2);
        apart += std::pow(y.data()[k] - x.data()[k], 2);
      }
    }
    CHECK(between);
    CHECK(apart < amp_updates * amp_updates * moved);
  }
}

TEST_CASE("amp_bf16: the direction of the gradient is that of fp32") {
  const Case c("mpt1b-every1");
  const auto full = c.model(), amp = c.model();
  train::Stepper<float> one(*full, c.recipe(Precision::fp32)),
      two(*amp, c.recipe(Precision::amp_bf16));
  one.accumulate(c.batch(0, "mmc4"), 1);
  two.accumulate(c.batch(0, "mmc4"), 1);
  const auto a = nn::trainable_parameters<float>(*amp), b = nn::trainable_parameters<float>(*full);
  double dot = 0, aa = 0, bb = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const Tensor<float> x = (*a[i])().grad().contiguous(), y = (*b[i])().grad().contiguous();
    for (index_t k = 0; k < x.numel(); ++k) {
      dot += static_cast<double>(x.data()[k]) * y.data()[k];
      aa += static_cast<double>(x.data()[k]) * x.data()[k];
      bb += static_cast<double>(y.data()[k]) * y.data()[k];
    }
  }
  CHECK(dot > 0.9999 * std::sqrt(aa * bb));
}

TEST_CASE("amp_bf16: the scope ends with the step, and fp32 is what it was") {
  const Case c("mpt1b-every1");
  const auto plain = c.model(), after = c.model(), amp = c.model();
  {
    train::Stepper<float> stepper(*amp, c.recipe(Precision::amp_bf16));
    stepper.accumulate(c.batch(0, "laion"), 1);
    stepper.update();
  }
  CHECK(precision() == Precision::fp32);
  const Run a = four_steps(c, *plain, Precision::fp32), b = four_steps(c, *after, Precision::fp32);
  CHECK(a.losses == b.losses);
  CHECK(a.norms == b.norms);
}

TEST_CASE("amp_bf16: a loss that is not finite skips the step, as in fp32") {
  const Case c("mpt1b-every1");
  for (const Precision precision : {Precision::fp32, Precision::amp_bf16}) {
    const auto model = c.model();
    train::Stepper<float> stepper(*model, c.recipe(precision));
    const auto p = nn::trainable_parameters<float>(*model);
    const Tensor<float> before = p[0]->value().clone();
    train::Batch<float> bad = c.batch(0, "laion");
    bad.images.fill(std::nanf(""));
    CHECK(std::isnan(stepper.accumulate(bad, 1)));
    const train::StepResult result = stepper.update();
    CHECK(result.skipped);
    CHECK(result.why.find("loss") != std::string::npos);
    CHECK(same_bits(p[0]->value(), before));
    stepper.accumulate(c.batch(0, "laion"), 1);
    CHECK_FALSE(stepper.update().skipped);
  }
}

TEST_CASE("amp_bf16: float models alone") {
  const auto model = flamingo::open_case<double>("tests/golden/models/mpt1b-every1");
  CHECK_THROWS_WITH_AS(
      train::Stepper<double>(*model, Case("mpt1b-every1").recipe(Precision::amp_bf16)),
      "[train] expected a float model for amp_bf16, got double", ValueError);
}

}  // namespace
