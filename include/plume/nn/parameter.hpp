#pragma once
// Parameter<T>: a named tensor of a module that can be trained, frozen, loaded and saved.
//
// A parameter starts as a shape and a rule for its first values. It holds no memory until it is given
// values (initialize, a weight file), so a model of any size can be built, counted and printed for free.

#include <cmath>
#include <memory>
#include <string>

#include "plume/autograd/var.hpp"
#include "plume/core/random.hpp"

namespace plume::nn {

class Module;

/// How a parameter is filled when it is not loaded.
struct Init {
  enum class Kind { zeros, ones, normal, uniform } kind = Kind::zeros;
  double scale = 0;  ///< normal: standard deviation; uniform: values in [-scale, scale)

  static Init zeros() { return {Kind::zeros, 0}; }
  static Init ones() { return {Kind::ones, 0}; }
  static Init normal(double deviation) { return {Kind::normal, deviation}; }
  /// PyTorch's default for Linear: uniform in +-1 / sqrt(inputs).
  static Init fan_in(index_t inputs) {
    return {Kind::uniform, inputs == 0 ? 0 : 1 / std::sqrt(static_cast<double>(inputs))};
  }
};

/// What holds for a parameter of any scalar type.
class ParameterBase {
 public:
  ParameterBase(Module& owner, std::string name, const Shape& shape, Init init);  // module.hpp
  ParameterBase(const ParameterBase&) = delete;
  ParameterBase& operator=(const ParameterBase&) = delete;
  virtual ~ParameterBase() = default;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  [[nodiscard]] Init init() const noexcept { return init_; }
  [[nodiscard]] bool trainable() const noexcept { return trainable_; }
  [[nodiscard]] virtual DType dtype() const noexcept = 0;
  [[nodiscard]] virtual bool has_values() const noexcept = 0;
  [[nodiscard]] virtual std::size_t bytes() const noexcept = 0;  ///< of the values, there or not
  /// The scalar type the values lie in memory as: dtype() but for a HeldMatrix.
  [[nodiscard]] virtual DType stored_dtype() const noexcept { return dtype(); }
  /// First values from `init`, drawn from stream `stream` of `seed`.
  virtual void initialize(std::uint64_t seed, std::uint64_t stream) = 0;
  /// A frozen parameter has no gradient; values stay. Felt everywhere: see nn/freeze.hpp.
  virtual void set_trainable(bool trainable) = 0;

 protected:
  bool trainable_ = true;

 private:
  std::string name_;
  Shape shape_;
  Init init_;
};

/// The values of a frozen matrix in a smaller form than Tensor<T>, of which there is one: nn/hold_frozen.hpp.
template <Floating T>
class HeldMatrix {
 public:
  virtual ~HeldMatrix() = default;
  [[nodiscard]] virtual DType dtype() const noexcept = 0;
  [[nodiscard]] virtual std::size_t value_bytes() const noexcept = 0;  ///< of one element
  [[nodiscard]] virtual bool has_values() const noexcept = 0;
  /// Other values in the same form.
  [[nodiscard]] virtual std::shared_ptr<const HeldMatrix> of(const Tensor<T>& value) const = 0;
  [[nodiscard]] virtual Tensor<T> value() const = 0;
  /// x w^T + b; b may be undefined.
  [[nodiscard]] virtual Var<T> linear(const Var<T>& x, const Var<T>& b) const = 0;
};

template <Floating T>
class Parameter final : public ParameterBase {
 public:
  using ParameterBase::ParameterBase;

