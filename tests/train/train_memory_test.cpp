#include "train_memory.hpp"

#include <doctest/doctest.h>

#include "tests/train/small_model.hpp"

// What `flamingo train` says of memory before it begins: the plan, and advice where it does not fit.

using namespace plume;

namespace {

TEST_CASE("train: what a step takes is told, and what to turn down only where it does not fit") {
  const auto model = test::small_model<float>();
  const train::StepShape shape{.pairs = {4, 6, 1}, .documents = {2, 8, 2}};
  const std::size_t peak = train::memory_plan<float>(*model, shape).peak;
  const auto told = [&](std::size_t available) {
    std::ostringstream out;
    flamingo::tell_memory(out, *model, shape, available);
    return out.str();
  };
  const std::string fits = told(peak / 8 * 9 + 9), barely = told(peak), misfit = told(1);
  CHECK(fits.find("gated_cross_attn_layers") != std::string::npos);
  CHECK(fits.find("warning") == std::string::npos);
  CHECK(barely.find("recompute layers: saves") != std::string::npos);
  CHECK(barely.find("which fits") != std::string::npos);
  CHECK(misfit.find("does not fit") != std::string::npos);
  CHECK(misfit.find("which fits") == std::string::npos);
  CHECK(flamingo::available_memory() > 0);
}

}  // namespace
