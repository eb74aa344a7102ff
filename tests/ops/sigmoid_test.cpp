#include "plume/ops/sigmoid.hpp"

#include <cmath>

#include "tests/support/unary_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

const auto f = [](const auto& x) { return sigmoid(x); };

OP_TEST("sigmoid") {
  check_unary(
      op, f, [](const auto& x) { return definition::sigmoid(x); },
      [](const auto& dy, const auto& saved) { return sigmoid_backward(dy, saved); });
}

TEST_CASE("sigmoid: infinities, NaN and large numbers") {
  const Tensor<float> y = at_extremes(f);
  CHECK(y(0) == doctest::Approx(0.5));
  CHECK(y(1) == 1);
  CHECK(std::abs(y(2)) < 1e-30);
  CHECK(y(3) == 1);
}

}  // namespace
