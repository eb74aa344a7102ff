#include "plume/ops/tanh.hpp"

#include <cmath>

#include "tests/support/unary_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

const auto f = [](const auto& x) { return tanh(x); };

OP_TEST("tanh") {
  check_unary(
      op, f, [](const auto& x) { return definition::tanh(x); },
      [](const auto& dy, const auto& saved) { return tanh_backward(dy, saved); });
}

TEST_CASE("tanh: infinities, NaN and large numbers") {
  const Tensor<float> y = at_extremes(f);
  CHECK(y(0) == doctest::Approx(0));
  CHECK(y(1) == 1);
  CHECK(y(2) == -1);
  CHECK(y(3) == 1);
}

}  // namespace
