#include "plume/nn/perceiver_resampler.hpp"

#include <doctest/doctest.h>

#include "plume/autograd/backward.hpp"
#include "plume/models/load.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::nn;

namespace {

template <Floating T>
struct Root : Module {
  PerceiverResampler<T> resampler;
  explicit Root(const ResamplerSizes& sizes) : resampler(*this, "weight", sizes) {}
};

const std::string folder = "tests/golden/models/resampler-video/";

ResamplerSizes golden_sizes() {
  const io::Json c = io::read_json(folder + "case.json");
  return {.width = c["dim"],
          .depth = c["depth"],
          .latents = c["num_latents"],
          .heads = {c["heads"], c["dim_head"]},
          .multiple = c["ff_mult"],
          .max_frames = c["max_num_frames"],
          .max_media = c["max_num_media"]};
}

template <Floating T>
void check_golden(test::Tolerance tolerance, test::Tolerance gradient) {
  Root<T> root(golden_sizes());
  const auto report = models::load<T>(root, io::read_weights(folder + "weights.safetensors"));
  CHECK(report.loaded.size() == 27);
  const io::StateDict in = io::read_weights(folder + "inputs.safetensors");
  const io::StateDict expected = io::read_weights(folder + "expected.safetensors");
  const auto x = trainable(in.at("x").to<T>().clone());
  const auto y = root.resampler(x);
  const auto c = test::compare(y.value(), expected.at("y").to<double>(), tolerance);
  CHECK_MESSAGE(c.ok, "y: ", c.message);
  backward(y, in.at("cotangent").to<T>());
  int gradients = 0;
  const auto check = [&](const std::string& name, const Tensor<T>& g) {
    REQUIRE(g.defined());
    const auto result = test::compare(g, expected.at("gradient." + name).to<double>(), gradient);
    CHECK_MESSAGE(result.ok, name, ": ", result.message);
    ++gradients;
  };
  check("x", x.grad());
  for_each_parameter(root.resampler, [&](const std::string& key, ParameterBase& p) {
    check(key, static_cast<Parameter<T>&>(p)().grad());
  });
  CHECK(gradients == 28);
}

TEST_CASE(
    "perceiver_resampler: the reference's output and every gradient, with frames and media times") {
  check_golden<double>({0, 1e-12}, {0, 1e-12});
  check_golden<float>({0, 1e-5}, {0, 1e-4});
}

TEST_CASE("perceiver_resampler: sizes of the released models") {
  for (const auto& [width, parameters] :
       {std::pair<index_t, index_t>{768, 37827072}, {1024, 63019008}, {1280, 94502400}}) {
    const Root<float> root(ResamplerSizes{.width = width});
    CHECK(parameter_count(root) == parameters);
    int tensors = 0;
    for_each_parameter(root, [&](const std::string&, const ParameterBase&) { ++tensors; });
    CHECK(tensors == 69);
  }
}

TEST_CASE("perceiver_resampler: images do not see each other") {
  Root<double> root(
      ResamplerSizes{.width = 12, .depth = 2, .latents = 3, .heads = {2, 4}, .multiple = 2});
  initialize(root, 7);
  Generator g(1);
  Tensor<double> x = normal<double>({1, 3, 1, 5, 12}, g);
  const Tensor<double> before = root.resampler(constant(x)).value().clone();
  x.select(1, 1).fill(0.5);
  const Tensor<double> after = root.resampler(constant(x)).value();
  CHECK(test::same_bits(before.select(1, 0), after.select(1, 0)));
  CHECK_FALSE(test::same_bits(before.select(1, 1), after.select(1, 1)));
  CHECK(test::same_bits(before.select(1, 2), after.select(1, 2)));
}

TEST_CASE("perceiver_resampler: wrong features are refused") {
  Root<float> root(ResamplerSizes{
      .width = 8, .depth = 1, .latents = 2, .heads = {1, 4}, .max_frames = 2, .max_media = 2});
  initialize(root, 1);
  const auto features = [](index_t M, index_t F, index_t D) {
    return constant(zeros<float>({1, M, F, 3, D}));
  };
  CHECK_NOTHROW(root.resampler(features(2, 2, 8)));
  CHECK_THROWS_AS(root.resampler(features(2, 2, 7)), ShapeError);
  CHECK_THROWS_AS(root.resampler(features(2, 3, 8)), ShapeError);
  CHECK_THROWS_AS(root.resampler(features(3, 2, 8)), ShapeError);
  CHECK_THROWS_AS(root.resampler(constant(zeros<float>({1, 2, 3, 8}))), ShapeError);
}

}  // namespace
