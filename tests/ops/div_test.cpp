#include "plume/ops/div.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("div") {
  const auto f = [](const auto& x) { return div(x[0], x[1]); };
  const auto definition = [](const auto& x) { return definition::div(x[0], x[1]); };
  op.check({random({3, 5}), random_between({3, 5}, 0.5, 2)}, f, definition);
  op.check({random({3, 5}), random_between({5}, 0.5, 2)}, f, definition);        // a bias
  op.check({random({3, 5}), random_between({3, 1}, 0.5, 2)}, f, definition);     // a column
  op.check({random({}), random_between({2, 3}, 0.5, 2)}, f, definition);         // a scalar
  op.check({random({3, 1, 4}), random_between({2, 1}, 0.5, 2)}, f, definition);  // both stretch
  op.check({random({0, 3}), random_between({1, 3}, 0.5, 2)}, f, definition);     // nothing
  op.check({random({2, 2053}), random_between({2, 2053}, 0.5, 2)}, f, definition);
  op.check_forward_in<bfloat16>({random({3, 37}), random_between({37}, 0.5, 2)}, f, definition,
                                forward_bfloat16);
  op.check_forward_in<half>({random({3, 37}), random_between({37}, 0.5, 2)}, f, definition,
                            forward_half);

  const Tensor<double> a = ones<double>({2, 3});
  op.refuses("shapes that do not broadcast", [&] { div(a, ones<double>({2})); });
  op.refuses("no first operand", [&] { div(Tensor<double>{}, a); });
  op.refuses("no second operand", [&] { div(a, Tensor<double>{}); });
}

}  // namespace
