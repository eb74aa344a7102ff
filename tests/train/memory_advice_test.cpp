#include "plume/train/memory_advice.hpp"

#include <doctest/doctest.h>

#include "plume/models/released.hpp"

using namespace plume;
using train::MemoryAdvice;
using train::MemoryPlan;
using train::StepShape;

namespace {

std::unique_ptr<models::Flamingo<float>> released(const char* name) {
  auto out = models::build<float>(models::released_model(name));
  out->lang_encoder->tokens().train_rows({models::released_image, models::released_endofchunk});
  return out;
}

constexpr std::size_t GiB = std::size_t{1} << 30;

TEST_CASE("memory plan of the largest released model: what is known of it, and hardly any memory") {
  const auto model = released("OpenFlamingo-9B");
  const StepShape shape{.pairs = {64, 32, 1}, .documents = {32, 256, 6}};
  const MemoryPlan plan = train::memory_plan<float>(*model, shape);
  const train::MemoryRow sum = plan.sum();
  const nn::Totals t = nn::totals(*model);
  CHECK(sum.frozen == sizeof(float) * static_cast<std::size_t>(t.frozen));
  CHECK(sum.trainable == sizeof(float) * static_cast<std::size_t>(t.trainable));
  CHECK(sum.moments == 2 * sum.trainable);
  CHECK(plan.peak > 90 * GiB);
  // What a decoder layer keeps, by hand: what went into both norms and GELU, q, k, v, y, and each norm's 2 and the
  // attention's 32 numbers a token.
  const std::size_t tokens = 32 * 256, d = 4096;
  const std::size_t layer = tokens * (2 * d + 4 * d + 4 * d + 4 + 32) * sizeof(float);
  const auto language = std::find_if(plan.rows.begin(), plan.rows.end(),
                                     [](const auto& row) { return row.part == "lang_encoder"; });
  REQUIRE(language != plan.rows.end());
  const double ratio = static_cast<double>(language->activations) / static_cast<double>(32 * layer);
  CHECK(ratio > 0.98);
  CHECK(ratio < 1.05);
}

TEST_CASE("memory advice: true of the model, the most first") {
  const auto model = released("OpenFlamingo-4B-vitl-rpj3b-l");
  const StepShape shape{.pairs = {9, 32, 1}, .documents = {5, 64, 2}};
  const MemoryPlan plan = train::memory_plan<float>(*model, shape);
  const std::size_t available = plan.peak - GiB / 2;
  const auto advice = train::memory_advice<float>(*model, plan, available);
  REQUIRE(advice.size() == 6);
  for (std::size_t i = 0; i < advice.size(); ++i) {
    const MemoryAdvice& a = advice[i];
    INFO(a.text);
    CHECK(a.saves == plan.peak - a.plan.peak);
    if (i > 0 && i + 1 < advice.size()) CHECK(a.saves <= advice[i - 1].saves);
    CHECK((a.text.find("which fits") != std::string::npos) == (a.plan.peak <= available));
    CHECK(train::memory_plan<float>(*model, a.plan.shape).peak == a.plan.peak);
  }
  // All of it together saves the most of all.
  for (const MemoryAdvice& a : advice) CHECK(a.saves <= advice.back().saves);
  const auto smaller = std::find_if(advice.begin(), advice.end(), [](const MemoryAdvice& a) {
    return a.text.starts_with("micro-batches of 3 documents and 5 pairs (2 of them a step)");
  });
  CHECK(smaller != advice.end());
}

TEST_CASE("memory advice: nothing to say where everything is turned down") {
  const auto model = released("OpenFlamingo-3B-vitl-mpt1b");
  const MemoryPlan plan = train::memory_plan<float>(*model, {.pairs = {1, 32, 1},
                                                             .documents = {1, 64, 2},
                                                             .precision = Precision::amp_bf16,
                                                             .recompute = models::Recompute::layers,
                                                             .bf16_frozen = true});
  CHECK(train::memory_advice<float>(*model, plan, 1).empty());
}

}  // namespace
