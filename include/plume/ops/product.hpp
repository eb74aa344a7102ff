#pragma once
// product: C = A B over the last two axes, for every index of the batch axes that precede them.
//
//   A [.., M, K]   B [.., K, N]   C [.., M, N]
//
// Batch axes broadcast. Where C has none of an axis that A or B has, C is the sum over it: that is the
// gradient of broadcasting. Operands may have any strides and are not copied. Batch axes are folded into
// M, N or K where the strides allow it, so that a linear layer and its weight gradient are one product
// each, however many axes the activations have.

#include <array>

#include "plume/core/extern_template.hpp"
#include "plume/core/tensor.hpp"
#include "plume/ops/cpu/gemm.hpp"

namespace plume {

/// C[b] = alpha op(A[b]) op(B[b]) + beta C[b], row-major: op(A) is (M, K), op(B) (K, N). lda is the step
/// between rows of A as stored ((K, M) where transposed), and so on; a batch stride of 0 repeats.
template <class T>
inline DeviceKernel<void(const T* a, const T* b, T* c, index_t M, index_t N, index_t K,
                         bool transpose_a, bool transpose_b, index_t lda, index_t ldb, index_t ldc,
                         index_t batch, index_t a_batch_stride, index_t b_batch_stride,
                         index_t c_batch_stride, double alpha, double beta)>
    matmul_cuda{"matmul"};

namespace detail {

/// How the operands A, B and C of a product are walked; operand 0 is A, 1 is B, 2 is C.
struct ProductPlan {
  static constexpr std::size_t A = 0, B = 1, C = 2;

  std::array<index_t, 3> size{};        ///< M, N, K
  std::array<index_t, 3> row{}, col{};  ///< strides of the matrices
  Dims kept, summed;                    ///< sizes of the batch axes that C has, and has not
  std::array<Strides, 3> kept_step, summed_step;

  /// `batch`: sizes of the batch axes. Strides have that many entries and two more.
  ProductPlan(const Dims& batch, const std::array<Strides, 3>& strides, index_t m, index_t n,
              index_t k)
      : size{m, n, k} {
    const int rank = batch.rank();
    std::array<Strides, 3> steps = strides;
    for (std::size_t i = 0; i < 3; ++i) {
      row[i] = strides[i][rank];
      col[i] = strides[i][rank + 1];
      steps[i].pop_back();
      steps[i].pop_back();
    }
    Dims sizes = batch;
    collapse(sizes, steps);
    for (int axis = sizes.rank() - 1; axis >= 0; --axis) {
      if (!fold(sizes[axis], {steps[A][axis], steps[B][axis], steps[C][axis]})) continue;
      sizes.erase(axis);
      for (Strides& s : steps) s.erase(axis);
      axis = sizes.rank();  // another axis may fold now
    }
    for (int axis = 0; axis < sizes.rank(); ++axis) {
      const bool sum = steps[C][axis] == 0;
      (sum ? summed : kept).push_back(sizes[axis]);
      for (std::size_t i = 0; i < 3; ++i) {
        (sum ? summed_step : kept_step)[i].push_back(steps[i][axis]);
      }
    }
  }

  static index_t count(const Dims& sizes) {
    index_t n = 1;
    for (const index_t s : sizes) n *= s;
    return n;
  }
  /// Where the matrices of the given index over `sizes` begin.
  static Offsets<3> offsets(const Dims& sizes, const std::array<Strides, 3>& steps, index_t index) {
    Offsets<3> out{};
    for (int axis = sizes.rank() - 1; axis >= 0; --axis) {
      const index_t at = index % sizes[axis];
      index /= sizes[axis];
      for (std::size_t i = 0; i < 3; ++i) out[i] += at * steps[i][axis];
    }
    return out;
  }

