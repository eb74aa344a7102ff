#include "plume/ops/silu.hpp"

#include <cmath>

#include "tests/support/unary_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

const auto f = [](const auto& x) { return silu(x); };

OP_TEST("silu") {
  check_unary(
      op, f, [](const auto& x) { return definition::silu(x); },
      [](const auto& dy, const auto& saved) { return silu_backward(dy, saved); });
}

TEST_CASE("silu: infinities, NaN and large numbers") {
  const Tensor<float> y = at_extremes(f);
  CHECK(y(0) == doctest::Approx(0));
  CHECK(y(1) == 100);
  CHECK(std::abs(y(2)) < 1e-30);
  CHECK(std::isinf(y(3)));
}

}  // namespace
