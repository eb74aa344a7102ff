// Ops that move numbers without computing with them: views, whose forward costs a call, and copies.

#include "bench/support.hpp"
#include "plume/ops/broadcast_to.hpp"
#include "plume/ops/concat.hpp"
#include "plume/ops/embedding.hpp"
#include "plume/ops/gather.hpp"
#include "plume/ops/permute.hpp"
#include "plume/ops/reshape.hpp"
#include "plume/ops/slice.hpp"
#include "plume/ops/split.hpp"

namespace plume::bench {
namespace {

const Shape large{8192, 2048};
const double mib64 = bytes(large);

const bool registered = [] {
  Bench(
      "reshape", {normal(large)},
      [](const auto& x) {
        return reshape(x, {x.size(0), 32, 64});
      },
      [](const auto& x) {
        return definition::reshape(x, Shape{x.size(0), 32, 64});
      })
      .forward(views())
      .backward(moves(2 * mib64));
  Bench(
      "permute", {normal({16, 512, 32, 64})},
      [](const auto& x) {
        return permute(x, {0, 2, 1, 3});
      },
      [](const auto& x) {
        return definition::permute(x, {0, 2, 1, 3});
      })
      .check_items(1)
      .forward(views())
      .backward(moves(2 * mib64));
  Bench(
      "broadcast_to", {normal({2048}).whole()},
      [](const auto& x) { return broadcast_to(x, large); },
      [](const auto& x) { return definition::broadcast_to(x, large); }, "2048,to=8192x2048")
      .check_items(0)
      .forward(views())
      .backward(moves(mib64));
  Bench(
      "slice", {normal(large)}, [](const auto& x) { return slice(x, 1, 512, 1536); },
      [](const auto& x) { return definition::slice(x, 1, 512, 1536); }, "8192x2048,half")
      .forward(views())
      .backward(moves(1.5 * mib64));
  Bench(
      "split", {normal(large)}, [](const auto& x) { return split<2>(x, 1)[1]; },
      [](const auto& x) {
        return definition::split(x, {1024, 1024}, 1)[1];
      },
      "8192x2048,half")
      .forward(views())
      .backward(moves(1.5 * mib64));
  Bench(
      "concat", {normal({8192, 1024}), normal({8192, 1024})},
      [](const auto& a, const auto& b) {
        return concat({a, b}, 1);
      },
      [](const auto& a, const auto& b) {
        return definition::concat(a.unsqueeze(-1), b.unsqueeze(-1)).squeeze(-1);
      },
      "8192x1024,twice")
      .forward(moves(2 * mib64))
      .backward(moves(2 * mib64));

  constexpr index_t V = 50272, D = 2048, N = 8192;
  Tensor<std::int64_t> ids(Shape{N});
  Generator generator(3);
  for (index_t n = 0; n < N; ++n) ids(n) = generator.below(V);
  Bench(
      "embedding", {normal({V, D}).whole()},
      [ids](const auto& table) { return embedding(table, ids); },
      [ids](const auto& table) { return definition::embedding(table, ids); },
      cat(N, "x", D, ",of=", V))
      .check_items(0)
      .forward(moves(2 * mib64))
      .backward(moves(3 * mib64 + bytes({V, D})));  // the gradient is cleared first

  Tensor<std::int64_t> index(Shape{N, 512});
  for (index_t i = 0; i < index.numel(); ++i) index.data()[i] = generator.below(D);
  Bench(
      "gather", {normal(large)}, [index](const auto& x) { return gather(x, 1, index); },
      [index](const auto& x) { return definition::gather(x, 1, index); }, "8192x2048,512")
      .check_items(0)
      .forward(moves(bytes({N, 512}) * 4))  // an index is eight bytes
      .backward(moves(bytes({N, 512}) * 4 + mib64));
  return true;
}();

}  // namespace
}  // namespace plume::bench
