// Losses over a vocabulary of 50 272, a tenth of the targets ignored.

#include "bench/support.hpp"
#include "plume/ops/cross_entropy.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/linear_cross_entropy.hpp"

namespace plume::bench {
namespace {

constexpr index_t V = 50272;

Tensor<std::int64_t> make_targets(index_t N) {
  Tensor<std::int64_t> t(Shape{N});
  Generator generator(3);
  for (index_t n = 0; n < N; ++n) t(n) = n % 10 == 9 ? -100 : generator.below(V);
  return t;
}

const bool registered = [] {
  constexpr index_t N = 512, D = 768, fewer = 256;
  Bench(
      "cross_entropy", {normal({N, V})},
      [t = make_targets(N)](const auto& x) { return cross_entropy(x, t); },
      [t = make_targets(N)](const auto& x) { return definition::cross_entropy(x, t); })
      .check_items(0)
      .forward(moves(0.9 * bytes({N, V})))
      .backward(moves(1.9 * bytes({N, V})));

  // Its gradients come with the loss, so backward is the whole step. The definition's product is done by
  // matmul in double, tested against its own definition.
  const double product = 2.0 * 0.9 * static_cast<double>(fewer * D * V);
  Bench(
      "linear_cross_entropy", {normal({fewer, D}), normal({V, D}, 0.03).whole()},
      [t = make_targets(fewer)](const auto& x, const auto& w) {
        return linear_cross_entropy(x, w, t);
      },
      [t = make_targets(fewer)](const auto& x, const auto& w) {
        return definition::cross_entropy(linear(x, w), t);
      },
      cat(fewer, "x", V, "x", D))
      .check_items(0)
      .composed_peer("unfused",
                     [t = make_targets(fewer)](const auto& x, const auto& w) {
                       return cross_entropy(linear(x, w), t);
                     })
      .forward(computes(product))
      .backward_with_forward(computes(3 * product));
  return true;
}();

}  // namespace
}  // namespace plume::bench
