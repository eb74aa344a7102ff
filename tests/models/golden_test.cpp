#include <doctest/doctest.h>

#include "tests/models/golden_flamingo.hpp"

// Whole small Flamingos against the PyTorch reference: every recorded value of the forward pass, the loss, logits of
// left-padded prompts, and every gradient. Gates, biases and norms of the cases are not zero or one.

using namespace plume;
using namespace plume::test;

namespace {

/// Largest error allowed, relative to a tensor's largest element: values, and gradients.
struct Allowed {
  const char* folder;
  double values, gradients;
  int comparisons;
};

template <Floating T>
void check(const Allowed& a) {
  INFO(a.folder, " in ", std::string(dtype_name<T>()));
  const GoldenResult r =
      check_golden<T>(std::string("tests/golden/models/") + a.folder, a.values, a.gradients);
  CHECK(r.comparisons == a.comparisons);
  CHECK_MESSAGE(r.first_divergent.empty(), r.first_divergent);
}

TEST_CASE("golden: whole models in double") {
  check<double>({"mpt1b-every1", 1e-9, 1e-9, 75});
  check<double>({"opt-all-previous-frozen-embeddings", 1e-9, 1e-9, 49});
  check<double>(
      {"redpajama-every2", 1e-5, 1e-5, 63});  // the reference keeps its rotary tables in float32
  check<double>({"llama-every1", 1e-4, 1e-4, 50});  // the case was recorded in float32
}

TEST_CASE("golden: whole models in float") {
  check<float>({"mpt1b-every1", 1e-5, 1e-4, 75});
  check<float>({"opt-all-previous-frozen-embeddings", 1e-5, 1e-4, 49});
  check<float>({"redpajama-every2", 1e-5, 1e-4, 63});
  check<float>({"llama-every1", 1e-4, 1e-4, 50});
}

TEST_CASE("golden: a case whose weights were changed is told apart") {
  const auto model = build_golden<double>("tests/golden/models/mpt1b-every1");
  const auto input = [] { return models::TextInput{Tensor<std::int64_t>({1, 3}, {450, 5, 6})}; };
  const index_t side = model->vision_encoder->sizes.image;
  const Tensor<double> fitting = full<double>({1, 1, 1, 3, side, side}, 0.3);
  const Tensor<double> before = no_grad([&] { return (*model)(fitting, input()); }).value();
  model->fusion[1].attn_gate.set_value(full<double>({1}, 0.9));
  const Tensor<double> after = no_grad([&] { return (*model)(fitting, input()); }).value();
  CHECK(relative_error(after, before) > 1e-4);
  CHECK(relative_error(Tensor<double>({2}, {1, std::nan("")}), Tensor<double>({2}, {1, 1})) ==
        HUGE_VAL);
  CHECK(relative_error(ones<double>({2}), ones<double>({2, 1})) == HUGE_VAL);
}

}  // namespace
