#include "plume/core/tensor.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "tests/support/compare.hpp"

using namespace plume;

namespace {

Tensor<float> iota(const Shape& shape) { return arange<float>(shape.numel()).reshape(shape); }

TEST_CASE("tensor: a new one is compact and row-major") {
  const Tensor<float> x({2, 3, 4});
  CHECK(x.shape() == Shape{2, 3, 4});
  CHECK(x.strides() == Strides{12, 4, 1});
  CHECK(x.numel() == 24);
  CHECK(x.is_contiguous());
  CHECK(x.device() == cpu);
  CHECK(reinterpret_cast<std::uintptr_t>(x.data()) % 64 == 0);
}

TEST_CASE("tensor: copies share numbers, clones do not") {
  Tensor<float> a({2}, {1, 2});
  Tensor<float> b = a;
  const Tensor<float> c = a.clone();
  b(0) = 7;
  CHECK(a(0) == 7);
  CHECK(c(0) == 1);
  CHECK(a.shares_storage(b));
  CHECK_FALSE(a.unique());
  CHECK(c.unique());
}

TEST_CASE("tensor: views see the same storage") {
  Tensor<float> x = iota({3, 4});
  CHECK(x.transpose(0, 1)(2, 1) == x(1, 2));
  CHECK(x.permute({1, 0}).shape() == Shape{4, 3});
  CHECK(x.slice(1, 1, 4, 2)(2, 1) == x(2, 3));
  CHECK(x.slice(1, 1, 4, 2).shape() == Shape{3, 2});
  CHECK(x.slice(0, 3, 3).shape() == Shape{0, 4});
  CHECK(x.select(0, 2)(1) == x(2, 1));
  CHECK(x.unsqueeze(-1).shape() == Shape{3, 4, 1});
  CHECK(x.unsqueeze(0).squeeze(0).shape() == x.shape());
  const Tensor<float> wide = x.slice(0, 1, 2).broadcast_to({5, 3, 4});
  CHECK(wide(4, 2, 3) == x(1, 3));
  CHECK(wide.strides() == Strides{0, 0, 1});
  x.slice(0, 0, 1).fill(9);
  CHECK(x(0, 3) == 9);
  CHECK(x(1, 0) == 4);
}

TEST_CASE("tensor: reshape is a view where strides allow, else a copy") {
  const Tensor<float> x = iota({2, 3, 4});
  CHECK(x.reshape({6, 4}).shares_storage(x));
  CHECK(x.reshape({-1, 2}).shape() == Shape{12, 2});
  // The first two axes of a slice still follow each other; the last two do not.
  const Tensor<float> cut = x.slice(2, 0, 2);
  CHECK(cut.reshape({6, 2}).shares_storage(x));
  CHECK(cut.reshape({6, 2})(5, 1) == x(1, 2, 1));
  CHECK_FALSE(cut.reshape({2, 6}).shares_storage(x));
  CHECK(cut.reshape({2, 6})(1, 5) == x(1, 2, 1));
  const Tensor<float> turned = x.transpose(0, 2).reshape({4, 6});
  CHECK(turned(1, 2) == x(0, 1, 1));
  CHECK(iota({1, 6}).transpose(0, 1).reshape({2, 3})(1, 2) == 5);
  CHECK(zeros<float>({0, 3}).reshape({3, 0, 7}).numel() == 0);
}

TEST_CASE("tensor: every wrong view is refused by name") {
  const Tensor<float> x = iota({2, 3});
  CHECK_THROWS_WITH_AS(x.permute({0, 0}), "[permute] expected a permutation of 2 axes, got [0, 0]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(x.permute({0}), "[permute] expected a permutation of 2 axes, got [0]",
                       ShapeError);
  CHECK_THROWS_WITH_AS(x.transpose(0, 2), "[transpose] expected an axis in [-2, 1], got 2",
                       ShapeError);
  CHECK_THROWS_AS(x.slice(1, 2, 1), ShapeError);
  CHECK_THROWS_AS(x.slice(1, 0, 4), ShapeError);
  CHECK_THROWS_AS(x.slice(1, -1, 2), ShapeError);
  CHECK_THROWS_AS(x.slice(1, 0, 2, 0), ShapeError);
  CHECK_THROWS_WITH_AS(x.select(1, 3), "[select] expected an index in [0, 3), got 3", ShapeError);
  CHECK_THROWS_AS(x.squeeze(0), ShapeError);
  CHECK_THROWS_WITH_AS(x.reshape({4}), "[reshape] expected a shape of 6 elements, got [4]",
                       ShapeError);
  CHECK_THROWS_AS(x.reshape({-1, 4}), ShapeError);
  CHECK_THROWS_AS(x.reshape({-1, -1}), ShapeError);
  CHECK_THROWS_AS(x.reshape({-2, -3}), ShapeError);
  CHECK_THROWS_AS(x.broadcast_to({2, 4}), ShapeError);
  CHECK_THROWS_AS(x.broadcast_to({3}), ShapeError);
  CHECK_THROWS_WITH_AS(x(2, 0), "[index] expected indices inside shape [2, 3], got [2, 0]",
                       ShapeError);
  CHECK_THROWS_AS(x(0), ShapeError);
  CHECK_THROWS_WITH_AS(static_cast<void>(x.item()),
                       "[item] expected a tensor of one element, got [2, 3]", ShapeError);
  CHECK_THROWS_AS(Tensor<float>({2}, {1, 2, 3}), ShapeError);
}

TEST_CASE("tensor: sizes are checked before anything is allocated") {
  CHECK_THROWS_AS(Shape({-1}), ShapeError);
  CHECK_THROWS_AS(Shape({index_t{1} << 32, index_t{1} << 32}), ShapeError);
  CHECK_THROWS_AS(Shape({0, index_t{1} << 32, index_t{1} << 32}),
                  ShapeError);                                           // strides would wrap
  CHECK_THROWS_AS(Tensor<double>(Shape{index_t{1} << 61}), ShapeError);  // bytes would wrap
  CHECK_THROWS_AS(Tensor<double>(Shape{index_t{1} << 58}), std::bad_alloc);
  CHECK_THROWS_AS(Dims({1, 1, 1, 1, 1, 1, 1, 1, 1}), ShapeError);
  CHECK_THROWS_AS(checked_mul(index_t{1} << 62, 2), ShapeError);
  CHECK(checked_mul((index_t{1} << 62), 1) == index_t{1} << 62);
}

TEST_CASE("tensor: cast is explicit and rounds to nearest even") {
  const Tensor<float> x({5}, {1.0F, -2.75F, 0.0F, 3.0e38F, 1.00390625F});
  CHECK(x.cast<std::int32_t>()(1) == -2);
  CHECK(x.cast<bool>()(0));
  CHECK_FALSE(x.cast<bool>()(2));
  CHECK(x.cast<double>()(1) == -2.75);
  CHECK(static_cast<float>(x.cast<bfloat16>()(4)) == 1.0F);  // a tie goes to the even neighbour
  CHECK(std::isinf(static_cast<float>(x.cast<half>()(3))));
  CHECK(x.cast<float>().shares_storage(x));
  const Tensor<bool> flags({2}, {true, false});
  CHECK(flags.cast<float>()(0) == 1.0F);
  CHECK(x.transpose(0, 0).slice(0, 0, 5, 2).cast<double>()(2) == doctest::Approx(1.00390625));
}

TEST_CASE("tensor: half and bfloat16 round trip, every bit pattern") {
  int wrong = 0;
  for (std::uint32_t bits = 0; bits < 65536; ++bits) {
    half h;
    h.bits = static_cast<std::uint16_t>(bits);
    const float f = h;
    wrong += std::isnan(f) ? !std::isnan(static_cast<float>(half(f))) : half(f).bits != h.bits;
    bfloat16 b;
    b.bits = static_cast<std::uint16_t>(bits);
    const float g = b;
    wrong +=
        std::isnan(g) ? !std::isnan(static_cast<float>(bfloat16(g))) : bfloat16(g).bits != b.bits;
  }
  CHECK(wrong == 0);
  CHECK(half(65519.0F).bits == 0x7bff);
  CHECK(half(65520.0F).bits == 0x7c00);
  CHECK(half(5.9604645e-8F).bits == 1);  // the smallest subnormal
  CHECK(half(2.9802322e-8F).bits == 0);  // half of it: a tie to even
  CHECK(half(2.9802326e-8F).bits == 1);
  CHECK(half(-0.0F).bits == 0x8000);
  CHECK(half(2049.0F).bits == half(2048.0F).bits);
  CHECK(half(2051.0F).bits == half(2052.0F).bits);
}

TEST_CASE("tensor: cast to integers keeps to their range") {
  const auto check = []<class U, class T>(U, T) {
    const double least = static_cast<double>(std::numeric_limits<U>::min());
    const double most = static_cast<double>(std::numeric_limits<U>::max());
    const Tensor<T> x =
        Tensor<double>({10}, {HUGE_VAL, -HUGE_VAL, std::nan(""), 4 * least - 4, 4 * most,
                              least - 0.5, most + 1, 2.75, least == 0 ? -0.75 : -2.75, least})
            .template cast<T>();
    const Tensor<U> y = x.template cast<U>();
    const U low = std::numeric_limits<U>::min(), high = std::numeric_limits<U>::max();
    const Tensor<U> expected(
        {10}, {high, low, 0, low, high, low, high, 2, static_cast<U>(least == 0 ? 0 : -2), low});
    for (index_t i = 0; i < 10; ++i) {
      INFO(dtype_name<T>(), " to ", dtype_name<U>(), ", element ", i);
      CHECK(y(i) == expected(i));
    }
  };
  check(std::int32_t{}, float{});
  check(std::int32_t{}, double{});
  check(std::int64_t{}, float{});
  check(std::int64_t{}, double{});
  check(std::uint8_t{}, float{});
  check(std::uint8_t{}, double{});
  check(std::uint8_t{}, half{});
  check(std::int32_t{}, bfloat16{});
}

TEST_CASE("tensor: copy_from, add and fill write through views") {
  Tensor<float> x = zeros<float>({3, 4});
  Tensor<float> column = x.slice(1, 1, 2);
  column.copy_from(Tensor<float>({3, 1}, {1, 2, 3}));
  column.add(Tensor<float>({3, 1}, {1, 1, 1}), 10);
  CHECK(x(2, 1) == 13);
  CHECK(x(2, 2) == 0);
  CHECK_THROWS_AS(x.copy_from(zeros<float>({4, 3})), ShapeError);
  CHECK_THROWS_AS(x.add(zeros<float>({4, 3})), ShapeError);
}

TEST_CASE("tensor: views of any rank and permutation copy correctly") {
  const Tensor<float> x = iota({2, 3, 4, 5});
  const Tensor<float> y = x.permute({3, 1, 0, 2}).slice(0, 1, 5, 2).contiguous();
  CHECK(y.shape() == Shape{2, 3, 2, 4});
  int wrong = 0;
  for (int a = 0; a < 2; ++a) {
    for (int b = 0; b < 3; ++b) {
      for (int c = 0; c < 2; ++c) {
        for (int d = 0; d < 4; ++d) wrong += y(a, b, c, d) != x(c, b, d, 1 + 2 * a);
      }
    }
  }
  CHECK(wrong == 0);
}

TEST_CASE("tensor: memory of somebody else is viewed, not copied") {
  auto owner = std::make_shared<std::array<float, 6>>(std::array<float, 6>{0, 1, 2, 3, 4, 5});
  float* data = owner->data();
  std::weak_ptr<void> watch = owner;
  {
    const Tensor<float> x(data, {2, 3}, std::move(owner));
    CHECK(x(1, 2) == 5);
    CHECK_FALSE(watch.expired());
  }
  CHECK(watch.expired());
}

TEST_CASE("device: without a GPU build every use of one says so") {
  if (cuda_is_available()) return;
  CHECK_THROWS_AS(Tensor<float>({2}, cuda()), DeviceError);
  CHECK_THROWS_AS(zeros<float>({2}).to(cuda()), DeviceError);
  CHECK(parse_device("cpu") == cpu);
  CHECK(parse_device("cuda:3") == cuda(3));
  CHECK_THROWS_WITH_AS(parse_device("gpu"), "[device] expected cpu, cuda or cuda:N, got gpu",
                       ValueError);
  CHECK_THROWS_AS(parse_device("cuda:"), ValueError);
  CHECK_THROWS_AS(parse_device("cuda:1x"), ValueError);
}

TEST_CASE("comparators: NaN never passes, shapes must agree") {
  using test::compare;
  const test::Tolerance wide{1e9, 1e9};
  const Tensor<float> one({2}, {1, 1});
  const Tensor<float> nan({2}, {1, std::nanf("")});
  CHECK(compare(one, one, wide).ok);
  CHECK_FALSE(compare(nan, one, wide).ok);
  CHECK_FALSE(compare(one, nan, wide).ok);
  CHECK(compare(nan, nan, wide).ok);  // NaN where NaN is expected
  CHECK_FALSE(compare(Tensor<float>({1}, {HUGE_VALF}), Tensor<float>({1}, {1.0F}), wide).ok);
  CHECK_FALSE(compare(one, ones<float>({2, 1}), wide).ok);
  CHECK_FALSE(compare(Tensor<float>({1}, {1.1F}), Tensor<float>({1}, {1.0F}), {0.01, 0.01}).ok);
}

}  // namespace