 private:
  // The batch axis becomes part of M, N or K if one operand lacks it and the other two step over it as
  // over more rows or columns.
  bool fold(index_t n, const std::array<index_t, 3>& step) {
    if (step[B] == 0 && grow(0, n, step[A], row[A], step[C], row[C])) return true;
    if (step[A] == 0 && grow(1, n, step[B], col[B], step[C], col[C])) return true;
    return step[C] == 0 && grow(2, n, step[A], col[A], step[B], row[B]);
  }
  bool grow(std::size_t which, index_t n, index_t x_step, index_t& x, index_t y_step, index_t& y) {
    index_t& length = size[which];
    if (length != 1 && (x_step != length * x || y_step != length * y)) return false;
    if (length == 1) {
      x = x_step;
      y = y_step;
    }
    length *= n;
    return true;
  }
};

template <Floating T, Floating TC>
void product_on_cpu(const ProductPlan& plan, const T* a, const T* b, TC* c, bool add) {
  const index_t m = plan.size[0], n = plan.size[1];
  index_t k = plan.size[2];
  const index_t kept = ProductPlan::count(plan.kept);
  index_t summed = ProductPlan::count(plan.summed);
  if (summed == 0) {  // a sum of nothing: C = 0 A B
    k = 0;
    summed = 1;
  }
  const auto one = [&plan, a, b, c, add, m, n, k, summed](index_t index) {
    const Offsets<3> base = ProductPlan::offsets(plan.kept, plan.kept_step, index);
    for (index_t s = 0; s < summed; ++s) {
      const Offsets<3> more =
          k == 0 ? Offsets<3>{} : ProductPlan::offsets(plan.summed, plan.summed_step, s);
      kernel::gemm<TC, T, T>(m, n, k, 1, {a + base[0] + more[0], plan.row[0], plan.col[0]},
                             {b + base[1] + more[1], plan.row[1], plan.col[1]},
                             add || s > 0 ? 1 : 0, {c + base[2], plan.row[2], plan.col[2]});
    }
  };
  // Small products are divided among the threads whole; a large one uses all threads itself.
  const index_t cost = m * n * (k + 8) / 32 * summed;
  if (kept > 1 && (cost < 2 * chunk_ns || kept >= 4 * available_threads())) {
    parallel_for(kept, cost, [&one](index_t begin, index_t end) {
      for (index_t i = begin; i < end; ++i) one(i);
    });
  } else {
    for (index_t i = 0; i < kept; ++i) one(i);
  }
}

#if defined(PLUME_EXTERN_TEMPLATE)
PLUME_EXTERN_TEMPLATE void product_on_cpu(const ProductPlan&, const float*, const float*, float*,
                                          bool);
PLUME_EXTERN_TEMPLATE void product_on_cpu(const ProductPlan&, const double*, const double*, double*,
                                          bool);
#endif

/// An operand as the device kernel takes it: `ld`, and whether it is stored transposed. False if it must
/// be copied first.
inline bool device_layout(index_t rows, index_t cols, index_t row, index_t col, bool& transposed,
                          index_t& ld) {
  transposed = false;
  ld = rows == 1 ? cols : row;
  if ((cols == 1 || col == 1) && ld >= cols) return true;
  transposed = true;
  ld = cols == 1 ? rows : col;
  return (rows == 1 || row == 1) && ld >= rows;
}

/// False if an operand must be copied first.
template <Floating T>
bool product_on_device(const ProductPlan& plan, const T* a, const T* b, T* c, bool add) {
  const auto [m, n, k] = plan.size;
  bool ta, tb, tc;
  index_t lda, ldb, ldc;
  if (!device_layout(m, k, plan.row[0], plan.col[0], ta, lda) ||
      !device_layout(k, n, plan.row[1], plan.col[1], tb, ldb) ||
      !device_layout(m, n, plan.row[2], plan.col[2], tc, ldc) || tc) {
    return false;
  }
  // The last batch axis goes into the kernel.
  Dims outer = plan.kept;
  std::array<Strides, 3> steps = plan.kept_step;
  index_t batch = 1;
  std::array<index_t, 3> batch_step{};
  if (!outer.empty()) {
    batch = outer.back();
    outer.pop_back();
    for (std::size_t i = 0; i < 3; ++i) {
      batch_step[i] = steps[i].back();
      steps[i].pop_back();
    }
  }
  const index_t summed = ProductPlan::count(plan.summed);
  for (index_t o = 0; o < ProductPlan::count(outer); ++o) {
    const Offsets<3> base = ProductPlan::offsets(outer, steps, o);
    for (index_t s = 0; s < summed; ++s) {
      const Offsets<3> more = ProductPlan::offsets(plan.summed, plan.summed_step, s);
      matmul_cuda<T>(a + base[0] + more[0], b + base[1] + more[1], c + base[2], m, n, k, ta, tb,
                     lda, ldb, ldc, batch, batch_step[0], batch_step[1], batch_step[2], 1.0,
                     add || s > 0 ? 1.0 : 0.0);
    }
  }
  return true;
}

/// The first rank - 2 sizes.
inline Shape batch_axes(const Shape& shape) {
  Dims out = shape;
  out.pop_back();
  out.pop_back();
  return Shape(out);
}

inline ProductPlan plan_product(const Shape& batch, const Shape& a, const Strides& a_strides,
                                const Shape& b, const Strides& b_strides, const Shape& c,
                                const Strides& c_strides) {
  const auto stretch = [&batch](const Shape& shape, const Strides& strides) {
    Dims full = batch;
    full.push_back(shape[shape.rank() - 2]);
    full.push_back(shape.back());
    return broadcast_strides(shape, strides, Shape(full));
  };
  return {batch,
          {stretch(a, a_strides), stretch(b, b_strides), stretch(c, c_strides)},
          a[a.rank() - 2],
          b.back(),
          a.back()};
}

/// C = A B, or C += A B. The caller has checked shapes (rank >= 2) and devices. C's batch axes broadcast
/// to those of A B; its strides are its own.
template <Floating T, Floating TC>
void product_into(const Tensor<T>& a, const Tensor<T>& b, Tensor<TC>& c, bool add = false) {
  const Shape batch = broadcast_shapes("matmul", batch_axes(a.shape()), batch_axes(b.shape()));
  const ProductPlan plan =
      plan_product(batch, a.shape(), a.strides(), b.shape(), b.strides(), c.shape(), c.strides());
  if (a.device().is_cpu()) return product_on_cpu(plan, a.data(), b.data(), c.data(), add);
  if constexpr (std::is_same_v<T, TC>) {
    if (a.numel() == 0 || b.numel() == 0) {
      if (!add) c.fill(T{});
    } else if (!product_on_device(plan, a.data(), b.data(), c.data(), add)) {
      if (!c.is_contiguous()) fail<ShapeError>("matmul", "a contiguous result", c.strides());
      product_into(a.clone(), b.clone(), c, add);
    }
  } else {
    fail<DeviceError>("matmul", "operands and result of one scalar type on a device", a.device());
  }
}

/// C of `shape` = A B. Sums over batch axes are kept in accumulate_t<T> and rounded once.
template <Floating T>
Tensor<T> product(const Tensor<T>& a, const Tensor<T>& b, const Shape& shape) {
  using A = accumulate_t<T>;
  if constexpr (!std::is_same_v<A, T>) {
    const Shape batch = broadcast_shapes("matmul", batch_axes(a.shape()), batch_axes(b.shape()));
    if (a.device().is_cpu() && !(batch_axes(shape) == batch)) {
      Tensor<A> sum(shape);
      product_into(a, b, sum);
      return sum.template cast<T>();
    }
  }
  Tensor<T> c(shape, a.device());
  product_into(a, b, c);
  return c;
}

}  // namespace detail

}  // namespace plume
