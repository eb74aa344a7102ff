#pragma once
// Module: a part of a model. Declaring a member is registering it:
//
//   struct FeedForward : Module {
//     LayerNorm<float> norm{*this, "norm", width};
//     Linear<float> up{*this, "up", width, 4 * width};
//   };
//
// A parameter or module cannot be made without naming its owner, so none can be forgotten, and the names
// joined by dots are the keys of weight files. Modules stay where they are: they are neither copied nor moved.

#include <string>
#include <vector>

#include "plume/nn/parameter.hpp"

namespace plume::nn {

class Module {
 public:
  /// The root of a model.
  Module() = default;
  /// A part of `owner`. Throws ValueError if the name is taken.
  Module(Module& owner, std::string name) : name_(std::move(name)), owner_(&owner) {
    owner.require_free(name_);
    owner.children_.push_back(this);
  }
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] const std::vector<Module*>& children() const noexcept { return children_; }
  [[nodiscard]] const std::vector<ParameterBase*>& own_parameters() const noexcept {
    return parameters_;
  }
  /// Names from the root: "perceiver.layers.0".
  [[nodiscard]] std::string path() const {
    if (owner_ == nullptr) return {};
    const std::string above = owner_->path();
    return above.empty() ? name_ : cat(above, ".", name_);
  }
  /// Training mode of this part and everything in it (dropout is active only in training).
  void set_training(bool training) noexcept {
    training_ = training;
    for (Module* child : children_) child->set_training(training);
  }
  /// False under EvaluationMode, too.
  [[nodiscard]] bool training() const noexcept { return training_ && !EvaluationMode::active(); }

 private:
  friend class ParameterBase;
  void require_free(const std::string& name) const {
    bool taken = false;
    for (const Module* child : children_) taken = taken || child->name_ == name;
    for (const ParameterBase* parameter : parameters_) taken = taken || parameter->name() == name;
    if (taken) fail<ValueError>("module", cat("a name not yet used in ", path()), name);
  }

  std::string name_;
  Module* owner_ = nullptr;
  std::vector<Module*> children_;
  std::vector<ParameterBase*> parameters_;
  bool training_ = true;
};

inline ParameterBase::ParameterBase(Module& owner, std::string name, const Shape& shape, Init init)
    : name_(std::move(name)), shape_(shape), init_(init) {
  owner.require_free(name_);
  owner.parameters_.push_back(this);
}

/// Calls f(key, parameter) for every parameter of `module`, own ones first, in order of declaration.
/// Keys are relative to `module`.
template <class F>
void for_each_parameter(const Module& module, F&& f, const std::string& prefix = {}) {
  for (ParameterBase* parameter : module.own_parameters())
    f(prefix + parameter->name(), *parameter);
  for (const Module* child : module.children()) {
    for_each_parameter(*child, f, prefix + child->name() + ".");
  }
}

/// Fills every parameter by its Init. A parameter's numbers depend on the seed and its key alone, so they stay
/// the same when other parts of the model change.
inline void initialize(Module& module, std::uint64_t seed) {
  for_each_parameter(module, [seed](const std::string& key, ParameterBase& parameter) {
    std::uint64_t stream = 0xcbf29ce484222325U;  // FNV-1a of the key
    for (const char c : key) stream = (stream ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
    parameter.initialize(seed, stream);
  });
}

/// The number of elements of all parameters.
inline index_t parameter_count(const Module& module) {
  index_t count = 0;
  for_each_parameter(
      module, [&](const std::string&, const ParameterBase& p) { count += p.shape().numel(); });
  return count;
}

/// The parameters that train, of scalar type T, in order.
template <Floating T>
std::vector<Parameter<T>*> trainable_parameters(const Module& module) {
  std::vector<Parameter<T>*> out;
  for_each_parameter(module, [&](const std::string&, ParameterBase& p) {
    if (p.trainable() && p.dtype() == dtype_of<T>) out.push_back(static_cast<Parameter<T>*>(&p));
  });
  return out;
}

/// Nothing of `module` trains: no gradient, no saved activation for it, no optimizer state.
inline void freeze(Module& module, bool frozen = true) {
  for_each_parameter(module,
                     [&](const std::string&, ParameterBase& p) { p.set_trainable(!frozen); });
}

}  // namespace plume::nn
