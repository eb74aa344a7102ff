// layer_norm of 8192 tokens of width 2048.

#include "bench/peers.hpp"
#include "bench/support.hpp"
#include "plume/ops/layer_norm.hpp"

namespace plume::bench {
namespace {

const Shape large{8192, 2048};

const bool registered = [] {
  Bench(
      "layer_norm", {normal(large), normal({2048}).whole(), normal({2048}).whole()},
      [](const auto& x, const auto& w, const auto& b) { return layer_norm(x, w, b); },
      [](const auto& x, const auto& w, const auto& b) {
        return definition::layer_norm(x, w, b, 1e-5);
      })
      .forward_peer("eigen",
                    [](const Tensor<float>& x, const Tensor<float>& w, const Tensor<float>& b) {
                      Tensor<float> y(x.shape());
                      eigen().layer_norm(x.data(), w.data(), b.data(), y.data(), x.size(0),
                                         x.size(1));
                      return y;
                    })
      .backward_peer("eigen",
                     [](const Tensor<float>& dy, const Tensor<float>& x, const Tensor<float>& w,
                        const Tensor<float>&) {
                       Tensor<float> dx(x.shape()), dw(w.shape()), db(w.shape());
                       eigen().layer_norm_backward(dy.data(), x.data(), w.data(), dx.data(),
                                                   dw.data(), db.data(), x.size(0), x.size(1));
                       return std::vector{dx, dw, db};
                     })
      .forward(moves(2 * bytes(large)))
      .backward(moves(3 * bytes(large)));
  return true;
}();

}  // namespace
}  // namespace plume::bench
