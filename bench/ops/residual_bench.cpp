// What stands between the layers: dropout, the gated residual; and rotary embedding. Bound by memory.

#include "bench/support.hpp"
#include "plume/ops/dropout.hpp"
#include "plume/ops/gated_residual.hpp"
#include "plume/ops/rotary.hpp"

namespace plume::bench {
namespace {

const Shape large{8192, 2048};

const bool registered = [] {
  const double mib64 = bytes(large);
  Bench(
      "dropout", {normal(large)},
      [](const auto& x) {
        Generator generator(5);
        return dropout(x, 0.1, true, generator);
      },
      [](const auto& x) {
        return definition::dropout(x, DropoutMask{5, 0, 0.1});
      })
      .check_items(0)
      .forward(moves(2 * mib64))
      .backward(moves(2 * mib64));
  Bench("gated_residual", {normal(large), normal(large), uniform({1}, 0.4, 0.6).whole()},
        PLUME_OP(gated_residual))
      .forward(moves(3 * mib64))
      .backward(moves(5 * mib64));  // dx, df; the sum for the gate reads f

  constexpr index_t B = 16, H = 32, T = 512, hd = 64;
  Tensor<std::int64_t> positions(Shape{T});
  for (index_t t = 0; t < T; ++t) positions(t) = t;
  Bench(
      "rotary", {normal({B, H, T, hd})},
      [table = rotary_table(positions, hd)](const auto& x) { return rotary(x, table); },
      [positions](const auto& x) {
        return definition::rotary(x, positions.broadcast_to({x.size(0), T}), hd);
      })
      .check_items(1)
      .forward(moves(2 * mib64))
      .backward(moves(2 * mib64));
  return true;
}();

}  // namespace
}  // namespace plume::bench
