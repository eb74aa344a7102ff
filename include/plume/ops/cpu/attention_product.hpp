#pragma once
// The matrix products of fused attention: the micro-kernel of gemm (gemm_kernel.hpp) with more freedom. It
// is one or two vectors wide, its left operand is packed or lies by rows, and its result is added to where
// it lies, or changed before it leaves the registers.

#include <cstddef>
#include <utility>

#include "plume/ops/cpu/gemm_kernel.hpp"

namespace plume::kernel {
inline namespace PLUME_VECTOR_ABI {
namespace detail {

/// Where a product goes: c = product + c decay, without a decay c = product + c if `add`, else c = product;
/// with p, c = p (product - delta). decay and delta hold a number for each lane; p lies as c does.
template <class R>
struct LaneResult {
  R* c;
  index_t stride;
  bool add = false;
  const R* decay = nullptr;
  const R* p = nullptr;
  const R* delta = nullptr;
};

// V vectors of a row. Named members: arrays of arrays would not stay in registers.
template <class R, index_t V>
struct LaneRow {
  Vector<R> left, right;

  explicit LaneRow(const R* from) noexcept : left(load(from)), right(load(from + vector_size<R>)) {}
  LaneRow() noexcept : left{}, right{} {}
  void store(R* to) const noexcept {
    kernel::store<R>(to, left);
    kernel::store<R>(to + vector_size<R>, right);
  }
  LaneRow& operator*=(const LaneRow& x) noexcept {
    left *= x.left;
    right *= x.right;
    return *this;
  }
  LaneRow& operator-=(const LaneRow& x) noexcept {
    left -= x.left;
    right -= x.right;
    return *this;
  }
  void multiply_add(R a, const LaneRow& b) noexcept {
    Vector<R> x = broadcast(a);
    kernel::pin(x);
    left += x * b.left;
    right += x * b.right;
  }
  void pin() noexcept {
    kernel::pin(left);
    kernel::pin(right);
  }
};
template <class R>
struct LaneRow<R, 1> {
  Vector<R> left;

  explicit LaneRow(const R* from) noexcept : left(load(from)) {}
  LaneRow() noexcept : left{} {}
  void store(R* to) const noexcept { kernel::store<R>(to, left); }
  LaneRow& operator*=(const LaneRow& x) noexcept {
    left *= x.left;
    return *this;
  }
  LaneRow& operator-=(const LaneRow& x) noexcept {
    left -= x.left;
    return *this;
  }
  void multiply_add(R a, const LaneRow& b) noexcept {
    Vector<R> x = broadcast(a);
    kernel::pin(x);
    left += x * b.left;
  }
  void pin() noexcept { kernel::pin(left); }
};

// The product of sum over k < depth of a[i * AI + k * AK] b[k * b_stride + lane] for rows i = I.
template <index_t V, index_t AI, index_t AK, class R, std::size_t... I>
[[gnu::noinline]] void lane_product(index_t depth, const R* a, const R* b, index_t b_stride,
                                    const LaneResult<R>& out, std::index_sequence<I...>) noexcept {
  using Row = LaneRow<R, V>;
  const index_t stride = out.stride;
  R* const c = out.c;
  Row row[sizeof...(I)];
  if (out.add || out.decay != nullptr) {
    ((row[I] = Row(c + static_cast<index_t>(I) * stride)), ...);
  }
  if (out.decay != nullptr) {
    const Row decay(out.decay);
    ((row[I] *= decay), ...);
  }
  for (index_t k = 0; k < depth; ++k) {
    Row right(b);
    right.pin();
    (row[I].multiply_add(a[static_cast<index_t>(I) * AI], right), ...);
    a += AK;
    b += b_stride;
  }
  if (out.p != nullptr) {
    const Row delta(out.delta);
    ((row[I] -= delta), ...);
    ((row[I] *= Row(out.p + static_cast<index_t>(I) * stride)), ...);
  }
  (row[I].store(c + static_cast<index_t>(I) * stride), ...);
}

/// n rows of products (whole thirds of tile_rows are written): of a packed left operand, `step` deep, or one
/// that lies in rows of tile_cols (step is then not used), with `vectors` (1 or 2) vectors of b.
template <bool Packed, class R>
void lane_products(index_t n, index_t depth, const R* a, index_t step, const R* b, index_t b_stride,
                   index_t vectors, LaneResult<R> out) noexcept {
  constexpr index_t MR = tile_rows<R>, N = tile_cols<R>, few = MR / 3;
  constexpr index_t AI = Packed ? 1 : N, AK = Packed ? MR : 1;
  constexpr auto all = std::make_index_sequence<static_cast<std::size_t>(MR)>{};
  constexpr auto some = std::make_index_sequence<static_cast<std::size_t>(few)>{};
  for (index_t i = 0; i < n;) {
    const index_t within = i % MR;
    const R* from = Packed ? a + (i - within) * step + within : a + i * N;
    const bool whole = n - i > MR - few && within == 0;
    if (vectors == 1) {
      if constexpr (Packed) {
        if (whole) {
          lane_product<1, AI, AK>(depth, from, b, b_stride, out, all);
        } else {
          lane_product<1, AI, AK>(depth, from, b, b_stride, out, some);
        }
      }
    } else if (whole) {
      lane_product<2, AI, AK>(depth, from, b, b_stride, out, all);
    } else {
      lane_product<2, AI, AK>(depth, from, b, b_stride, out, some);
    }
    const index_t done = whole ? MR : few;
    i += done;
    out.c += done * out.stride;
    if (out.p != nullptr) out.p += done * out.stride;
  }
}

}  // namespace detail
}  // namespace PLUME_VECTOR_ABI
}  // namespace plume::kernel
