#include "plume/ops/mul.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("mul") {
  const auto f = [](const auto& x) { return mul(x[0], x[1]); };
  const auto definition = [](const auto& x) { return definition::mul(x[0], x[1]); };
  op.check({random({3, 5}), random({3, 5}, 1)}, f, definition);
  op.check({random({3, 5}), random({5}, 1)}, f, definition);        // a bias
  op.check({random({3, 5}), random({3, 1}, 1)}, f, definition);     // a column
  op.check({random({}), random({2, 3}, 1)}, f, definition);         // a scalar
  op.check({random({3, 1, 4}), random({2, 1}, 1)}, f, definition);  // both stretch
  op.check({random({0, 3}), random({1, 3}, 1)}, f, definition);     // nothing
  op.check({random({2, 2053}), random({2, 2053}, 1)}, f, definition);
  op.check_forward_in<bfloat16>({random({3, 37}), random({37}, 1)}, f, definition,
                                forward_bfloat16);
  op.check_forward_in<half>({random({3, 37}), random({37}, 1)}, f, definition, forward_half);

  const Tensor<double> a = ones<double>({2, 3});
  op.refuses("shapes that do not broadcast", [&] { mul(a, ones<double>({2})); });
  op.refuses("no first operand", [&] { mul(Tensor<double>{}, a); });
  op.refuses("no second operand", [&] { mul(a, Tensor<double>{}); });
}

}  // namespace
