#pragma once
// Tensors that a person can read: numbers in aligned columns, long axes cut in the middle, and a last line
// with the scalar type, the shape and the device.
//
//   [[ 1.    2.5 ]
//    [ 3.   -0.25]]
//   float [2, 2] on cpu
//
// Values are rounded to four decimals (or five digits, where they are very large or small).

#include <cmath>
#include <cstdio>
#include <ostream>
#include <string>
#include <vector>

#include "plume/core/tensor.hpp"

namespace plume {

namespace detail {

/// Which indices of an axis are printed: all, or `edge` of them at either end.
struct PrintedAxis {
  index_t size;
  index_t edge;
  [[nodiscard]] bool cut() const noexcept { return size > 2 * edge; }
  [[nodiscard]] index_t count() const noexcept { return cut() ? 2 * edge : size; }
  [[nodiscard]] index_t index(index_t i) const noexcept {
    return cut() && i >= edge ? size - 2 * edge + i : i;
  }
};

/// Six at either end; fewer where that would print more than 500 elements.
inline index_t print_edge(const Shape& shape) noexcept {
  for (index_t edge = 6; edge > 1; edge /= 2) {
    double shown = 1;
    for (const index_t size : shape) shown *= static_cast<double>(PrintedAxis{size, edge}.count());
    if (shown <= 500) return edge;
  }
  return 1;
}

inline std::string format_double(const char* format, int precision, double value) {
  char text[64];
  std::snprintf(text, sizeof text, format, precision, value);
  return text;
}

/// All in one notation, with as many decimals as the one that needs most.
inline std::vector<std::string> format_cells(const std::vector<double>& values) {
  double largest = 0;
  for (const double v : values) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  const bool scientific = largest >= 1e6 || (largest > 0 && largest < 1e-3);
  const char* const format = scientific ? "%.*e" : "%.*f";
  int decimals = 0;
  for (const double v : values) {
    const double shown = std::strtod(format_double(format, 4, v).c_str(), nullptr);
    while (decimals < 4 && std::isfinite(v) &&
           std::strtod(format_double(format, decimals, v).c_str(), nullptr) != shown) {
      ++decimals;
    }
  }
  std::vector<std::string> cells;
  for (const double v : values) {
    cells.push_back(format_double(format, decimals, v));
    if (decimals == 0 && !scientific && std::isfinite(v)) cells.back() += '.';
  }
  return cells;
}

inline std::vector<std::string> format_cells(const std::vector<index_t>& values) {
  std::vector<std::string> cells;
  for (const index_t v : values) cells.push_back(std::to_string(v));
  return cells;
}

inline std::vector<std::string> format_cells(const std::vector<bool>& values) {
  std::vector<std::string> cells;
  for (const bool v : values) cells.emplace_back(v ? "true" : "false");
  return cells;
}

/// Brackets, columns and dots around cells in the order in which they are met.
class PrintLayout {
 public:
  PrintLayout(const Shape& shape, index_t edge, const std::vector<std::string>& cells)
      : shape_(shape), edge_(edge), cells_(cells) {
    for (const std::string& cell : cells) width_ = std::max(width_, cell.size());
  }
  std::string text() {
    axis(0);
    return std::move(out_);
  }

 private:
  void axis(int depth) {
    if (depth == shape_.rank()) {
      const std::string& cell = cells_[next_++];
      out_.append(width_ - cell.size(), ' ');
      out_ += cell;
      return;
    }
    const PrintedAxis axis_of{shape_[depth], edge_};
    const bool row = depth + 1 == shape_.rank();
    std::string separator = " ";
    if (!row) {
      separator.assign(static_cast<std::size_t>(shape_.rank() - 1 - depth), '\n');
      separator.append(static_cast<std::size_t>(depth + 1), ' ');
    }
    out_ += '[';
    for (index_t i = 0; i < axis_of.count(); ++i) {
      if (i > 0) out_ += separator;
      if (axis_of.cut() && i == edge_) out_ += "..." + separator;
      axis(depth + 1);
    }
    out_ += ']';
  }

  const Shape& shape_;
  index_t edge_;
  const std::vector<std::string>& cells_;
  std::size_t width_ = 0;
  std::size_t next_ = 0;
  std::string out_;
};

}  // namespace detail

template <Scalar T>
std::string to_string(const Tensor<T>& tensor) {
  if (!tensor.defined()) return cat("undefined tensor of ", dtype_name<T>());
  using Cell = std::conditional_t<Floating<T>, double,
                                  std::conditional_t<std::is_same_v<T, bool>, bool, index_t>>;
  const Tensor<T> x = tensor.to(cpu);
  const Shape& shape = x.shape();
  const index_t edge = detail::print_edge(shape);
  std::vector<Cell> shown;
  const auto collect = [&](const auto& self, int depth, index_t offset) -> void {
    if (depth == shape.rank()) {
      shown.push_back(static_cast<Cell>(x.data()[offset]));
      return;
    }
    const detail::PrintedAxis axis{shape[depth], edge};
    for (index_t i = 0; i < axis.count(); ++i) {
      self(self, depth + 1, offset + axis.index(i) * x.strides()[depth]);
    }
  };
  collect(collect, 0, 0);
  const std::vector<std::string> cells = detail::format_cells(shown);
  return cat(detail::PrintLayout(shape, edge, cells).text(), "\n", dtype_name<T>(), " ", shape,
             " on ", tensor.device());
}

template <Scalar T>
std::ostream& operator<<(std::ostream& out, const Tensor<T>& tensor) {
  return out << to_string(tensor);
}

}  // namespace plume
