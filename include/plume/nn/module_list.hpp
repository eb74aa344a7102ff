#pragma once
// ModuleList: modules of one type, named "0", "1", ... Some places may stay empty, as in a Flamingo whose
// gated blocks sit before every k-th layer.

#include <memory>

#include "plume/nn/module.hpp"

namespace plume::nn {

template <class M>
class ModuleList : public Module {
 public:
  using Module::Module;

  /// Appends M(*this, "<index>", arguments...).
  template <class... Args>
  M& append(Args&&... arguments) {
    items_.push_back(
        std::make_unique<M>(*this, cat(items_.size()), std::forward<Args>(arguments)...));
    return *items_.back();
  }
  /// Appends an empty place; it takes up an index.
  void append_none() { items_.push_back(nullptr); }

  [[nodiscard]] index_t size() const noexcept { return static_cast<index_t>(items_.size()); }
  [[nodiscard]] bool has(index_t i) const { return at(i) != nullptr; }
  /// Throws ValueError for an empty place.
  M& operator[](index_t i) { return *present(i); }
  const M& operator[](index_t i) const { return *present(i); }

 private:
  [[nodiscard]] M* at(index_t i) const {
    if (i < 0 || i >= size()) fail<ShapeError>(path(), cat("an index in [0, ", size(), ")"), i);
    return items_[static_cast<std::size_t>(i)].get();
  }
  [[nodiscard]] M* present(index_t i) const {
    if (at(i) == nullptr) fail<ValueError>(path(), "a module", cat("the empty place ", i));
    return at(i);
  }
  std::vector<std::unique_ptr<M>> items_;
};

}  // namespace plume::nn