  [[nodiscard]] DType dtype() const noexcept override { return dtype_of<T>; }
  [[nodiscard]] DType stored_dtype() const noexcept override {
    return held_ ? held_->dtype() : dtype();
  }
  [[nodiscard]] bool has_values() const noexcept override {
    return held_ ? held_->has_values() : var_.defined();
  }
  [[nodiscard]] std::size_t bytes() const noexcept override {
    return static_cast<std::size_t>(shape().numel()) * (held_ ? held_->value_bytes() : sizeof(T));
  }
  /// The differentiable value. Throws ValueError where there are no values yet.
  const Var<T>& operator()() const {
    if (held_) {
      fail<ValueError>(name(), "values in their own scalar type",
                       cat("values held as ", plume::name(held_->dtype())));
    }
    if (!var_.defined()) {
      fail<ValueError>(name(), "values (initialize the model, or load weights)", "a shape alone");
    }
    return var_;
  }
  /// The numbers, in whatever form they are held.
  [[nodiscard]] Tensor<T> value() const { return held_ ? held_->value() : (*this)().value(); }

  /// Its module promises that it meets this parameter in apply_linear (nn/linear.hpp) and nowhere else; false: it must
  /// keep its numbers as they are.
  void only_in_products(bool promised = true) noexcept { only_in_products_ = promised; }
  [[nodiscard]] bool is_only_in_products() const noexcept { return only_in_products_; }
  /// From now on, until it is made trainable, the values are kept in the form of `form`.
  void hold(std::shared_ptr<const HeldMatrix<T>> form) {
    if (trainable() || !only_in_products_) {
      fail<ValueError>(name(), "a frozen parameter that only products use",
                       trainable() ? "a trainable one" : "another one");
    }
    const Tensor<T> values = has_values() ? value() : Tensor<T>();
    held_ = values.defined() ? form->of(values) : std::move(form);
    replace({});
  }
  /// Null where the values are a plain tensor.
  [[nodiscard]] const HeldMatrix<T>* held() const noexcept { return held_.get(); }

  /// Takes over the numbers; the shape must be the parameter's. An optimizer that was given the parameter goes on with
  /// them and with the moments of those before.
  void set_value(Tensor<T> value) {
    if (!(value.shape() == shape())) {
      fail<ShapeError>(name(), cat("values of shape ", shape()), value.shape());
    }
    if (held_) {
      held_ = held_->of(value);
    } else {
      replace(Var<T>(value.contiguous(), trainable()));
    }
  }
  /// What it holds now, to be put back by restore(): for a trial with stand-ins (core/dry_run.hpp).
  class Kept {
    friend class Parameter;
    Var<T> var;
    std::shared_ptr<const HeldMatrix<T>> held;
  };
  [[nodiscard]] Kept keep() const {
    Kept out;
    out.var = var_;
    out.held = held_;
    return out;
  }
  void restore(Kept kept) noexcept {
    replace(std::move(kept.var));
    held_ = std::move(kept.held);
  }
  void initialize(std::uint64_t seed, std::uint64_t stream) override {
    const MemoryScope scope(MemoryTag::parameters);
    Generator generator(seed);
    generator.set_state({seed, stream});
    switch (init().kind) {
      case Init::Kind::zeros:
        return set_value(zeros<T>(shape()));
      case Init::Kind::ones:
        return set_value(ones<T>(shape()));
      case Init::Kind::normal:
        return set_value(normal<T>(shape(), generator, 0, init().scale));
      case Init::Kind::uniform:
        return set_value(uniform<T>(shape(), generator, -init().scale, init().scale));
    }
  }
  void set_trainable(bool trainable) override {
    trainable_ = trainable;
    if (trainable && held_) {
      if (held_->has_values()) replace(Var<T>(held_->value(), true));
      held_.reset();
    }
    if (var_.defined() && var_.requires_grad() != trainable)
      replace(Var<T>(var_.value(), trainable));
  }

 private:
  void replace(Var<T> var) noexcept {
    if (var_.requires_grad()) var_.node()->replaced = true;
    var_ = std::move(var);
    if (var_.requires_grad()) var_.node()->replaced = false;  // restore() puts one back
  }
  Var<T> var_;
  std::shared_ptr<const HeldMatrix<T>> held_;  // then var_ is undefined
  bool only_in_products_ = false;
};

}  // namespace plume::nn
