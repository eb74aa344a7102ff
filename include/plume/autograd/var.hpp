#pragma once
// Var<T>: a differentiable handle: a value, and (if it needs a gradient) the node that says how it was made.
//
// A differentiable op computes its value on Tensors and calls `record` with its inputs and a closure. The
// closure gets the gradient of the output and one GradSink per input, and adds to those that are needed:
//
//   template <Floating T>
//   Var<T> tanh(const Var<T>& x) {
//     Tensor<T> y = tanh(x.value());
//     return record("tanh", y, inputs(x), [y = Saved(y)](const Tensor<T>& dy, GradSink<T> dx) {
//       if (dx) dx += tanh_backward(dy, *y);
//     });
//   }
//
// What a closure keeps is a Saved: backward throws where it was changed in place since.
// If no input needs a gradient, or under NoGrad, nothing is recorded and the closure is dropped at once.

#include <tuple>

#include "plume/autograd/node.hpp"
#include "plume/autograd/saved.hpp"

namespace plume {

/// Where a closure puts the gradient of one input. False if that input needs none.
template <Floating T>
class GradSink {
 public:
  explicit GradSink(detail::NodeBase* node) noexcept
      : node_(static_cast<detail::GradNode<T>*>(node)) {}
  explicit operator bool() const noexcept { return node_ != nullptr; }
  [[nodiscard]] const Shape& shape() const noexcept { return node_->shape; }

  void operator+=(Tensor<T> g) const { node_->accumulate(std::move(g), 1); }
  void operator-=(Tensor<T> g) const { node_->accumulate(std::move(g), -1); }

  /// A part of the gradient, given as a view: `dx.part(view) += g` adds g to view(gradient) in place.
  template <class View>
  class Part {
   public:
    Part(detail::GradNode<T>* node, View view) : node_(node), view_(std::move(view)) {}
    void operator+=(const Tensor<T>& g) const { add(g, 1); }
    void operator-=(const Tensor<T>& g) const { add(g, -1); }

   private:
    void add(const Tensor<T>& g, accumulate_t<T> alpha) const {
      view_(node_->make_own(g.device())).add(g, alpha);
    }
    detail::GradNode<T>* node_;
    View view_;
  };
  template <class View>
  [[nodiscard]] Part<View> part(View view) const {
    return Part<View>(node_, std::move(view));
  }

 private:
  detail::GradNode<T>* node_;
};

template <Floating T>
class Var {
 public:
  using value_type = T;

  Var() = default;
  /// A value that is not differentiated (a constant, a frozen weight, data), or a leaf that is.
  explicit Var(Tensor<T> value, bool requires_grad = false) : value_(std::move(value)) {
    if (requires_grad) node_ = make_node("leaf", value_.shape());
  }

  [[nodiscard]] const Tensor<T>& value() const noexcept { return value_; }
  /// For optimizers: the numbers may change, the shape may not.
  [[nodiscard]] Tensor<T>& mutable_value() noexcept {
    value_.changed();
    return value_;
  }
  [[nodiscard]] const Shape& shape() const noexcept { return value_.shape(); }
  [[nodiscard]] int rank() const noexcept { return value_.rank(); }
  [[nodiscard]] index_t size(index_t axis) const { return value_.size(axis); }
  [[nodiscard]] index_t numel() const noexcept { return value_.numel(); }
  [[nodiscard]] bool defined() const noexcept { return value_.defined(); }
  [[nodiscard]] bool requires_grad() const noexcept { return node_ != nullptr; }
  /// The gradient backward left here; undefined if there is none.
  [[nodiscard]] Tensor<T> grad() const { return node_ ? node_->grad : Tensor<T>{}; }
  void zero_grad() const noexcept {
    if (node_) node_->clear_grad();
  }
  /// Makes backward leave the gradient of this intermediate value in place.
  void retain_grad() const {
    if (node_) node_->keep_grad = true;
  }
  /// The same value, cut off from the graph.
  [[nodiscard]] Var detach() const { return Var(value_); }

