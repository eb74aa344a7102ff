#include "plume/ops/reshape.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

OP_TEST("reshape") {
  struct Case {
    Shape from, to;
  };
  for (const Case& c :
       {Case{{2, 6}, {3, 4}}, Case{{12}, {2, 3, 2}}, Case{{2, 3, 2}, {12}}, Case{{4, 1, 3}, {4, 3}},
        Case{{0, 3}, {3, 0, 2}}, Case{{1}, {}}, Case{{}, {1, 1}}, Case{{2, 3, 4}, {2, 12}}}) {
    op.check(
        {random(c.from)}, [&](const auto& x) { return reshape(x[0], c.to); },
        [&](const auto& x) { return definition::reshape(x[0], c.to); });
  }
  op.check(
      {random({4, 6})},
      [](const auto& x) {
        return reshape(x[0], {2, -1, 3});
      },
      [](const auto& x) {
        return definition::reshape(x[0], {2, 4, 3});
      });
  op.check_forward_in<half>(
      {random({4, 6})}, [](const auto& x) { return reshape(x[0], {-1}); },
      [](const auto& x) { return definition::reshape(x[0], {24}); }, {0, 0});

  const Var<double> x = constant(ones<double>({2, 3}));
  op.refuses("no tensor", [] { reshape(Var<double>{}, {0}); });
  op.refuses("another number of elements", [&] { reshape(x, {2, 2}); });
  op.refuses("two open sizes", [&] { reshape(x, {-1, -1}); });
  op.refuses("an open size that does not work out", [&] { reshape(x, {4, -1}); });
}

TEST_CASE("reshape: a view where it can be") {
  const Var<float> x = trainable(ones<float>({2, 3, 4}));
  CHECK(reshape(x, {6, 4}).value().shares_storage(x.value()));
}

}  // namespace
