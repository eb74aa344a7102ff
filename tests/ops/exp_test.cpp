#include "plume/ops/exp.hpp"

#include <cmath>

#include "tests/support/unary_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

const auto f = [](const auto& x) { return exp(x); };

OP_TEST("exp") {
  check_unary(
      op, f, [](const auto& x) { return definition::exp(x); },
      [](const auto& dy, const auto& saved) { return exp_backward(dy, saved); });
}

TEST_CASE("exp: infinities, NaN and large numbers") {
  const Tensor<float> y = at_extremes(f);
  CHECK(y(0) == doctest::Approx(1));
  CHECK(std::isinf(y(1)));
  CHECK(std::abs(y(2)) < 1e-30);
  CHECK(std::isinf(y(3)));
}

}  // namespace
