// Reductions of a 64 MiB tensor: over everything, along rows, along columns. Forward only reads, backward
// only writes.

#include "bench/peers.hpp"
#include "bench/support.hpp"
#include "plume/ops/max.hpp"
#include "plume/ops/mean.hpp"
#include "plume/ops/sum.hpp"

namespace plume::bench {
namespace {

const Shape large{8192, 2048};
const double mib64 = bytes(large);

#define PLUME_OVER(op, axes)                               \
  [](const auto& x) { return ::plume::op(x, Dims axes); }, \
      [](const auto& x) { return ::plume::definition::op(x, Dims axes); }

const bool registered = [] {
  const EigenPeer& e = eigen();
  const auto whole = [](EigenPeer::Unary f) {
    return [f](const Tensor<float>& x) {
      Tensor<float> y{Shape{}};
      f(x.data(), y.data(), x.numel());
      return y;
    };
  };
  Bench("sum", {normal(large)}, PLUME_OVER(sum, {}), "8192x2048,all")
      .check_items(0)
      .forward_peer("eigen", whole(e.sum_all))
      .forward(moves(mib64))
      .backward(moves(mib64));
  Bench("sum", {normal(large)}, PLUME_OVER(sum, {-1}), "8192x2048,rows")
      .forward_peer("eigen", peer(e.sum_rows, {8192}))
      .forward(moves(mib64))
      .backward(moves(mib64));
  Bench("sum", {normal(large)}, PLUME_OVER(sum, {0}), "8192x2048,columns")
      .check_items(0)
      .forward_peer("eigen", peer(e.sum_columns, {2048}))
      .forward(moves(mib64))
      .backward(moves(mib64));
  Bench("mean", {normal(large)}, PLUME_OVER(mean, {}), "8192x2048,all")
      .check_items(0)
      .forward_peer("eigen", whole(e.mean_all))
      .forward(moves(mib64))
      .backward(moves(mib64));
  Bench("max", {normal(large)}, PLUME_OVER(max, {-1}), "8192x2048,rows")
      .forward_peer("eigen", peer(e.max_rows, {8192}))
      .forward(moves(mib64))
      .backward(moves(2 * mib64));
  return true;
}();

}  // namespace
}  // namespace plume::bench
