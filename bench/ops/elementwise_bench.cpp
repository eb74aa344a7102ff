// The element-wise family, on tensors of 64 MiB: bound by memory, so held against the triad.

#include "bench/peers.hpp"
#include "bench/support.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/div.hpp"
#include "plume/ops/exp.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/log.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/quick_gelu.hpp"
#include "plume/ops/relu.hpp"
#include "plume/ops/scale.hpp"
#include "plume/ops/sigmoid.hpp"
#include "plume/ops/silu.hpp"
#include "plume/ops/sub.hpp"
#include "plume/ops/tanh.hpp"

namespace plume::bench {
namespace {

const Shape large{8192, 2048};
const double mib64 = bytes(large);

/// y[i] = f(x[i]); backward reads dy and one saved value, the result where `saves_result`.
template <class F, class D>
void unary(const char* op, const Input& x, F f, D definition, EigenPeer::Unary eigen_forward,
           EigenPeer::Binary eigen_backward, bool saves_result) {
  Bench(op, {x}, f, definition)
      .forward_peer("eigen", peer(eigen_forward))
      .backward_peer("eigen",
                     [=, y = std::make_shared<Tensor<float>>()](const Tensor<float>& dy,
                                                                const Tensor<float>& in) {
                       if (saves_result && !y->defined()) *y = f(in);
                       return std::vector{peer(eigen_backward)(dy, saves_result ? *y : in)};
                     })
      .forward(moves(2 * mib64))
      .backward(moves(3 * mib64));
}

/// y[i] = f(a[i], b[i]), both of the same shape. `streams`: arrays that backward reads or writes.
template <class F, class D>
void binary(const char* op, const Input& a, const Input& b, F f, D definition,
            EigenPeer::Binary eigen_forward, int streams) {
  Bench(op, {a, b}, f, definition)
      .forward_peer("eigen", peer(eigen_forward))
      .forward(moves(3 * mib64))
      .backward(moves(streams * mib64));
}

const bool registered = [] {
  const EigenPeer& e = eigen();
  const Input x = normal(large);
  const Input positive = uniform(large, 0.1, 10);
  unary("exp", x, PLUME_OP(exp), e.exp, e.exp_backward, true);
  unary("log", positive, PLUME_OP(log), e.log, e.log_backward, false);
  unary("tanh", x, PLUME_OP(tanh), e.tanh, e.tanh_backward, true);
  unary("sigmoid", x, PLUME_OP(sigmoid), e.sigmoid, e.sigmoid_backward, true);
  unary("relu", x, PLUME_OP(relu), e.relu, e.relu_backward, true);
  unary("gelu", x, PLUME_OP(gelu), e.gelu, e.gelu_backward, false);
  unary("quick_gelu", x, PLUME_OP(quick_gelu), e.quick_gelu, e.quick_gelu_backward, false);
  unary("silu", x, PLUME_OP(silu), e.silu, e.silu_backward, false);
  Bench(
      "scale", {x}, [](const auto& v) { return scale(v, 0.5); },
      [](const auto& v) { return definition::scale(v, 0.5); })
      .forward_peer("eigen", peer(e.scale_by_half))
      .forward(moves(2 * mib64))
      .backward(moves(2 * mib64));

  binary("add", x, x, PLUME_OP(add), e.add, 4);  // each leaf gets a copy of dy that is its own
  binary("sub", x, x, PLUME_OP(sub), e.sub, 4);
  binary("mul", x, x, PLUME_OP(mul), e.mul, 6);
  binary("div", x, positive, PLUME_OP(div), e.div, 6);

  // A bias: broadcasting forward, a sum over rows backward.
  Bench("add", {x.frozen(), normal({2048}).whole()}, PLUME_OP(add), "8192x2048+2048")
      .forward_peer("eigen",
                    [add_row = e.add_row](const Tensor<float>& a, const Tensor<float>& b) {
                      Tensor<float> y(a.shape());
                      add_row(a.data(), b.data(), y.data(), a.size(0), a.size(1));
                      return y;
                    })
      .forward(moves(2 * mib64))
      .backward(moves(mib64));
  return true;
}();

}  // namespace
}  // namespace plume::bench
