// softmax and log_softmax along rows, rms_norm: bound by memory.

#include "bench/peers.hpp"
#include "bench/support.hpp"
#include "plume/ops/log_softmax.hpp"
#include "plume/ops/rms_norm.hpp"
#include "plume/ops/softmax.hpp"

namespace plume::bench {
namespace {

const Shape large{8192, 2048};

const bool registered = [] {
  const double mib64 = bytes(large);
  Bench("softmax", {normal(large)}, PLUME_OP(softmax))
      .forward_peer("eigen", peer(eigen().softmax))
      .backward_peer(
          "eigen",
          [y = std::make_shared<Tensor<float>>()](const Tensor<float>& dy, const Tensor<float>& x) {
            if (!y->defined()) *y = softmax(x);
            Tensor<float> dx(x.shape());
            eigen().softmax_backward(dy.data(), y->data(), dx.data(), x.size(0), x.size(1));
            return std::vector{dx};
          })
      .forward(moves(2 * mib64))
      .backward(moves(3 * mib64));
  Bench("log_softmax", {normal(large)}, PLUME_OP(log_softmax))
      .forward_peer("eigen", peer(eigen().log_softmax))
      .forward(moves(2 * mib64))
      .backward(moves(3 * mib64));
  Bench(
      "rms_norm", {normal(large), normal({2048}).whole()},
      [](const auto& x, const auto& w) { return rms_norm(x, w); },
      [](const auto& x, const auto& w) { return definition::rms_norm(x, w, 1e-6); })
      .forward_peer("eigen",
                    [](const Tensor<float>& x, const Tensor<float>& w) {
                      Tensor<float> y(x.shape());
                      eigen().rms_norm(x.data(), w.data(), y.data(), x.size(0), x.size(1));
                      return y;
                    })
      .forward(moves(2 * mib64))
      .backward(moves(3 * mib64));
  return true;
}();

}  // namespace
}  // namespace plume::bench
