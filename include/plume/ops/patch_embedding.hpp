#pragma once
// patch_embedding: the first layer of a vision transformer (Dosovitskiy et al., arXiv 2010.11929): a linear
// layer on square patches that do not overlap. The same as a convolution whose stride is its kernel's size.
//
//   y[n, gy G + gx, o] = b[o] + sum_{c, i, j} w[o, c, i, j] x[n, c, gy p + i, gx p + j],   G = S' / p
//
//   x [N, C, S, S']   w [W, C, p, p]   b [W], optional   y [N, (S / p) (S' / p), W]
//
// A patch as a vector (channel, row, column) is a row of a matrix; blocks of images, not all at once, are
// laid out so and multiplied by w. Backward lays them out again rather than keep them.

#include "plume/ops/linear.hpp"

namespace plume {

inline constexpr OpInfo patch_embedding_info{
    .name = "patch_embedding", .formula = "y = patches(x) w^T + b", .device = true};

namespace detail {

struct PatchGrid {
  index_t N, C, rows, cols, p, W;  // rows x cols patches of p x p

  template <Floating T>
  PatchGrid(std::string_view op, const Tensor<T>& images, const Shape& weight) {
    if (weight.rank() != 4 || weight[2] != weight[3] || weight[2] < 1) {
      fail<ShapeError>(op, "weight [W, C, p, p]", weight);
    }
    p = weight[2];
    if (images.rank() != 4 || images.shape()[1] != weight[1] || images.shape()[2] % p != 0 ||
        images.shape()[3] % p != 0) {
      fail<ShapeError>(op, cat("images [N, ", weight[1], ", S, S'] with S and S' multiples of ", p),
                       images.shape());
    }
    const Shape& x = images.shape();
    N = x[0], C = x[1], rows = x[2] / p, cols = x[3] / p, W = weight[0];
  }
  [[nodiscard]] index_t patches() const { return rows * cols; }
  [[nodiscard]] index_t size() const { return C * p * p; }
  /// Images [N, C, S, S'] seen as [N, rows, cols, C, p, p].
  template <Floating T>
  [[nodiscard]] Tensor<T> view(const Tensor<T>& images) const {
    return images.reshape({N, C, rows, p, cols, p}).permute({0, 2, 4, 1, 3, 5});
  }
  /// block(begin, end, M) for ranges of images that have enough patches, M, for a fast product.
  template <class F>
  void blocks(Device device, F block) const {
    const index_t step =
        device.is_cpu() ? (256 + patches()) / (patches() + 1) : std::max<index_t>(N, 1);
    for (index_t n = 0; n < N; n += step) {
      const index_t end = std::min(N, n + step);
      block(n, end, (end - n) * patches());
    }
  }
};

}  // namespace detail

namespace definition {
template <Floating T>
Tensor<T> patch_embedding(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b = {}) {
  const detail::PatchGrid grid("patch_embedding", x, w.shape());
  Tensor<T> y(Shape{grid.N, grid.patches(), grid.W});
  for (index_t k = 0; k < y.numel(); ++k) {
    const index_t o = k % grid.W, patch = k / grid.W % grid.patches();
    const index_t n = k / grid.W / grid.patches();
    double sum = b.defined() ? static_cast<double>(b(o)) : 0;
    for (index_t c = 0; c < grid.C; ++c) {
      for (index_t i = 0; i < grid.p; ++i) {
        for (index_t j = 0; j < grid.p; ++j) {
          sum += static_cast<double>(w(o, c, i, j)) *
                 static_cast<double>(
                     x(n, c, patch / grid.cols * grid.p + i, patch % grid.cols * grid.p + j));
        }
      }
    }
    y.data()[k] = static_cast<T>(static_cast<accumulate_t<T>>(sum));
  }
  return y;
}
}  // namespace definition

/// y [N, patches, W], patches row by row. `b` may be undefined. Throws ShapeError for sizes that p does not
/// divide.
template <Floating T>
Tensor<T> patch_embedding(const Tensor<T>& x, const Tensor<T>& w, const Tensor<T>& b = {}) {
  const detail::PatchGrid grid("patch_embedding", x, w.shape());
  x.require_same_device("patch_embedding", w);
  const Shape bias{grid.W};
  if (b.defined() && !(b.shape() == bias)) {
    fail<ShapeError>("patch_embedding", cat("bias of shape ", bias), b.shape());
  }
  const Shape shape{grid.N, grid.patches(), grid.W};
  Tensor<T> y = b.defined() ? b.broadcast_to(shape).clone() : Tensor<T>(shape, x.device());
  const Tensor<T> patches = grid.view(x);
  const Tensor<T> weight = w.reshape({grid.W, grid.size()}).transpose(0, 1);
  grid.blocks(x.device(), [&](index_t begin, index_t end, index_t M) {
    Tensor<T> out = y.slice(0, begin, end).reshape({M, grid.W});
    detail::product_into(patches.slice(0, begin, end).reshape({M, grid.size()}), weight, out,
                         b.defined());
  });
  return y;
}

/// dx [N, C, S, S'] from dy and w.
template <Floating T>
Tensor<T> patch_embedding_backward_x(const Tensor<T>& dy, const Tensor<T>& w, const Shape& shape) {
  Tensor<T> dx(shape, dy.device());
  const detail::PatchGrid grid("patch_embedding_backward_x", dx, w.shape());
  Tensor<T> patches = grid.view(dx);
  const Tensor<T> weight = w.reshape({grid.W, grid.size()});
  grid.blocks(dy.device(), [&](index_t begin, index_t end, index_t M) {
    const Tensor<T> g = dy.slice(0, begin, end).reshape({M, grid.W});
    Tensor<T> part = patches.slice(0, begin, end);
    part.copy_from(detail::product(g, weight, Shape{M, grid.size()}).reshape(part.shape()));
  });
  return dx;
}

/// dw [W, C, p, p] from dy and x.
template <Floating T>
Tensor<T> patch_embedding_backward_w(const Tensor<T>& dy, const Tensor<T>& x, const Shape& shape) {
  const detail::PatchGrid grid("patch_embedding_backward_w", x, shape);
  const Tensor<T> patches = grid.view(x);
  const Shape matrix{grid.W, grid.size()};
  const auto add_to = [&](auto& dw) {
    if (grid.N == 0) dw.fill({});
    grid.blocks(x.device(), [&](index_t begin, index_t end, index_t M) {
      const Tensor<T> g = dy.slice(0, begin, end).reshape({M, grid.W});
      detail::product_into(g.transpose(0, 1),
                           patches.slice(0, begin, end).reshape({M, grid.size()}), dw, begin > 0);
    });
  };
  if (!x.device().is_cpu()) {
    Tensor<T> dw(matrix, x.device());
    add_to(dw);
    return dw.reshape(shape);
  }
  Tensor<accumulate_t<T>> dw(matrix);
  add_to(dw);
  return dw.template cast<T>().reshape(shape);
}

/// Differentiable in x, w and b (which may be an undefined Var: no bias).
template <Floating T>
Var<T> patch_embedding(const Var<T>& x, const Var<T>& w, const Var<T>& b = {}) {
  const detail::ProductOperands<T> operands("patch_embedding");
  const Tensor<T> pixels = operands.round(x.value());
  return record("patch_embedding",
                operands.result(patch_embedding(pixels, operands.round(w.value()), b.value())),
                inputs(x, w, b),
                [operands, x = operands.keep_if(w.requires_grad(), pixels),
                 w = saved_if(x.requires_grad(), w.value())](const Tensor<T>& dy, GradSink<T> dx,
                                                             GradSink<T> dw, GradSink<T> db) {
                  const Tensor<T> g = operands.round(dy);
                  if (dx) dx += patch_embedding_backward_x(g, operands.round(*w), dx.shape());
                  if (dw) dw += patch_embedding_backward_w(g, x.value(), dw.shape());
                  if (db) db += linear_backward_b(dy);
                });
}

}  // namespace plume
