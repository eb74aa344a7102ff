#pragma once
// backward: sends gradients from results to leaves.
//
// Nodes run youngest first. A node is younger than its inputs, so when its turn comes everything that can
// add to its gradient has done so, in an order that depends on nothing but the program: two runs give the
// same bits. Gradients of leaves add up over calls; those of intermediate values are freed on the way.

#include <algorithm>

#include "plume/autograd/var.hpp"

namespace plume {

namespace detail {

inline void check_gradients(const NodeBase& node) {
  for (const NodePtr& input : node.inputs) {
    if (input != nullptr && input->has_grad() && !input->grad_is_finite()) {
      throw NumericalError(
          cat("[", node.op,
              "] expected finite gradients, got NaN or infinity in backward for an input of shape ",
              input->shape, " of a result of shape ", node.shape,
              node.path.empty() ? "" : " in module ", node.path));
    }
  }
}

/// Hears of every leaf that a backward of this thread, while it lives, leaves a gradient in.
class LeafWatch {
 public:
  LeafWatch() noexcept : outer_(std::exchange(autograd_state.leaves, this)) {}
  ~LeafWatch() { autograd_state.leaves = outer_; }
  LeafWatch(const LeafWatch&) = delete;
  LeafWatch& operator=(const LeafWatch&) = delete;
  NodeList leaves;

 private:
  LeafWatch* outer_;
};

/// Runs the closures of everything reachable from `roots`, whose gradients are already in place.
/// Nodes older than `boundary` receive gradients but do not run.
inline void run_backward(NodeList roots, bool retain_graph, std::uint64_t boundary) {
  static std::atomic<std::uint64_t> runs{0};
  const std::uint64_t run = ++runs;
  const auto older = [](const NodePtr& a, const NodePtr& b) { return a->id < b->id; };
  NodeList heap;
  const auto queue = [&](const NodePtr& node) {
    if (node == nullptr || node->mark == run || node->id < boundary) return;
    node->mark = run;
    heap.push_back(node);
    std::push_heap(heap.begin(), heap.end(), older);
  };
  for (const NodePtr& root : roots) queue(root);
  roots.clear();
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), older);
    const NodePtr node = std::move(heap.back());
    heap.pop_back();
    if (node->released) {
      fail<AutogradError>(
          "backward", "a graph that was not used yet (or retain_graph the first time)",
          cat("the graph of a ", node->op, " of shape ", node->shape, ", already used"));
    }
    for (const NodePtr& input : node->inputs) queue(input);
    if (node->invoke == nullptr || !node->has_grad()) {
      // Beyond a boundary leaves stand for what is inside a recompute: its own backward meets the others.
      if (autograd_state.leaves != nullptr && boundary == 0 && node->has_grad())
        autograd_state.leaves->leaves.push_back(node);
      continue;
    }
    node->run();
    if (autograd_state.anomaly) check_gradients(*node);
    if (!node->keep_grad) node->clear_grad();
    if (!retain_graph) node->release();
  }
}

}  // namespace detail

struct BackwardOptions {
  bool retain_graph = false;  ///< keep the graph, so that backward can run again
};

/// Adds d(sum(y * cotangent))/dx to the gradient of every leaf x that y depends on.
template <Floating T>
void backward(const Var<T>& y, Tensor<T> cotangent, BackwardOptions options = {}) {
  if (!y.requires_grad()) {
    fail<AutogradError>("backward", "a value with a graph", "one that needs no gradient");
  }
  if (!(cotangent.shape() == y.shape())) {
    fail<ShapeError>("backward", cat("a cotangent of shape ", y.shape()), cotangent.shape());
  }
  const NoGrad scope;
  y.node()->accumulate(std::move(cotangent), 1);
  detail::NodeList roots;
  roots.push_back(y.node());
  detail::run_backward(std::move(roots), options.retain_graph, 0);
}

/// The same for a loss of one element: adds d(loss)/dx.
template <Floating T>
void backward(const Var<T>& loss, BackwardOptions options = {}) {
  if (loss.numel() != 1) {
    fail<AutogradError>("backward", "a loss of one element (or a cotangent)", loss.shape());
  }
  backward(loss, full<T>(loss.shape(), static_cast<T>(1.0F), loss.value().device()), options);
}

}  // namespace plume
