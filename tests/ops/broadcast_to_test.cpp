#include "plume/ops/broadcast_to.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("broadcast_to") {
  struct Case {
    Shape from, to;
  };
  for (const Case& c :
       {Case{{3}, {2, 3}}, Case{{2, 1}, {2, 4}}, Case{{1, 3, 1}, {2, 3, 5}}, Case{{}, {2, 2}},
        Case{{2, 3}, {2, 3}}, Case{{1, 3}, {0, 3}}, Case{{1}, {1, 1, 1}}, Case{{33}, {40, 33}}}) {
    op.check(
        {random(c.from)}, [&](const auto& x) { return broadcast_to(x[0], c.to); },
        [&](const auto& x) { return definition::broadcast_to(x[0], c.to); });
  }
  op.check_forward_in<bfloat16>(
      {random({3, 1})},
      [](const auto& x) {
        return broadcast_to(x[0], {3, 4});
      },
      [](const auto& x) {
        return definition::broadcast_to(x[0], {3, 4});
      },
      {0, 0});

  const Var<double> x = constant(ones<double>({2, 3}));
  op.refuses("no tensor", [] { broadcast_to(Var<double>{}, {2}); });
  op.refuses("another size", [&] { broadcast_to(x, {4, 3}); });
  op.refuses("a lower rank", [&] { broadcast_to(x, {3}); });
  op.refuses("a smaller size", [&] { broadcast_to(x, {1, 3}); });
}

TEST_CASE("broadcast_to: a view") {
  const Var<float> x = trainable(ones<float>({1, 3}));
  CHECK(broadcast_to(x, {1000, 3}).value().shares_storage(x.value()));
}

}  // namespace
