#include "plume/ops/split.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

template <Floating T, class Pieces>
std::vector<Var<T>> listed(const Pieces& pieces) {
  return {pieces.begin(), pieces.end()};
}

OP_TEST("split") {
  // All pieces, with and without empty ones.
  const std::vector<index_t> sizes{1, 0, 4, 2};
  const auto f = [&](const auto& x) {
    using T = typename std::decay_t<decltype(x[0])>::value_type;
    return listed<T>(split(x[0], std::span<const index_t>(sizes), 1));
  };
  const auto definition = [&](const auto& x) { return definition::split(x[0], sizes, 1); };
  for (const Shape& shape : {Shape{3, 7}, Shape{2, 7, 5}, Shape{0, 7}, Shape{1, 7}}) {
    op.check({random(shape)}, f, definition);
  }
  op.check(
      {random({2, 3, 9})},
      [](const auto& x) {
        using T = typename std::decay_t<decltype(x[0])>::value_type;
        return listed<T>(split<3>(x[0]));
      },
      [](const auto& x) {
        return definition::split(x[0], {3, 3, 3}, 2);
      });
  op.check(
      {random({5, 3})},
      [](const auto& x) {
        using T = typename std::decay_t<decltype(x[0])>::value_type;
        return listed<T>(split(x[0], {2, 3}, 0));
      },
      [](const auto& x) {
        return definition::split(x[0], {2, 3}, 0);
      });
  // A piece that nobody uses leaves zeros in the gradient.
  op.check(
      {random({5, 3})},
      [](const auto& x) {
        return split(x[0], {2, 3}, 0)[1];
      },
      [](const auto& x) {
        return definition::split(x[0], {2, 3}, 0)[1];
      });
  op.check_forward_in<bfloat16>({random({3, 7})}, f, definition, {0, 0});

  const Var<double> x = constant(ones<double>({2, 6}));
  op.refuses("no tensor", [] { split<2>(Var<double>{}); });
  op.refuses("an axis that is not there", [&] { split<2>(x, 2); });
  op.refuses("pieces that are not equal", [&] { split<4>(x); });
  op.refuses("sizes that add up to less", [&] { split(x, {2, 3}); });
  op.refuses("sizes that add up to more", [&] { split(x, {2, 5}); });
  op.refuses("a negative size", [&] { split(x, {-1, 7}); });
  op.refuses("no sizes", [&] { split(x, std::span<const index_t>{}); });
}

TEST_CASE("split: the pieces are views and share one gradient") {
  const Var<float> x = trainable(random({2, 6}).cast<float>());
  const auto [q, k, v] = split<3>(x, -1);
  CHECK(k.value().shares_storage(x.value()));
  backward(v, ones<float>({2, 2}));
  const float* buffer = x.grad().data();
  backward(q, full<float>({2, 2}, 2.0F));
  CHECK(buffer == x.grad().data());
  CHECK(same_bits(x.grad(), Tensor<float>({2, 6}, {2, 2, 0, 0, 1, 1, 2, 2, 0, 0, 1, 1})));
}

}  // namespace
