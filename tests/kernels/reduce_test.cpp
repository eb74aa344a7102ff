#include "kernels/reduce.cuh"

#include "tests/kernels/support.hpp"

using namespace plume::kernels;
using namespace plume::kernels::test;

namespace {

template <class T>
void check_sum_rows(index_t rows, index_t columns) {
  CAPTURE(rows);
  CAPTURE(columns);
  using A = accumulate_t<T>;
  const auto x = random_values<T>(rows * columns, 3);
  DeviceArray<T> device_x(x);
  const auto sums = in_every_order([&] {
    DeviceArray<T> y(static_cast<std::size_t>(columns));
    DeviceArray<A> workspace(static_cast<std::size_t>(sum_rows_workspace(rows, columns)));
    sum_rows(device_x.data(), y.data(), rows, columns, workspace.data(), nullptr);
    return y.values();
  });
  const auto want = [&](std::size_t column) {
    double sum = 0;
    for (index_t row = 0; row < rows; ++row)
      sum += wide(x[static_cast<std::size_t>(row * columns) + column]);
    return sum;
  };
  CHECK(worst(sums, want, static_cast<double>(rows), 4) <= 1);
}

}  // namespace

TEST_CASE("sum_rows against double") {
  for (const index_t columns : {0, 1, 31, 32, 33, 257}) {
    for (const index_t rows : {0, 1, 7, 8, 9, 255, 256, 257, 1023, 1025}) {
      check_sum_rows<float>(rows, columns);
      check_sum_rows<bfloat16>(rows, columns);
    }
  }
  check_sum_rows<half>(4099, 33);
  check_sum_rows<double>(4099, 33);
  check_sum_rows<float>(20000, 5);  // more rows than chunks of the least size
}
