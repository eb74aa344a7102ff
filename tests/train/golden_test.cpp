#include <doctest/doctest.h>

#include "verify/training.hpp"

// Four steps of the reference's own training loop: labels, both losses, gradient norms, learning rates, the clipped
// gradient of the first step, every trainable parameter after the last.

using namespace plume;

namespace {

template <Floating T>
void check(const std::string& name, double tolerance) {
  INFO(name, " in ", std::string(dtype_name<T>()));
  const std::string folder = "tests/golden/models/" + name;
  const auto model = flamingo::open_case<T>(folder);
  flamingo::Report report;
  flamingo::check_training<T>(*model, folder, tolerance, "", report);
  const std::size_t recorded = io::read_weights(folder + "/train_expected.safetensors").size();
  CHECK(recorded > 60);
  CHECK(report.comparisons().size() ==
        recorded + 4 * 6);  // labels of two streams and four numbers a step
  for (const flamingo::Comparison& c : report.comparisons())
    CHECK_MESSAGE(c.passes(), c.name, ": error ", c.error, ", ", c.detail);
}

TEST_CASE("training: the reference's steps in double") {
  check<double>("mpt1b-every1", 1e-7);
  check<double>("redpajama-every2", 1e-5);
  check<double>("opt-all-previous-frozen-embeddings", 1e-7);
}

TEST_CASE("training: the reference's steps in float") {
  check<float>("mpt1b-every1", 1e-4);
  check<float>("redpajama-every2", 1e-4);
}

}  // namespace
