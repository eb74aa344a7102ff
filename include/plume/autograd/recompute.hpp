#pragma once
// recompute(f): activation checkpointing. Forward runs f without a graph and keeps only its inputs;
// backward runs f again, this time recording, and continues through that graph.
//
//   Var<T> y = recompute(block, x);          // y = block(x), at the memory of x
//
// f may use trainable values from outside (its parameters, a shared memory of images): they get their
// gradients too. f must do the same thing twice; random numbers drawn from `default_generator()` are
// replayed, and so are the precision and the EvaluationMode. Calls nest.

#include "plume/autograd/backward.hpp"
#include "plume/autograd/precision.hpp"
#include "plume/core/random.hpp"

namespace plume {

namespace detail {

/// Collects the nodes made before it that unrecorded ops touch while it lives.
class ExternalInputs final : public Probe {
 public:
  ExternalInputs() : start_(next_node_id()), outer_(autograd_state.probe) {
    autograd_state.probe = this;
  }
  ~ExternalInputs() { autograd_state.probe = outer_; }
  ExternalInputs(const ExternalInputs&) = delete;
  ExternalInputs& operator=(const ExternalInputs&) = delete;

  void note(const NodePtr& node) override {
    if (outer_ != nullptr) outer_->note(node);
    if (node->id >= start_) return;
    if (std::find(found_.begin(), found_.end(), node) == found_.end()) found_.push_back(node);
  }
  [[nodiscard]] const NodeList& found() const noexcept { return found_; }

 private:
  std::uint64_t start_;
  Probe* outer_;
  NodeList found_;
};

}  // namespace detail

/// f(inputs...), which must return a Var, with its activations computed again in backward.
template <class F, Floating... In>
auto recompute(F f, const Var<In>&... in) {
  using Result = decltype(f(in...));
  using T = typename Result::value_type;
  const Generator random = default_generator();
  Tensor<T> value;
  detail::NodeList nodes{in.node()...};
  {
    const detail::ExternalInputs external;
    const NoGrad scope;
    value = f(in.detach()...).value();
    nodes.insert(nodes.end(), external.found().begin(), external.found().end());
  }
  if (!detail::wants_graph(nodes)) return Result(std::move(value));
  auto node = Result::make_node("recompute", value.shape());
  node->inputs = std::move(nodes);
  node->set_closure(
      [f = std::move(f), random, computed = precision(), evaluating = EvaluationMode::active(),
       saved = std::tuple(Saved(in.value())...),
       needed =
           std::array<bool, sizeof...(In)>{in.requires_grad()...}](detail::NodeBase& self) mutable {
        const std::uint64_t boundary = detail::next_node_id();
        [&]<std::size_t... I>(std::index_sequence<I...>) {
          const std::tuple<Var<In>...> leaves(Var<In>(*std::get<I>(saved), needed[I])...);
          Result y;
          {
            Generator again = random;
            const RandomScope replay(again);
            const EvaluationMode mode(evaluating);
            const EnableGrad scope;
            const PrecisionScope as_before(computed);
            y = f(std::get<I>(leaves)...);
          }
          if (!y.requires_grad()) return;
          y.node()->accumulate(static_cast<detail::GradNode<T>&>(self).grad, 1);
          detail::NodeList roots;
          roots.push_back(y.node());
          y = {};
          detail::run_backward(std::move(roots), false, boundary);
          const auto pass_on = [](const auto& leaf, auto sink) {
            if (sink && leaf.grad().defined()) sink += leaf.grad();
          };
          (pass_on(std::get<I>(leaves), GradSink<In>(self.inputs[I].get())), ...);
        }
        (std::index_sequence_for<In...>{});
      });
  return Result(std::move(value), std::move(node));
}

}  // namespace plume
