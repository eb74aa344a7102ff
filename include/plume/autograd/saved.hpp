#pragma once
// Saved<T>: what a closure keeps for backward, guarded against changes.

#include "plume/autograd/state.hpp"
#include "plume/core/tensor.hpp"

namespace plume {

namespace detail {

[[noreturn, gnu::noinline]] inline void fail_changed(const Shape& shape, std::uint32_t saved,
                                                     std::uint32_t now) {
  const char* const op = autograd_state.running;
  fail<AutogradError>(
      op != nullptr ? op : "backward",
      cat("the value of shape ", shape, " it saved in forward, version ", saved),
      cat("version ", now, ": it was changed in place since (change a clone, or after backward)"));
}

}  // namespace detail

/// A tensor as it is now, of which `*saved` gives the numbers in backward. Throws AutogradError where they were changed
/// in place since: the gradient would be that of another function. See Tensor::changed for what counts.
template <Scalar T>
class Saved {
 public:
  Saved() = default;
  explicit Saved(Tensor<T> value) : value_(std::move(value)), version_(value_.version()) {}
  [[nodiscard]] bool defined() const noexcept { return value_.defined(); }
  const Tensor<T>& operator*() const {
    if (value_.version() != version_)
      detail::fail_changed(value_.shape(), version_, value_.version());
    return value_;
  }

 private:
  Tensor<T> value_;
  std::uint32_t version_ = 0;
};

/// `x` if `needed`, else nothing: what a closure keeps when a gradient may not be wanted.
template <Scalar T>
Saved<T> saved_if(bool needed, const Tensor<T>& x) {
  return needed ? Saved<T>(x) : Saved<T>{};
}

}  // namespace plume
