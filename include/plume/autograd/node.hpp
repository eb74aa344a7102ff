#pragma once
// GraphNode: how one value was made. A node owns its gradient, its inputs' nodes and a closure that sends
// the gradient on; it does not own the value, so an op keeps alive exactly what its closure captured.

#include <new>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "plume/autograd/state.hpp"
#include "plume/core/tensor.hpp"

namespace plume::detail {

class NodeBase;
using NodePtr = Ref<NodeBase>;
using NodeList = std::vector<NodePtr, PoolAllocator<NodePtr>>;

/// Hears of every node that an unrecorded op takes as input. See recompute.hpp.
class Probe {
 public:
  virtual void note(const NodePtr& node) = 0;

 protected:
  ~Probe() = default;
};

class NodeBase : public Counted {
 public:
  NodeBase(const char* op_name, const Shape& value_shape)
      : op(op_name), shape(value_shape), id(next_node_id()) {
    if (autograd_state.anomaly) path = ModuleScope::path();
  }
  ~NodeBase() override { release(); }

  [[nodiscard]] bool is_leaf() const noexcept { return invoke == nullptr && !released; }
  [[nodiscard]] virtual bool has_grad() const noexcept = 0;
  [[nodiscard]] virtual bool grad_is_finite() const = 0;
  virtual void clear_grad() noexcept = 0;

  /// Puts the closure in place; Closure is called as closure(NodeBase&).
  template <class Closure>
  void set_closure(Closure&& closure) {
    using C = std::decay_t<Closure>;
    closure_bytes = sizeof(C);
    closure_data = cpu_memory().allocate(sizeof(C), MemoryTag::graph);
    ::new (closure_data) C(std::forward<Closure>(closure));
    invoke = [](void* c, NodeBase& node) { (*static_cast<C*>(c))(node); };
    destroy = [](void* c) noexcept { static_cast<C*>(c)->~C(); };
  }
  /// Drops the closure and everything saved for backward, then the inputs.
  [[gnu::noinline]] void release() noexcept {
    if (invoke != nullptr) {
      destroy(closure_data);
      cpu_memory().deallocate(closure_data, closure_bytes, MemoryTag::graph);
      invoke = nullptr;
      released = true;
    }
    // A long chain of nodes owned by nothing else must not be freed by recursion.
    NodeList pending = std::move(inputs);
    inputs.clear();
    while (!pending.empty()) {
      NodePtr node = std::move(pending.back());
      pending.pop_back();
      if (node.use_count() == 1) {
        for (NodePtr& input : node->inputs) pending.push_back(std::move(input));
        node->inputs.clear();
      }
    }
  }

  const char* op;
  Shape shape;
  std::uint64_t id;
  std::uint64_t mark = 0;  ///< the last backward run that queued this node
  bool released = false;   ///< had a closure, which was used up
  bool replaced = false;   ///< a leaf that its nn::Parameter does not hold any more
  bool keep_grad = false;  ///< backward leaves the gradient in place although this is no leaf
  std::string path;        ///< module path; filled under AnomalyGuard
  NodeList inputs;
  void (*invoke)(void*, NodeBase&) = nullptr;

  void run() {
    const char* const before = std::exchange(autograd_state.running, op);
    invoke(closure_data, *this);
    autograd_state.running = before;
  }

 private:
  void (*destroy)(void*) noexcept = nullptr;
  void* closure_data = nullptr;
  std::size_t closure_bytes = 0;
};

template <Floating T>
bool all_finite(const Tensor<T>& tensor) {
  const Tensor<T> host = tensor.to(cpu).contiguous();
  const T* x = host.data();
  using A = accumulate_t<T>;
  A probe = 0;  // x * 0 is NaN exactly where x is not finite
  for (index_t i = 0; i < host.numel(); ++i) probe += static_cast<A>(x[i]) * A{0};
  return probe == A{0};
}

template <Floating T>
class GradNode final : public NodeBase {
 public:
  using NodeBase::NodeBase;

  [[nodiscard]] bool has_grad() const noexcept override { return grad.defined(); }
  [[nodiscard]] bool grad_is_finite() const override { return all_finite(grad); }
  void clear_grad() noexcept override { grad = {}; }

  /// grad += alpha * g. A first gradient is taken over as it is where nothing else can see it.
  [[gnu::noinline]] void accumulate(Tensor<T> g, accumulate_t<T> alpha) {
    if (!(g.shape() == shape)) {
      fail<AutogradError>(op, cat("a gradient of shape ", shape), g.shape());
    }
    if (!grad.defined() && alpha == accumulate_t<T>{1}) {
      // A leaf's gradient is written to later (clipping, accumulation): it must be nobody else's.
      const bool take = !is_leaf() || (g.unique() && g.is_contiguous());
      grad = take ? std::move(g) : g.clone();
      return;
    }
    make_own(g.device());
    grad.add(g, alpha);
  }
  /// The gradient as a tensor of this node alone, zero if there was none.
  [[gnu::noinline]] Tensor<T>& make_own(Device device) {
    const MemoryScope scope(MemoryTag::gradients);
    if (!grad.defined()) {
      grad = zeros<T>(shape, device);
    } else if (!grad.unique() || !grad.is_contiguous()) {
      grad = grad.clone();
    }
    return grad;
  }

  Tensor<T> grad;
};

}  // namespace plume::detail
