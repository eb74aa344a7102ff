#include <doctest/doctest.h>

#include "verify/model_case.hpp"

// Whole small Flamingos against the PyTorch reference: every recorded value of the forward pass, the loss, logits of
// left-padded prompts, and every gradient. Gates, biases and norms of the cases are not zero or one.

using namespace plume;
using flamingo::Report;

namespace {

const std::string models_folder = "tests/golden/models/";

template <Floating T>
void check(const char* name, std::size_t comparisons) {
  INFO(name, " in ", std::string(dtype_name<T>()));
  const std::string folder = models_folder + name;
  const auto model = flamingo::open_case<T>(folder);
  Report report;
  flamingo::check_values<T>(*model, folder,
                            flamingo::allowed<T>(io::read_json(folder + "/case.json")), "", report);
  CHECK(report.comparisons().size() == comparisons);
  for (const flamingo::Comparison& c : report.comparisons())
    CHECK_MESSAGE(c.passes(), c.name, ": error ", c.error, ", ", c.detail);
}

TEST_CASE("golden: whole models in double") {
  check<double>("mpt1b-every1", 96);
  check<double>("opt-all-previous-frozen-embeddings", 55);
  check<double>("redpajama-every2", 79);
  check<double>("llama-every1", 56);
}

TEST_CASE("golden: whole models in float") {
  check<float>("mpt1b-every1", 96);
  check<float>("opt-all-previous-frozen-embeddings", 55);
  check<float>("redpajama-every2", 79);
  check<float>("llama-every1", 56);
}

TEST_CASE("golden: a case whose weights were changed is told apart") {
  const std::string folder = models_folder + "mpt1b-every1";
  const auto model = flamingo::open_case<double>(folder);
  model->fusion[1].attn_gate.set_value(full<double>({1}, 0.9));
  Report report;
  flamingo::check_values<double>(*model, folder, {1e-9, 1e-9}, "", report);
  const auto first = std::find_if(report.comparisons().begin(), report.comparisons().end(),
                                  [](const flamingo::Comparison& c) { return !c.passes(); });
  REQUIRE(first != report.comparisons().end());
  CHECK(first->name == "train.layer.1.gated_block");
}

TEST_CASE("golden: NaN, another shape and no value at all never pass") {
  const Tensor<double> ones_of_two = ones<double>({2});
  const auto passes = [&](const Tensor<double>& x) {
    return flamingo::difference("x", x, ones_of_two, 1e300).passes();
  };
  CHECK(passes(Tensor<double>({2}, {1, 5})));
  CHECK_FALSE(passes(Tensor<double>({2}, {1, std::nan("")})));
  CHECK_FALSE(passes(ones<double>({2, 1})));
  CHECK_FALSE(passes(Tensor<double>()));
}

}  // namespace
