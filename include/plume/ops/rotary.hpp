#pragma once
// rotary position embedding (Su et al., arXiv 2104.09864), in the half-split form of GPT-NeoX and LLaMA. Of the
// channels of a head the first r turn, in pairs (i, i + r/2), i < r/2; the others pass through:
//
//   y_i       = x_i       cos(p theta_i) - x_{i+r/2} sin(p theta_i)       theta_i = base^(-2i/r)
//   y_{i+r/2} = x_{i+r/2} cos(p theta_i) + x_i       sin(p theta_i)
//
//   x, y [.., T, .., hd], any one axis but the last being time   p [T], or [B, T] with B the first axis of x
//
// dx is dy turned back. The sines are a table that queries, keys and all layers share; it is kept in float32
// as the reference does, also for double.

#include <cmath>

#include "plume/autograd/var.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"

namespace plume {

inline constexpr OpInfo rotary_info{
    .name = "rotary", .formula = "(y_i, y_{i+r/2}) = (x_i, x_{i+r/2}) turned by p base^(-2i/r)"};

/// How the angle p theta_i is computed, before its sine is rounded to float32.
enum class RotaryAngle {
  exact,  ///< in double
  float32  ///< theta_i and the product are rounded to float32, as in the tables the released models met
};

/// cos and sin of p theta_i, [T, r/2] or [B, T, r/2].
struct RotaryTable {
  Tensor<float> cos;
  Tensor<float> sin;
  [[nodiscard]] index_t channels() const { return 2 * cos.size(-1); }  ///< r
};

/// The table for `positions` [T] or [B, T] (any integers), r even and positive, base > 0. Positions are divided by
/// `stretch` > 0: linear scaling, with which a model reads longer texts than it was trained on.
inline RotaryTable rotary_table(const Tensor<std::int64_t>& positions, index_t r,
                                double base = 10000, RotaryAngle angle = RotaryAngle::exact,
                                double stretch = 1) {
  detail::require_cpu("rotary", positions);
  if (positions.rank() != 1 && positions.rank() != 2) {
    fail<ShapeError>("rotary", "positions of shape [T] or [B, T]", positions.shape());
  }
  if (r < 2 || r % 2 != 0) fail<ValueError>("rotary", "an even number of channels >= 2", r);
  if (!(base > 0)) fail<ValueError>("rotary", "a base > 0", base);
  if (!(stretch > 0)) fail<ValueError>("rotary", "a stretch > 0", stretch);
  Dims sizes = positions.shape();
  sizes.push_back(r / 2);
  RotaryTable table{Tensor<float>(Shape(sizes)), Tensor<float>(Shape(sizes))};
  const Tensor<std::int64_t> compact = positions.contiguous();
  const std::int64_t* p = compact.data();
  float* cos = table.cos.data();
  float* sin = table.sin.data();
  parallel_for(positions.numel(), 80 * (r / 2), [=](index_t begin, index_t end) {
    for (index_t i = 0; i < r / 2; ++i) {
      double theta = std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(r));
      if (angle == RotaryAngle::float32) theta = static_cast<double>(static_cast<float>(theta));
      for (index_t t = begin; t < end; ++t) {
        double place = static_cast<double>(p[t]) / stretch;
        if (angle == RotaryAngle::float32) place = static_cast<double>(static_cast<float>(place));
        double a = place * theta;
        if (angle == RotaryAngle::float32) a = static_cast<double>(static_cast<float>(a));
        cos[t * (r / 2) + i] = static_cast<float>(std::cos(a));
        sin[t * (r / 2) + i] = static_cast<float>(std::sin(a));
      }
    }
  });
  return table;
}

namespace definition {
/// For x [B, H, T, hd] and positions [B, T], with the table of RotaryAngle::exact.
template <Floating T>
Tensor<T> rotary(const Tensor<T>& x, const Tensor<std::int64_t>& positions, index_t r,
                 double base = 10000) {
  Tensor<T> y = x.clone();
  for (index_t b = 0; b < x.size(0); ++b) {
    for (index_t h = 0; h < x.size(1); ++h) {
      for (index_t t = 0; t < x.size(2); ++t) {
        for (index_t i = 0; i < r / 2; ++i) {
          const double angle = static_cast<double>(positions(b, t)) *
                               std::pow(base, -2 * static_cast<double>(i) / static_cast<double>(r));
          using A = accumulate_t<T>;
          const A c = static_cast<A>(static_cast<float>(std::cos(angle)));
          const A s = static_cast<A>(static_cast<float>(std::sin(angle)));
          const A u = static_cast<A>(x(b, h, t, i));
          const A v = static_cast<A>(x(b, h, t, i + r / 2));
          y(b, h, t, i) = static_cast<T>(u * c - v * s);
          y(b, h, t, i + r / 2) = static_cast<T>(v * c + u * s);
        }
      }
    }
  }
  return y;
}
}  // namespace definition