  [[nodiscard]] const Ref<detail::GradNode<T>>& node() const noexcept { return node_; }
  /// For `record`: a value and its node.
  Var(Tensor<T> value, Ref<detail::GradNode<T>> node)
      : value_(std::move(value)), node_(std::move(node)) {}
  [[gnu::noinline]] static Ref<detail::GradNode<T>> make_node(const char* op, const Shape& shape) {
    return make_ref<detail::GradNode<T>>(op, shape);
  }

 private:
  Tensor<T> value_;
  Ref<detail::GradNode<T>> node_;
};

/// A value that is never differentiated.
template <Scalar T>
Var<T> constant(Tensor<T> value) {
  return Var<T>(std::move(value));
}
/// A leaf that collects a gradient.
template <Scalar T>
Var<T> trainable(Tensor<T> value) {
  return Var<T>(std::move(value), true);
}

namespace detail {

template <Floating T>
void check_anomaly(const char* op, const Tensor<T>& value) {
  if (!all_finite(value)) {
    const std::string path = ModuleScope::path();
    throw NumericalError(cat(
        "[", op, "] expected finite values, got NaN or infinity in the forward result of shape ",
        value.shape(), path.empty() ? "" : " in module ", path));
  }
}

template <class... In>
struct Inputs {
  using types = std::tuple<In...>;
  std::array<NodePtr, sizeof...(In)> nodes;
};

/// True if any of the nodes is there and this thread records; tells a probe about them otherwise.
inline bool wants_graph(std::span<const NodePtr> nodes) {
  bool any = false;
  for (const NodePtr& node : nodes) {
    if (node == nullptr) continue;
    any = true;
    if (!autograd_state.enabled && autograd_state.probe != nullptr) {
      autograd_state.probe->note(node);
    }
  }
  return any && autograd_state.enabled;
}

template <class T, class Closure, class... In, std::size_t... I>
void bind_closure(GradNode<T>& node, Closure&& closure, std::tuple<In...>*,
                  std::index_sequence<I...>) {
  node.set_closure([f = std::forward<Closure>(closure)](NodeBase& self) mutable {
    f(static_cast<const Tensor<T>&>(static_cast<GradNode<T>&>(self).grad),
      GradSink<In>(self.inputs[I].get())...);
  });
}

}  // namespace detail

/// The inputs of an op, in the order of the closure's sinks.
template <Floating... In>
detail::Inputs<In...> inputs(const Var<In>&... in) {
  return {{in.node()...}};
}

/// `value` as the result of `op`; see the top of this file. `op` must be a literal.
template <Floating T, class... In, class Closure>
Var<T> record(const char* op, Tensor<T> value, detail::Inputs<In...> in, Closure&& closure) {
  if (detail::autograd_state.anomaly) detail::check_anomaly(op, value);
  if (!detail::wants_graph(in.nodes)) return Var<T>(std::move(value));
  auto node = Var<T>::make_node(op, value.shape());
  for (detail::NodePtr& input : in.nodes) node->inputs.push_back(std::move(input));
  using Types = typename detail::Inputs<In...>::types;
  detail::bind_closure(*node, std::forward<Closure>(closure), static_cast<Types*>(nullptr),
                       std::index_sequence_for<In...>{});
  return Var<T>(std::move(value), std::move(node));
}

/// The same for any number of inputs of one type: the closure gets std::span<const GradSink<T>>.
template <Floating T, class Closure>
Var<T> record(const char* op, Tensor<T> value, std::span<const Var<T>> in, Closure&& closure) {
  if (detail::autograd_state.anomaly) detail::check_anomaly(op, value);
  detail::NodeList nodes;
  for (const Var<T>& v : in) nodes.push_back(v.node());
  if (!detail::wants_graph(nodes)) return Var<T>(std::move(value));
  auto node = Var<T>::make_node(op, value.shape());
  node->inputs = std::move(nodes);
  node->set_closure([f = std::forward<Closure>(closure)](detail::NodeBase& self) mutable {
    std::vector<GradSink<T>, PoolAllocator<GradSink<T>>> sinks;
    for (const detail::NodePtr& input : self.inputs) sinks.emplace_back(input.get());
    f(static_cast<const Tensor<T>&>(static_cast<detail::GradNode<T>&>(self).grad),
      std::span<const GradSink<T>>(sinks));
  });
  return Var<T>(std::move(value), std::move(node));
}

}  // namespace plume
