#pragma once
// Shape: up to eight sizes, with checked arithmetic. A shape can always be multiplied out: `numel`
// never overflows and no size is negative, because the constructor refuses anything else.

#include <array>
#include <initializer_list>
#include <span>
#include <string>

#include "plume/core/dtype.hpp"
#include "plume/core/error.hpp"

namespace plume {

inline constexpr int max_rank = 8;

/// a * b; throws ShapeError where the product does not fit. Both must be >= 0.
inline index_t checked_mul(index_t a, index_t b) {
  index_t product;
  if (__builtin_mul_overflow(a, b, &product)) {
    fail<ShapeError>("size", "a product below 2^63", cat(a, " * ", b));
  }
  return product;
}

/// A short list of integers held in place: sizes, strides or axes. No allocation.
class Dims {
 public:
  Dims() = default;
  Dims(std::initializer_list<index_t> values)
      : Dims(std::span<const index_t>(values.begin(), values.size())) {}
  explicit Dims(std::span<const index_t> values) {
    for (const index_t v : values) push_back(v);
  }

  [[nodiscard]] int rank() const noexcept { return rank_; }
  [[nodiscard]] bool empty() const noexcept { return rank_ == 0; }
  index_t& operator[](int axis) noexcept { return values_[static_cast<std::size_t>(axis)]; }
  index_t operator[](int axis) const noexcept { return values_[static_cast<std::size_t>(axis)]; }
  [[nodiscard]] const index_t* begin() const noexcept { return values_.data(); }
  [[nodiscard]] const index_t* end() const noexcept { return values_.data() + rank_; }
  [[nodiscard]] index_t back() const noexcept {
    return values_[static_cast<std::size_t>(rank_ - 1)];
  }

  void push_back(index_t value) {
    if (rank_ == max_rank) fail<ShapeError>("shape", cat("rank <= ", max_rank), "a larger one");
    values_[static_cast<std::size_t>(rank_++)] = value;
  }
  void pop_back() noexcept { --rank_; }
  void erase(int axis) noexcept {
    for (int i = axis; i + 1 < rank_; ++i) (*this)[i] = (*this)[i + 1];
    --rank_;
  }
  void insert(int axis, index_t value) {
    push_back(value);
    for (int i = rank_ - 1; i > axis; --i) (*this)[i] = (*this)[i - 1];
    (*this)[axis] = value;
  }

  friend bool operator==(const Dims& a, const Dims& b) noexcept {
    if (a.rank_ != b.rank_) return false;
    // Not a loop that ends at rank_: inlined at -O3, g++ 12 takes that for reading uninitialised places.
    bool same = true;
    for (std::size_t i = 0; i < max_rank; ++i) {
      same = same && (static_cast<int>(i) >= a.rank_ || a.values_[i] == b.values_[i]);
    }
    return same;
  }
  friend std::string to_string(const Dims& dims) {
    std::string out = "[";
    for (int i = 0; i < dims.rank(); ++i) out += cat(i == 0 ? "" : ", ", dims[i]);
    return out + "]";
  }

 private:
  std::array<index_t, max_rank> values_{};
  int rank_ = 0;
};

using Strides = Dims;  ///< In elements, not bytes.

/// Sizes of a tensor, outermost first. Rank 0 is a scalar of one element.
class Shape : public Dims {
 public:
  Shape() = default;
  Shape(std::initializer_list<index_t> sizes) : Dims(sizes) { validate(); }
  explicit Shape(std::span<const index_t> sizes) : Dims(sizes) { validate(); }
  explicit Shape(const Dims& sizes) : Dims(sizes) { validate(); }

  /// Number of elements; 1 for a scalar.
  [[nodiscard]] index_t numel() const noexcept {
    index_t n = 1;
    for (const index_t size : *this) n *= size;
    return n;
  }
  /// Strides of the row-major layout.
  [[nodiscard]] Strides row_major() const noexcept {
    Strides strides = *this;
    index_t step = 1;
    for (int i = rank() - 1; i >= 0; --i) {
      strides[i] = step;
      step *= (*this)[i];
    }
    return strides;
  }

 private:
  void validate() const {
    index_t n = 1;
    for (const index_t size : *this) {
      if (size < 0) fail<ShapeError>("shape", "sizes >= 0", to_string(*this));
      // Zero sizes must not hide an overflow of the others: strides multiply those.
      n = checked_mul(n, size == 0 ? 1 : size);
    }
  }
};

/// `axis` counted from the front; negative values count from the back. Throws ShapeError.
inline int normalize_axis(std::string_view op, index_t axis, int rank) {
  const index_t a = axis < 0 ? axis + rank : axis;
  if (a < 0 || a >= rank) {
    fail<ShapeError>(op, cat("an axis in [", -rank, ", ", rank - 1, "]"), axis);
  }
  return static_cast<int>(a);
}

/// The shape both broadcast to (sizes aligned at the back; 1 stretches). Throws ShapeError.
inline Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b) {
  if (a == b) return a;
  const int rank = a.rank() > b.rank() ? a.rank() : b.rank();
  Dims out;
  for (int i = 0; i < rank; ++i) {
    const int ia = i - (rank - a.rank());
    const int ib = i - (rank - b.rank());
    const index_t sa = ia < 0 ? 1 : a[ia];
    const index_t sb = ib < 0 ? 1 : b[ib];
    if (sa != sb && sa != 1 && sb != 1) {
      fail<ShapeError>(op, "shapes that broadcast together", cat(a, " and ", b));
    }
    out.push_back(sa == 1 ? sb : sa);
  }
  return Shape(out);
}

}  // namespace plume
