#pragma once
// What a thread knows while it records a graph: whether it records, where in the model it is, and whether
// numbers are being watched.

#include <atomic>
#include <cstdint>
#include <string>

namespace plume {

class ModuleScope;

namespace detail {

class Probe;      // node.hpp
class LeafWatch;  // backward.hpp

struct AutogradState {
  bool enabled = true;
  bool anomaly = false;
  bool evaluating = false;
  const ModuleScope* module = nullptr;
  const char* running = nullptr;  ///< the op whose closure runs in backward
  Probe* probe = nullptr;
  LeafWatch* leaves = nullptr;
};
inline constinit thread_local AutogradState autograd_state;

/// Graph nodes are numbered as they are made: a node is always younger than its inputs.
inline std::uint64_t next_node_id() noexcept {
  static std::atomic<std::uint64_t> counter{1};
  return counter.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace detail

/// While it lives, this thread records no graph: results need no gradient.
class NoGrad {
 public:
  NoGrad() noexcept : before_(detail::autograd_state.enabled) {
    detail::autograd_state.enabled = false;
  }
  ~NoGrad() { detail::autograd_state.enabled = before_; }
  NoGrad(const NoGrad&) = delete;
  NoGrad& operator=(const NoGrad&) = delete;

 private:
  bool before_;
};

/// While it lives, this thread records, also inside NoGrad. For code that replays a forward pass.
class EnableGrad {
 public:
  EnableGrad() noexcept : before_(detail::autograd_state.enabled) {
    detail::autograd_state.enabled = true;
  }
  ~EnableGrad() { detail::autograd_state.enabled = before_; }
  EnableGrad(const EnableGrad&) = delete;
  EnableGrad& operator=(const EnableGrad&) = delete;

 private:
  bool before_;
};

/// While it lives, this thread evaluates: every module says that it is not training, whatever set_training said, so
/// dropout is off. Afterwards all is as before. Generation, classification and features open one themselves.
class EvaluationMode {
 public:
  explicit EvaluationMode(bool on = true) noexcept : before_(detail::autograd_state.evaluating) {
    detail::autograd_state.evaluating = on;
  }
  ~EvaluationMode() { detail::autograd_state.evaluating = before_; }
  EvaluationMode(const EvaluationMode&) = delete;
  EvaluationMode& operator=(const EvaluationMode&) = delete;

  /// Whether this thread evaluates now.
  static bool active() noexcept { return detail::autograd_state.evaluating; }

 private:
  bool before_;
};

/// f() without recording a graph.
template <class F>
decltype(auto) no_grad(F&& f) {
  const NoGrad scope;
  return f();
}

/// Names the part of the model that is running, for messages: scopes nest to "blocks.3.ff".
/// `name` must outlive the scope.
class ModuleScope {
 public:
  explicit ModuleScope(const char* name) noexcept
      : name_(name), parent_(detail::autograd_state.module) {
    detail::autograd_state.module = this;
  }
  ~ModuleScope() { detail::autograd_state.module = parent_; }
  ModuleScope(const ModuleScope&) = delete;
  ModuleScope& operator=(const ModuleScope&) = delete;

  /// The path of the innermost scope of this thread; empty outside any.
  static std::string path() { return path(detail::autograd_state.module); }

 private:
  static std::string path(const ModuleScope* scope) {
    if (scope == nullptr) return {};
    std::string out = path(scope->parent_);
    if (!out.empty()) out += '.';
    return out + scope->name_;
  }
  const char* name_;
  const ModuleScope* parent_;
};

/// While it lives, every op checks its result, and backward every gradient, for NaN and infinity. The
/// first one throws NumericalError naming the op, the module path and the shapes. Costs one pass more
/// over every result.
class AnomalyGuard {
 public:
  AnomalyGuard() noexcept : before_(detail::autograd_state.anomaly) {
    detail::autograd_state.anomaly = true;
  }
  ~AnomalyGuard() { detail::autograd_state.anomaly = before_; }
  AnomalyGuard(const AnomalyGuard&) = delete;
  AnomalyGuard& operator=(const AnomalyGuard&) = delete;

 private:
  bool before_;
};

}  // namespace plume
