#pragma once
// hold_frozen_in_bf16: the frozen matrices of a model in 16 bits instead of 32. Activations, and everything that
// trains, stay float; a product widens the weights as it reads them and sums in float.
//
//   y = x w^T + b    dx = dy w      x [.., K], w [N, K] in bfloat16
//
// The results are those of a model whose frozen matrices were rounded to bfloat16, up to the order of sums. On
// the CPU; a device product takes operands of one type.

#include "plume/nn/linear.hpp"

namespace plume::nn {

class Bf16Matrix final : public HeldMatrix<float> {
 public:
  /// Without values: a form for Parameter::hold.
  Bf16Matrix() = default;
  explicit Bf16Matrix(Tensor<bfloat16> values) : w_(std::move(values)) {}

  [[nodiscard]] DType dtype() const noexcept override { return DType::bf16; }
  [[nodiscard]] std::size_t value_bytes() const noexcept override { return sizeof(bfloat16); }
  [[nodiscard]] bool has_values() const noexcept override { return w_.defined(); }
  [[nodiscard]] std::shared_ptr<const HeldMatrix> of(const Tensor<float>& value) const override {
    const MemoryScope scope(MemoryTag::parameters);
    return std::make_shared<Bf16Matrix>(value.contiguous().cast<bfloat16>());
  }
  [[nodiscard]] Tensor<float> value() const override { return w_.cast<float>(); }

  [[nodiscard]] Var<float> linear(const Var<float>& x, const Var<float>& b) const override {
    if (!w_.defined())
      fail<ValueError>("linear", "values (initialize the model, or load weights)", "a shape alone");
    const index_t N = w_.size(0), K = w_.size(1);
    if (x.value().rank() < 1 || x.value().size(-1) != K)
      fail<ShapeError>("linear", cat("x of shape [.., ", K, "] for w of shape ", w_.shape()),
                       x.value().shape());
    if (b.defined() && !(b.value().shape() == Shape{N}))
      fail<ShapeError>("linear", cat("bias of shape ", Shape{N}), b.value().shape());
    Dims shape = x.value().shape();
    shape[shape.rank() - 1] = N;
    const plume::detail::ProductOperands<float> operands("linear");
    Tensor<float> y =
        b.defined() ? b.value().broadcast_to(Shape(shape)).clone() : Tensor<float>(Shape(shape));
    multiply(operands.round(x.value()), {w_.data(), 1, K}, y, b.defined());
    return record(
        "linear", operands.result(y), inputs(x, b),
        [operands, w = w_](const Tensor<float>& dy, GradSink<float> dx, GradSink<float> db) {
          if (dx) {
            Dims sizes = dy.shape();
            sizes[sizes.rank() - 1] = w.size(1);
            Tensor<float> g{Shape(sizes)};
            multiply(operands.round(dy), {w.data(), w.size(1), 1}, g, false);
            dx += g;
          }
          if (db) db += linear_backward_b(dy);
        });
  }

 private:
  /// y = x B, or y += x B, over the last axis of both.
  static void multiply(const Tensor<float>& x, kernel::Matrix<const bfloat16> B, Tensor<float>& y,
                       bool add) {
    if (!x.device().is_cpu())
      fail<DeviceError>("linear", "x on the CPU, where bfloat16 weights are", x.device());
    const index_t in = x.size(-1), out = y.size(-1);
    if (y.numel() == 0) return;
    const Tensor<float> rows = x.contiguous();
    kernel::gemm<float, float, bfloat16>(y.numel() / out, out, in, 1, {rows.data(), in, 1}, B,
                                         add ? 1 : 0, {y.data(), out, 1});
  }

  Tensor<bfloat16> w_;
};

/// Holds every frozen matrix of `module` that only products use as bfloat16; embedding tables, norms and biases
/// stay. Before weights are loaded it keeps their float form from ever being there. Returns how many it holds.
inline index_t hold_frozen_in_bf16(Module& module) {
  const auto form = std::make_shared<Bf16Matrix>();
  index_t count = 0;
  for_each_parameter(module, [&](const std::string&, ParameterBase& p) {
    if (p.trainable() || p.dtype() != DType::f32) return;
    auto& parameter = static_cast<Parameter<float>&>(p);
    if (!parameter.is_only_in_products()) return;
    if (parameter.held() == nullptr) parameter.hold(form);
    ++count;
  });
  return count;
}

}  // namespace plume::nn
