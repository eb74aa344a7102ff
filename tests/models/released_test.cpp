#include "plume/models/released.hpp"

#include <doctest/doctest.h>

#include "plume/nn/summary.hpp"

using namespace plume;
using namespace plume::models;

namespace {

int tensors(const nn::Module& module) {
  int n = 0;
  nn::for_each_parameter(module, [&](const std::string&, const nn::ParameterBase&) { ++n; });
  return n;
}

TEST_CASE("released: parameter counts of the five models, without memory for any") {
  struct Counts {
    index_t language, blocks, total;
    int language_tensors, block_count;
  };
  const Counts expected[] = {{1311131648, 881000496, 2559117360, 194, 24},
                             {1311131648, 881000496, 2559117360, 194, 24},
                             {2775086080, 897744928, 4039816224, 388, 16},
                             {2775086080, 897744928, 4039816224, 388, 16},
                             {6648664064, 1115815952, 8131465232, 194, 8}};
  const auto before = cpu_memory().stats().total.peak;
  for (std::size_t i = 0; i < released_models.size(); ++i) {
    INFO(std::string(released_models[i].name));
    const auto model = build<float>(released_models[i]);
    CHECK(nn::parameter_count(*model->vision_encoder) == 303966208);
    CHECK(tensors(*model->vision_encoder) == 296);
    CHECK(nn::parameter_count(*model->perceiver) == 63019008);
    CHECK(nn::parameter_count(*model->lang_encoder) == expected[i].language);
    CHECK(tensors(*model->lang_encoder) == expected[i].language_tensors);
    CHECK(nn::parameter_count(model->fusion) == expected[i].blocks);
    CHECK(tensors(model->fusion) == 11 * expected[i].block_count);
    CHECK(nn::parameter_count(*model) == expected[i].total);
    // What trains: the resampler, the blocks, and two rows of the token table.
    model->lang_encoder->tokens().train_rows({released_image, released_endofchunk});
    const nn::Totals t = nn::totals(*model);
    CHECK(t.trainable == 63019008 + expected[i].blocks + 2 * model->lang_encoder->width());
  }
  CHECK(cpu_memory().stats().total.peak - before < std::size_t{64} << 20);
}

TEST_CASE("released: where the first gated block sits") {
  CHECK(build<float>(released_model("OpenFlamingo-3B-vitl-mpt1b"))->fusion.has(0));
  const auto four = build<float>(released_model("openflamingo/OpenFlamingo-4B-vitl-rpj3b"));
  CHECK_FALSE(four->fusion.has(0));
  CHECK(four->fusion.has(1));
  const auto nine = build<float>(released_model("OpenFlamingo-9B-vitl-mpt7b"));
  CHECK_FALSE(nine->fusion.has(2));
  CHECK(nine->fusion.has(3));
}

TEST_CASE("released: a name, or how only one begins") {
  CHECK(released_model("OpenFlamingo-9B").name == "OpenFlamingo-9B-vitl-mpt7b");
  CHECK(released_model("openflamingo/OpenFlamingo-4B-vitl-rpj3b-l").name ==
        "OpenFlamingo-4B-vitl-rpj3b-langinstruct");
  // A whole name is that model, though another goes on from it.
  CHECK(released_model("OpenFlamingo-3B-vitl-mpt1b").name == "OpenFlamingo-3B-vitl-mpt1b");
  for (const char* name : {"OpenFlamingo-5B", "OpenFlamingo-3B", ""}) {
    CHECK_THROWS_WITH_AS(released_model(name), doctest::Contains("OpenFlamingo-9B-vitl-mpt7b"),
                         ValueError);
  }
}

TEST_CASE("released: ALiBi slopes") {
  const Tensor<float> sixteen = alibi_slopes(16);
  CHECK(sixteen(0) == doctest::Approx(0.70710678));
  CHECK(sixteen(15) == doctest::Approx(0.00390625));
  CHECK(alibi_slopes(32)(0) == doctest::Approx(0.84089642));
  const Tensor<float> six =
      alibi_slopes(6);  // of eight: the 2nd, 4th, 6th, 8th, then the 1st and 3rd
  CHECK(six(0) == doctest::Approx(0.25));
  CHECK(six(3) == doctest::Approx(1.0 / 256));
  CHECK(six(4) == doctest::Approx(0.5));
}

TEST_CASE("released: vision encoders of CLIP by name") {
  const auto count = [](const ClipVisionSizes& s) {
    struct Root : nn::Module {
      ClipVision<float> visual;
      explicit Root(const ClipVisionSizes& sizes) : visual(*this, "visual", sizes) {}
    } const root(s);
    return nn::parameter_count(root);
  };
  CHECK(count(ClipVisionSizes::vit_b_32(Activation::quick_gelu)) == 87849216);
  CHECK(count(ClipVisionSizes::vit_b_16(Activation::quick_gelu)) == 86192640);
  CHECK(count(ClipVisionSizes::vit_l_14_336(Activation::quick_gelu)) == 304293888);
  CHECK(count(ClipVisionSizes::vit_h_14(Activation::gelu)) == 632076800);
}

}  // namespace
