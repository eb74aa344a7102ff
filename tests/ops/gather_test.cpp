#include "plume/ops/gather.hpp"

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

/// In [0, n), with repetitions.
template <class I = index_t>
Tensor<I> some_index(const Shape& shape, index_t n) {
  Tensor<I> index(shape);
  for (index_t i = 0; i < index.numel(); ++i) index.data()[i] = static_cast<I>(i * i % n);
  return index;
}

OP_TEST("gather") {
  const auto check = [&](const Shape& x, index_t axis, const auto& index) {
    op.check(
        {random(x)}, [=](const auto& in) { return gather(in[0], axis, index); },
        [=](const auto& in) { return definition::gather(in[0], axis, index); });
  };
  check({5}, 0, some_index({3}, 5));
  check({5}, 0, some_index({17}, 5));  // longer than x
  check({3, 4}, 1, some_index({3, 2}, 4));
  check({3, 4}, 0, some_index<std::int32_t>({6, 4}, 3));
  check({3, 4}, -1, some_index({2, 7}, 4));  // fewer rows than x
  check({2, 3, 4}, 1, some_index({2, 5, 3}, 3));
  check({4, 3, 5}, 0, some_index({2, 2, 4}, 4));
  check({1, 1}, 1, some_index({1, 1}, 1));
  check({2, 3}, 1, some_index({2, 0}, 3));
  check({2, 3}, 0, some_index({4, 0}, 2));
  check({300, 4}, 1, some_index({300, 1}, 4));
  check({3, 5}, 1, some_index({5, 3}, 5).transpose(0, 1));

  const auto index = some_index({2, 7}, 5);
  const auto f = [index](const auto& x) { return gather(x[0], 1, index); };
  const auto definition = [index](const auto& x) { return definition::gather(x[0], 1, index); };
  op.check_forward_in<bfloat16>({random({2, 5})}, f, definition, {0, 0});
  op.check_forward_in<half>({random({2, 5})}, f, definition, {0, 0});

  const Tensor<double> x = ones<double>({3, 4});
  const auto at = [&](index_t axis, const Shape& shape, index_t value) {
    gather(x, axis, full<index_t>(shape, value));
  };
  op.refuses("an index of the axis' size", [&] { at(1, {3, 2}, 4); });
  op.refuses("a negative index", [&] { at(1, {3, 2}, -1); });
  op.refuses("an axis out of range", [&] { at(2, {3, 2}, 0); });
  op.refuses("an index of another rank", [&] { at(0, {3}, 0); });
  op.refuses("an index larger than x along another axis", [&] { at(1, {4, 1}, 0); });
  op.refuses("a gradient of another shape", [&] {
    gather_backward(ones<double>({3, 3}), x.shape(), 1, zeros<index_t>({3, 2}));
  });
}

TEST_CASE("gather: the message names the index and its place") {
  const Tensor<std::int32_t> index({2, 2}, {0, 1, 3, 2});
  CHECK_THROWS_WITH_AS(gather(ones<float>({2, 3}), 1, index),
                       "[gather] expected an index in [0, 3), got 3 at [1, 0]", ValueError);
}

TEST_CASE("gather: a gradient in 16 bits is summed in float and rounded once") {
  const Tensor<bfloat16> g =
      gather_backward(ones<bfloat16>({300}), Shape{2}, 0, zeros<index_t>({300}));
  CHECK(static_cast<float>(g(0)) == 300.0F);
}

}  // namespace
