// The strided frame: collapsing, broadcasting, permuted and sliced operands, 64-bit positions.
#include "kernels/map.cuh"

#include "kernels/elementwise.cuh"
#include "tests/kernels/support.hpp"

using namespace plume::kernels;
using namespace plume::kernels::test;

namespace {

using Sizes = std::vector<index_t>;

index_t product(const Sizes& sizes) {
  index_t n = 1;
  for (const index_t s : sizes) n *= s;
  return n;
}
Sizes row_major(const Sizes& sizes) {
  Sizes strides(sizes.size(), 1);
  for (std::size_t i = sizes.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<index_t>(sizes[i], 1);
  return strides;
}
/// The offset of row-major element i of `sizes` under `strides`, the slow and obvious way.
index_t offset_of(index_t i, const Sizes& sizes, const Sizes& strides) {
  index_t offset = 0;
  for (std::size_t axis = sizes.size(); axis-- > 0;) {
    offset += i % sizes[axis] * strides[axis];
    i /= sizes[axis];
  }
  return offset;
}
index_t extent(const Sizes& sizes, const Sizes& strides) {
  index_t last = 0;
  for (std::size_t axis = 0; axis < sizes.size(); ++axis) last += (sizes[axis] - 1) * strides[axis];
  return product(sizes) == 0 ? 0 : last + 1;
}

struct Case {
  Sizes sizes, a, b, out;
};

template <class T>
void check_binary(const Case& c) {
  const auto a = random_values<T>(extent(c.sizes, c.a), 1);
  const auto b = random_values<T>(extent(c.sizes, c.b), 2);
  DeviceArray<T> device_a(a), device_b(b);
  const auto out = in_every_order([&] {
    DeviceArray<T> result(static_cast<std::size_t>(extent(c.sizes, c.out)));
    binary_strided("sub", binary::Sub{}, device_a.data(), device_b.data(), result.data(),
                   static_cast<int>(c.sizes.size()), c.sizes.data(), c.a.data(), c.b.data(),
                   c.out.data(), nullptr);
    return result.values();
  });
  double worst_ratio = 0;
  for (index_t i = 0; i < product(c.sizes); ++i) {
    const auto at = [&](const std::vector<T>& v, const Sizes& strides) {
      return wide(v[static_cast<std::size_t>(offset_of(i, c.sizes, strides))]);
    };
    const double want = at(a, c.a) - at(b, c.b);
    const double error = std::fabs(at(out, c.out) - want);
    const double ratio = error == 0 ? 0 : error / allowed<T>(want, 0, 1);
    if (!(ratio <= worst_ratio)) worst_ratio = std::isnan(ratio) ? 1e300 : ratio;
  }
  CHECK(worst_ratio <= 1);
}

}  // namespace

TEST_CASE("binary kernels broadcast, permute and slice") {
  const std::vector<Case> cases = {
      {{}, {}, {}, {}},                              // a scalar
      {{0, 5}, {5, 1}, {5, 1}, {5, 1}},              // empty
      {{1, 1, 1}, {7, 7, 7}, {0, 0, 0}, {1, 1, 1}},  // sizes of 1: strides mean nothing
      {{4099}, {1}, {1}, {1}},                       // contiguous
      {{17, 33}, {33, 1}, {0, 1}, {33, 1}},          // bias
      {{17, 64}, {64, 1}, {0, 1}, {64, 1}},          // bias, vectorised
      {{17, 64}, {64, 1}, {1, 0}, {64, 1}},          // one number per row, vectorised
      {{257, 32}, {32, 1}, {0, 0}, {32, 1}},         // one number for all
      {{64, 48}, {1, 64}, {48, 1}, {48, 1}},         // transposed
      {{3, 5, 7, 8}, {280, 56, 8, 1}, {0, 8, 0, 1}, {280, 56, 8, 1}},   // (1, 5, 1, 8)
      {{3, 5, 7, 9}, {9, 27, 135, 1}, {63, 0, 9, 1}, {315, 63, 9, 1}},  // permuted and broadcast
      {{9, 16}, {40, 1}, {16, 1}, {24, 1}},                             // columns of wider matrices
      {{9, 16}, {40, 2}, {16, 1}, {16, 1}},                             // every second column
      {{2, 2, 2, 2, 2, 2, 2, 3},
       {1, 2, 4, 8, 16, 32, 64, 128},
       {192, 96, 48, 24, 12, 6, 3, 1},
       {192, 96, 48, 24, 12, 6, 3, 1}},  // rank 8, nothing merges
  };
  for (const Case& c : cases) {
    CAPTURE(c.sizes.size());
    check_binary<float>(c);
    check_binary<bfloat16>(c);
  }
}

TEST_CASE("strided copy of 1, 2, 4 and 8 byte elements") {
  const auto check = [](auto zero) {
    using T = decltype(zero);
    const Sizes sizes = {5, 33, 16};
    const Sizes permuted = {1, 5, 165};  // x is stored as (16, 33, 5)
    std::vector<T> x(5 * 33 * 16);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<T>(i * 37);
    DeviceArray<T> device_x(x);
    const auto y = in_every_order([&] {
      DeviceArray<T> out(x.size());
      strided_copy(device_x.data(), out.data(), 3, sizes.data(), permuted.data(),
                   row_major(sizes).data(), nullptr);
      return out.values();
    });
    bool equal = true;
    for (std::size_t i = 0; i < y.size(); ++i) {
      equal =
          equal &&
          y[i] == x[static_cast<std::size_t>(offset_of(static_cast<index_t>(i), sizes, permuted))];
    }
    CHECK(equal);
  };
  check(std::uint8_t{});
  check(std::uint16_t{});
  check(std::uint32_t{});
  check(std::uint64_t{});
}

TEST_CASE("a negative stride walks backwards") {
  DeviceArray<int> x(std::vector<int>{1, 2, 3, 4, 5, 6, 7, 8}), y(8);
  const Sizes sizes = {8}, back = {-1}, forth = {1};
  strided_copy(x.data() + 7, y.data(), 1, sizes.data(), back.data(), forth.data(), nullptr);
  CHECK(y.values() == std::vector<int>{8, 7, 6, 5, 4, 3, 2, 1});
}

TEST_CASE("the divisor divides") {
  std::uint64_t state = 5;
  std::vector<index_t> divisors = {1, 2, 3, 5, 7, 641, 65535, 65536, 65537, (index_t{1} << 31) - 1};
  for (int i = 0; i < 2000; ++i)
    divisors.push_back(1 + static_cast<index_t>(plume::simt::detail::next_random(state) >> 33));
  bool right = true;
  for (const index_t d : divisors) {
    const Divisor divisor(d);
    for (int i = 0; i < 50; ++i) {
      const auto n = static_cast<std::uint32_t>(plume::simt::detail::next_random(state) >> 33);
      const auto near = static_cast<std::uint32_t>(n / d * d);  // a multiple, and just below one
      right = right && divisor.quotient(n) == n / d && divisor.quotient(near) == near / d;
      if (near > 0) right = right && divisor.quotient(near - 1) == (near - 1) / d;
    }
  }
  CHECK(right);
}

TEST_CASE("positions past 2^31 and merged dimensions") {
  const Sizes sizes = {70000, 300, 200};
  const Sizes dense = row_major(sizes);
  const Sizes padded = {300 * 256, 256, 1};
  const Layout<1> merged(3, sizes.data(), {dense.data()});
  CHECK(merged.rank == 1);
  CHECK(merged.contiguous());
  const Layout<2> kept(3, sizes.data(), {dense.data(), padded.data()});
  CHECK(kept.rank == 2);  // the rows of 200 in 256, and all of them
  CHECK(kept.count == 4200000000);
  CHECK(kept.vectorisable(0, 8));
  CHECK(kept.vectorisable(1, 8));
  CHECK(!kept.vectorisable(1, 16));  // 200 is no multiple
  const Sizes odd = {300 * 201, 201, 1};
  CHECK(!Layout<2>(3, sizes.data(), {dense.data(), odd.data()})
             .vectorisable(1, 8));  // rows start unaligned
  for (const index_t i :
       {index_t{0}, index_t{199}, index_t{200}, index_t{2147483648}, index_t{4199999999}}) {
    index_t at[2];
    kept.offsets(i, 1, at);
    CHECK(at[0] == i);
    CHECK(at[1] == offset_of(i, sizes, padded));
  }
}
