#include "plume/ops/operators.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

TEST_CASE_TEMPLATE("operators: what the named ops give", T, float, double) {
  const Tensor<T> a = random({2, 3}).cast<T>();
  const Tensor<T> b = random_between({3}, 1, 2).cast<T>();  // broadcasts
  const Var<T> x = trainable(a);
  const Var<T> y = trainable(b);
  CHECK(same_bits(a + b, add(a, b)));
  CHECK(same_bits(a - b, sub(a, b)));
  CHECK(same_bits(a * b, mul(a, b)));
  CHECK(same_bits(a / b, div(a, b)));
  CHECK(same_bits(-a, scale(a, -1)));
  CHECK(same_bits(2.0 * a, scale(a, 2)));
  CHECK(same_bits(a * 3, scale(a, 3)));
  CHECK(same_bits(a / 4, scale(a, 0.25)));
  CHECK(same_bits((x + y).value(), add(a, b)));
  CHECK(same_bits((x - y).value(), sub(a, b)));
  CHECK(same_bits((x * y).value(), mul(a, b)));
  CHECK(same_bits((x / y).value(), div(a, b)));
  CHECK(same_bits((-x).value(), scale(a, -1)));
  CHECK(same_bits((2.0 * x).value(), scale(a, 2)));
  CHECK(same_bits((x * 3).value(), scale(a, 3)));
  CHECK(same_bits((x / 4).value(), scale(a, 0.25)));
}

TEST_CASE("operators: a formula differentiates") {
  const auto f = [](const Vars& x) -> Vars {
    return {(x[0] - 2.0 * x[1]) / x[2] + -x[0] * x[1] / 3};
  };
  const auto result = grad_check(f, {random({2, 3}), random({3}, 1), random_between({2, 1}, 1, 2)});
  CHECK_MESSAGE(result.passed(gradient_check), result.where);
}

}  // namespace