namespace detail {

// x turned by the angles of the table (direction 1) or back (-1).
template <Floating T>
Tensor<T> rotate(std::string_view op, const Tensor<T>& x, const RotaryTable& table,
                 index_t time_axis, int direction) {
  using A = accumulate_t<T>;
  require_cpu(op, x);
  require_cpu(op, table.cos);
  if (x.rank() < 2) fail<ShapeError>(op, "x of rank >= 2", x.shape());
  const int time = normalize_axis(op, time_axis, x.rank());
  if (time == x.rank() - 1) {
    fail<ShapeError>(op, "a time axis before the last one, which holds the channels", time_axis);
  }
  const index_t half = table.cos.size(-1);
  if (2 * half > x.size(-1)) {
    fail<ShapeError>(op, cat("at least ", 2 * half, " channels, that many turn"), x.shape());
  }
  const bool batched = table.cos.rank() == 3;
  const bool fits = table.cos.size(-2) == x.size(time) &&
                    (!batched || (time != 0 && table.cos.size(0) == x.size(0)));
  if (!fits) {
    fail<ShapeError>(
        op, cat("positions for axis ", time, batched ? " and batch" : "", " of ", x.shape()),
        cat("a table of shape ", table.cos.shape()));
  }
  // One loop over (row, i < half) with the operands y, x and table; the partners are half a turn further on.
  Tensor<T> y(x.shape());
  Dims pairs = x.shape();
  pairs[x.rank() - 1] = half;
  Strides steps;
  for (int axis = 0; axis < x.rank(); ++axis) steps.push_back(0);
  const Tensor<float> cos = table.cos.contiguous(), sin = table.sin.contiguous();
  if (batched) steps[0] = half * table.cos.size(1);
  steps[time] = half;
  steps[x.rank() - 1] = 1;
  T* const py = y.data();
  const T* const px = x.data();
  const float* const pc = cos.data();
  const float* const ps = sin.data();
  const index_t y_half = half;
  const index_t x_half = half * x.strides()[x.rank() - 1];
  const A sign = static_cast<A>(direction);
  strided_loop<3>(Shape(pairs), {y.strides(), x.strides(), steps}, 2,
                  [=](index_t n, const auto& offset, const auto& step) {
                    T* y1 = py + offset[0];
                    T* y2 = y1 + y_half;
                    const T* x1 = px + offset[1];
                    const T* x2 = x1 + x_half;
                    const float* c = pc + offset[2];
                    const float* s = ps + offset[2];
                    const auto turn = [=](index_t to, index_t from, index_t at) {
                      const A u = static_cast<A>(x1[from]);
                      const A v = static_cast<A>(x2[from]);
                      const A co = static_cast<A>(c[at]);
                      const A si = sign * static_cast<A>(s[at]);
                      y1[to] = static_cast<T>(u * co - v * si);
                      y2[to] = static_cast<T>(v * co + u * si);
                    };
                    if (step[0] == 1 && step[1] == 1 && step[2] == 1) {
                      PLUME_SIMD
                      for (index_t i = 0; i < n; ++i) turn(i, i, i);
                      return;
                    }
                    const Offsets<3> d = step;
                    for (index_t i = 0; i < n; ++i) turn(i * d[0], i * d[1], i * d[2]);
                  });
  if (2 * half < x.size(-1)) {
    y.slice(-1, 2 * half, x.size(-1)).copy_from(x.slice(-1, 2 * half, x.size(-1)));
  }
  return y;
}

}  // namespace detail

/// x turned by the angles of the table. x [B, H, T, hd] as it stands; [B, T, H, hd] with time_axis 1.
template <Floating T>
Tensor<T> rotary(const Tensor<T>& x, const RotaryTable& table, index_t time_axis = -2) {
  return detail::rotate("rotary", x, table, time_axis, 1);
}

/// dx: dy turned back.
template <Floating T>
Tensor<T> rotary_backward(const Tensor<T>& dy, const RotaryTable& table, index_t time_axis = -2) {
  return detail::rotate("rotary_backward", dy, table, time_axis, -1);
}

template <Floating T>
Var<T> rotary(const Var<T>& x, const RotaryTable& table, index_t time_axis = -2) {
  return record("rotary", rotary(x.value(), table, time_axis), inputs(x),
                [table, time_axis](const Tensor<T>& dy, GradSink<T> dx) {
                  if (dx) dx += rotary_backward(dy, table, time_axis);
                });
}

}  // namespace plume
