#include "plume/ops/rotary.hpp"

#include <cmath>

#include "tests/support/op_test.hpp"

using namespace plume;
using namespace plume::test;

namespace {

/// [B, T], sample b starting at 3 b.
Tensor<std::int64_t> positions(index_t B, index_t T) {
  Tensor<std::int64_t> p(Shape{B, T});
  for (index_t i = 0; i < p.numel(); ++i) p.data()[i] = i % T + 3 * (i / T);
  return p;
}

OP_TEST("rotary") {
  struct Case {
    Shape shape;
    index_t r;
  };
  for (const Case& c : {Case{{2, 3, 5, 8}, 8}, Case{{1, 2, 4, 80}, 80}, Case{{2, 2, 3, 10}, 4},
                        Case{{1, 1, 1, 2}, 2}, Case{{2, 2, 7, 5}, 2}, Case{{0, 2, 3, 4}, 4},
                        Case{{2, 2, 0, 4}, 2}, Case{{1, 2, 3, 33}, 32}}) {
    const Tensor<std::int64_t> p = positions(c.shape[0], c.shape[2]);
    const auto definition = [&](const auto& x) { return definition::rotary(x[0], p, c.r, 10000); };
    op.check(
        {random(c.shape)}, [&](const auto& x) { return rotary(x[0], rotary_table(p, c.r)); },
        definition);
    // [B, T, H, hd]
    op.check(
        {random(c.shape)}, [&](const auto& x) { return rotary(x[0], rotary_table(p, c.r), 2); },
        definition);
  }
  // Other axes, shared positions, another base.
  const Tensor<std::int64_t> shared({4}, {5, 0, -2, 1000});
  op.check(
      {random({4, 6})},
      [&](const auto& x) { return rotary(x[0], rotary_table(shared, 4, 500), 0); },
      [&](const auto& x) {
        return definition::rotary(x[0].reshape({1, 1, 4, 6}), shared.reshape({1, 4}), 4, 500)
            .reshape({4, 6});
      });
  op.check(
      {random({2, 4, 3, 6})},
      [&](const auto& x) { return rotary(x[0], rotary_table(shared, 6), 1); },
      [&](const auto& x) {
        return definition::rotary(x[0].transpose(1, 2), shared.unsqueeze(0).broadcast_to({2, 4}), 6)
            .transpose(1, 2);
      });
  const Tensor<std::int64_t> p = positions(2, 5);
  const auto f = [&](const auto& x) { return rotary(x[0], rotary_table(p, 4)); };
  const auto definition = [&](const auto& x) { return definition::rotary(x[0], p, 4); };
  op.check_forward_in<bfloat16>({random({2, 3, 5, 8})}, f, definition, forward_bfloat16);
  op.check_forward_in<half>({random({2, 3, 5, 8})}, f, definition, forward_half);

  const Tensor<double> x = ones<double>({2, 3, 5, 8});
  const RotaryTable table = rotary_table(p, 4);
  op.refuses("an odd number of channels", [&] { rotary_table(p, 3); });
  op.refuses("no channels", [&] { rotary_table(p, 0); });
  op.refuses("a base of 0", [&] { rotary_table(p, 4, 0.0); });
  op.refuses("positions of rank 3", [] { rotary_table(zeros<std::int64_t>({1, 2, 3}), 4); });
  op.refuses("no positions", [] { rotary_table({}, 4); });
  op.refuses("no tensor", [&] { rotary(Tensor<double>{}, table); });
  op.refuses("no table", [&] { rotary(x, RotaryTable{}); });
  op.refuses("time along the channels", [&] { rotary(x, table, -1); });
  op.refuses("an axis that is not there", [&] { rotary(x, table, 4); });
  op.refuses("fewer channels than turn", [&] { rotary(x, rotary_table(p, 10)); });
  op.refuses("another number of positions", [&] { rotary(x, rotary_table(positions(2, 6), 4)); });
  op.refuses("another batch", [&] { rotary(x, rotary_table(positions(3, 5), 4)); });
  op.refuses("batch and time the same axis", [&] {
    rotary(ones<double>({5, 8}), rotary_table(positions(5, 5), 4), 0);
  });
  op.refuses("gradient of another shape", [&] {
    rotary_backward(ones<double>({2, 3, 4, 8}), table);
  });
}

TEST_CASE("rotary: by hand") {
  // r = 2: theta = 1, so position 1 turns by one radian; the last channel passes.
  const Tensor<double> x({2, 3}, {1, 0, 7, 0, 1, 8});
  const Tensor<double> y = rotary(x, rotary_table(Tensor<std::int64_t>({2}, {1, 1}), 2));
  const double c = static_cast<double>(static_cast<float>(std::cos(1.0)));
  const double s = static_cast<double>(static_cast<float>(std::sin(1.0)));
  CHECK(same_bits(y, Tensor<double>({2, 3}, {c, s, 7, -s, c, 8})));
}

TEST_CASE("rotary: scores depend on distance alone") {
  const Tensor<double> q = random({1, 16}, 1);
  const Tensor<double> k = random({1, 16}, 2);
  const auto score = [&](std::int64_t m, std::int64_t n) {
    const Tensor<double> a = rotary(q, rotary_table(Tensor<std::int64_t>({1}, {m}), 16));
    const Tensor<double> b = rotary(k, rotary_table(Tensor<std::int64_t>({1}, {n}), 16));
    double sum = 0;
    for (index_t i = 0; i < 16; ++i) sum += a(0, i) * b(0, i);
    return sum;
  };
  CHECK(score(7, 3) == doctest::Approx(score(104, 100)).epsilon(1e-6));
  CHECK(score(7, 3) != doctest::Approx(score(8, 3)).epsilon(1e-2));
}

TEST_CASE("rotary: float32 angles differ from exact ones by the rounding of the angle") {
  const Tensor<std::int64_t> far({1}, {2047});
  const RotaryTable exact = rotary_table(far, 80);
  const RotaryTable rounded = rotary_table(far, 80, 10000, RotaryAngle::float32);
  double worst = 0;
  for (index_t i = 0; i < 40; ++i) {
    worst = std::max(worst, std::abs(static_cast<double>(exact.sin(0, i) - rounded.sin(0, i))));
  }
  CHECK(worst > 1e-6);
  CHECK(worst < 2047 * 2e-7);
}

}  // namespace
