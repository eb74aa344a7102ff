#pragma once
// attention: scaled dot-product attention (Vaswani et al., arXiv 1706.03762), self or cross.
//
//   y_t = sum_s p_ts v_s     p_t = softmax_s(scale q_t . k_s + bias_ts) over the keys s that query t sees
//
//   q [B, H, T, hd]   k, v [B, H, S, hd]   y [B, H, T, hd]   scale: 1 / sqrt(hd) unless given
//
//   causal       query t stands at key t + S - T and sees no later one (queries are the last T positions)
//   key_mask     [B, S], false: a padding key, which nobody sees
//   ALiBi        bias_ts = m_h (s - (t + S - T)), m [H] (Press, Smith, Lewis, arXiv 2108.12409)
//
// A query that sees no key has y = 0 and passes no gradient. Fused: no B H T S matrix exists. Forward
// goes over tiles of keys with a running softmax and saves only lse [B, H, T], the logarithm of the sum
// of e^score; backward computes the scores again:
//
//   dP = dy v^T    dS = P (dP - sum_c dy y)    dq = scale dS k    dk = scale dS^T q    dv = P^T dy
//
// That is five products of T S hd where an op that has stored the probabilities does four.
//
// Inputs may be any views, such as [B, T, H, hd] permuted. The result lies as [B, T, H, hd], so that
// y.permute({0, 2, 1, 3}).reshape({B, T, H * hd}) copies nothing.

#include <optional>

#include "plume/autograd/var.hpp"
#include "plume/ops/cpu/attention_backward.hpp"
#include "plume/ops/cpu/attention_forward.hpp"
#include "plume/ops/map.hpp"
#include "plume/ops/op.hpp"
#include "plume/ops/product_operands.hpp"

namespace plume {

inline constexpr OpInfo attention_info{
    .name = "attention", .formula = "y = softmax(scale q k^T + bias) v over visible keys"};

struct AttentionOptions {
  bool causal = false;
  Tensor<bool> key_mask{};       ///< [B, S]; undefined: every key is real
  Tensor<float> alibi_slopes{};  ///< [H]; undefined: no ALiBi
  std::optional<double> scale{};
};

/// The gradients that were wanted, the others undefined.
template <Floating T>
struct AttentionGrads {
  Tensor<T> dq, dk, dv;
};

namespace detail {

inline double attention_scale(const std::optional<double>& scale, index_t size) {
  return scale.value_or(1 / std::sqrt(static_cast<double>(size)));
}
inline void check_scale(std::string_view op, const std::optional<double>& scale) {
  if (scale && !std::isfinite(*scale)) fail<ValueError>(op, "a finite scale", *scale);
}

}  // namespace detail

namespace definition {

/// Attention by the book, one query after the other, in double. sees(b, t, s) and bias(h, t, s).
template <Floating T, class Sees, class Bias>
Tensor<T> attend(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v, double scale,
                 Sees sees, Bias bias) {
  Tensor<T> y = zeros<T>(q.shape());
  const index_t S = k.size(2);
  for (index_t b = 0; b < q.size(0); ++b) {
    for (index_t h = 0; h < q.size(1); ++h) {
      for (index_t t = 0; t < q.size(2); ++t) {
        std::vector<double> score(static_cast<std::size_t>(S), -HUGE_VAL);
        double most = -HUGE_VAL, sum = 0;
        for (index_t s = 0; s < S; ++s) {
          if (!sees(b, t, s)) continue;
          double dot = 0;
          for (index_t c = 0; c < q.size(3); ++c) {
            dot += static_cast<double>(q(b, h, t, c)) * static_cast<double>(k(b, h, s, c));
          }
          score[static_cast<std::size_t>(s)] = scale * dot + bias(h, t, s);
          most = std::max(most, score[static_cast<std::size_t>(s)]);
        }
        if (most == -HUGE_VAL) continue;  // no key: 0
        for (double& e : score) sum += e = std::exp(e - most);
        for (index_t c = 0; c < q.size(3); ++c) {
          double out = 0;
          for (index_t s = 0; s < S; ++s) {
            const double p = score[static_cast<std::size_t>(s)] / sum;
            if (p > 0) out += p * static_cast<double>(v(b, h, s, c));
          }
          y(b, h, t, c) = static_cast<T>(static_cast<accumulate_t<T>>(out));
        }
      }
    }
  }
  return y;
}

template <Floating T>
Tensor<T> attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                    const AttentionOptions& options = {}) {
  const index_t offset = k.size(2) - q.size(2);
  const double scale = plume::detail::attention_scale(options.scale, q.size(3));
  const auto sees = [&](index_t b, index_t t, index_t s) {
    return (!options.causal || s <= t + offset) &&
           (!options.key_mask.defined() || options.key_mask(b, s));
  };
  const auto bias = [&](index_t h, index_t t, index_t s) {
    if (!options.alibi_slopes.defined()) return 0.0;
    return static_cast<double>(options.alibi_slopes(h)) * static_cast<double>(s - (t + offset));
  };
  return attend(q, k, v, scale, sees, bias);
}

}  // namespace definition

namespace detail {

template <Floating T>
void check_attention(std::string_view op, const Tensor<T>& q, const Tensor<T>& k,
                     const AttentionOptions& options) {
  require_cpu(op, q);
  require_cpu(op, k);
  if (q.rank() != 4) fail<ShapeError>(op, "q of shape [B, H, T, hd]", q.shape());
  const index_t B = q.size(0), H = q.size(1), S = k.rank() == 4 ? k.size(2) : 0;
  if (!(k.shape() == Shape{B, H, S, q.size(3)})) {
    fail<ShapeError>(op, cat("k of shape [", B, ", ", H, ", S, ", q.size(3), "]"), k.shape());
  }
  if (options.key_mask.defined() && !(options.key_mask.shape() == Shape{B, S})) {
    fail<ShapeError>(op, cat("a key mask of shape ", Shape{B, S}), options.key_mask.shape());
  }
  if (options.alibi_slopes.defined() && !(options.alibi_slopes.shape() == Shape{H})) {
    fail<ShapeError>(op, cat("ALiBi slopes of shape ", Shape{H}), options.alibi_slopes.shape());
  }
  check_scale(op, options.scale);
}
template <Floating T>
void check_same_shape(std::string_view op, const char* what, const Tensor<T>& x,
                      const Shape& shape) {
  require_cpu(op, x);
  if (!(x.shape() == shape)) fail<ShapeError>(op, cat(what, " of shape ", shape), x.shape());
}

/// x itself where its last axis has unit stride, as the kernels require, else a copy.
template <Floating T>
Tensor<T> unit_rows(const Tensor<T>& x) {
  return !x.defined() || x.size(-1) <= 1 || x.strides().back() == 1 ? x : x.contiguous();
}

/// An uninitialised [B, H, N, hd] that lies in memory as [B, N, H, hd].
template <Floating T>
Tensor<T> heads_inside(const Shape& shape) {
  return Tensor<T>(Shape{shape[0], shape[2], shape[1], shape[3]}).transpose(1, 2);
}

/// The same, or in row-major order if that is how x lies: a gradient for whoever made x.
template <Floating T>
Tensor<T> heads_as_in(const Tensor<T>& x) {
  return x.is_contiguous() ? Tensor<T>(x.shape()) : heads_inside<T>(x.shape());
}

/// The matrix of batch b and head h of [B, H, N, hd]; null for no tensor and for no elements.
template <class T>
kernel::Matrix<const T> head_of(const Tensor<T>& x, index_t b, index_t h) {
  if (x.data() == nullptr) return {nullptr, 0};
  return {x.data() + b * x.strides()[0] + h * x.strides()[1], x.strides()[2]};
}
template <class T>
kernel::Matrix<T> head_of(Tensor<T>& x, index_t b, index_t h) {
  if (x.data() == nullptr) return {nullptr, 0};
  return {x.data() + b * x.strides()[0] + h * x.strides()[1], x.strides()[2]};
}

/// Operands and options in the form the kernels take, head by head.
template <Floating T>
struct AttentionHeads {
  using R = accumulate_t<T>;
  Tensor<T> q, k, v;
  Tensor<bool> mask;
  Tensor<float> slopes;
  bool causal;
  R scale;

  AttentionHeads(const Tensor<T>& queries, const Tensor<T>& keys, const Tensor<T>& values,
                 const AttentionOptions& options)
      : q(unit_rows(queries)),
        k(unit_rows(keys)),
        v(unit_rows(values)),
        mask(options.key_mask),
        slopes(options.alibi_slopes),
        causal(options.causal),
        scale(static_cast<R>(attention_scale(options.scale, queries.size(3)))) {}

  [[nodiscard]] kernel::AttentionHead<R, T> at(index_t b, index_t h) const {
    const index_t T_ = q.size(2), S = k.size(2);
    return {.q = head_of(q, b, h),
            .k = head_of(k, b, h),
            .v = head_of(v, b, h),
            .queries = T_,
            .keys = S,
            .size = q.size(3),
            .scale = scale,
            .offset = S - T_,
            .causal = causal,
            .key_mask = mask.data() == nullptr ? nullptr : mask.data() + b * mask.strides()[0],
            .mask_step = mask.data() == nullptr ? 1 : mask.strides()[1],
            .slope = slopes.defined() ? static_cast<R>(slopes(h)) : R(0)};
  }
};

/// How many parts to cut `n` queries or keys of each of `heads` heads into, so that there are about
/// `tasks` tasks, none below `least` rows.
inline index_t rows_per_task(index_t n, index_t heads, index_t tasks, index_t least, index_t most) {
  const index_t pieces = heads > 0 ? (tasks + heads - 1) / heads : 1;
  const index_t rows = ((n + pieces - 1) / pieces + least - 1) / least * least;
  return rows < most ? rows : most;
}

}  // namespace detail

/// y [B, H, T, hd]. Fills `lse` [B, H, T] where given: infinity for a query that sees no key.
template <Floating T>
Tensor<T> attention(const Tensor<T>& q, const Tensor<T>& k, const Tensor<T>& v,
                    const AttentionOptions& options = {}, Tensor<accumulate_t<T>>* lse = nullptr) {
  using R = accumulate_t<T>;
  detail::check_attention("attention", q, k, options);
  detail::check_same_shape("attention", "v", v, k.shape());
  const index_t B = q.size(0), H = q.size(1), N = q.size(2), S = k.size(2);
  Tensor<T> y = detail::heads_inside<T>(q.shape());
  Tensor<R> sums(Shape{B, H, N});
  const detail::AttentionHeads<T> heads(q, k, v, options);
  // Which rows are computed together changes no bit of them, so the cut may look at the threads.
  const index_t threads = available_threads();
  const index_t rows = detail::rows_per_task(N, B * H, 4 * threads, threads > 1 ? 64 : 512, 512);
  const index_t pieces = N == 0 ? 0 : (N + rows - 1) / rows;
  const index_t cost = std::min(rows, N) * (S + 8) * (q.size(3) + 8) / 20;
  parallel_for(B * H * pieces, cost, [&, rows](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      // The last queries first: under a causal mask they take longest.
      const index_t t = (pieces - 1 - i / (B * H)) * rows, head = i % (B * H);
      kernel::attention_forward<R, T>(heads.at(head / H, head % H), t, std::min(N, t + rows),
                                      detail::head_of(y, head / H, head % H),
                                      sums.data() + head * N);
    }
  });
  if (lse != nullptr) *lse = std::move(sums);
  return y;
}

/// dq, dk and dv from dy and what forward saw and gave. v and y are needed for dq and dk alone.
template <Floating T>
AttentionGrads<T> attention_backward(const Tensor<T>& dy, const Tensor<T>& q, const Tensor<T>& k,
                                     const Tensor<T>& v, const Tensor<T>& y,
                                     const Tensor<accumulate_t<T>>& lse,
                                     const AttentionOptions& options, bool want_dq, bool want_dk,
                                     bool want_dv) {
  using R = accumulate_t<T>;
  constexpr const char* op = "attention_backward";
  detail::check_attention(op, q, k, options);
  detail::check_same_shape(op, "a gradient", dy, q.shape());
  const index_t B = q.size(0), H = q.size(1), N = q.size(2), S = k.size(2), size = q.size(3);
  if (want_dq || want_dk) {
    detail::check_same_shape(op, "v", v, k.shape());
    detail::check_same_shape(op, "y", y, q.shape());
  }
  detail::check_same_shape(op, "lse", lse, Shape{B, H, N});
  const detail::AttentionHeads<T> heads(q, k, want_dq || want_dk ? v : Tensor<T>{}, options);
  const Tensor<T> dys = detail::unit_rows(dy);
  const Tensor<T> ys = want_dq || want_dk ? detail::unit_rows(y) : dys;
  const Tensor<R> sums = lse.contiguous();
  AttentionGrads<T> out;
  if (want_dq) out.dq = detail::heads_as_in(q);
  if (want_dk) out.dk = detail::heads_as_in(k);
  if (want_dv) out.dv = detail::heads_as_in(k);

  // Few heads are cut into pieces by keys, as their shape alone says: each piece has a part of dq.
  const index_t keys = detail::rows_per_task(S, B * H, 16, 192, S);
  const index_t pieces = keys == 0 ? 1 : (S + keys - 1) / keys;
  const index_t part = kernel::dq_part_size<R>(N, size);
  Tensor<R> dq_parts(Shape{want_dq && pieces > 1 ? B * H * pieces * part : 0});
  R* const parts = dq_parts.data();
  const index_t cost = N * (keys + 8) * (size + 8) / 8;
  parallel_for(B * H * pieces, cost, [&, keys, pieces, part](index_t begin, index_t end) {
    for (index_t i = begin; i < end; ++i) {
      const index_t piece = i / (B * H), n = i % (B * H), b = n / H, h = n % H;
      const ScratchFrame frame;
      R* dq = nullptr;
      if (want_dq) dq = pieces > 1 ? parts + (n * pieces + piece) * part : frame.array<R>(part);
      const auto head = heads.at(b, h);
      kernel::attention_backward<R, T>(head,
                                       {.dy = detail::head_of(dys, b, h),
                                        .y = detail::head_of(ys, b, h),
                                        .lse = sums.data() + n * N,
                                        .dk = detail::head_of(out.dk, b, h),
                                        .dv = detail::head_of(out.dv, b, h),
                                        .dq = dq},
                                       piece * keys, std::min(S, (piece + 1) * keys));
      if (want_dq && pieces == 1) {
        kernel::store_dq(N, size, head.scale, dq, 1, 0, detail::head_of(out.dq, b, h));
      }
    }
  });
  if (want_dq && pieces > 1) {
    const R scale = heads.scale;
    parallel_for(B * H, pieces * part, [&, pieces, part](index_t begin, index_t end) {
      for (index_t n = begin; n < end; ++n) {
        kernel::store_dq(N, size, scale, parts + n * pieces * part, pieces, part,
                         detail::head_of(out.dq, n / H, n % H));
      }
    });
  }
  return out;
}

/// Differentiable in q, k and v.
template <Floating T>
Var<T> attention(const Var<T>& q, const Var<T>& k, const Var<T>& v,
                 const AttentionOptions& options = {}) {
  const detail::ProductOperands<T> operands("attention");
  const Tensor<T> qs = operands.round(q.value()), ks = operands.round(k.value());
  const Tensor<T> vs = operands.round(v.value());
  Tensor<accumulate_t<T>> lse;
  const Tensor<T> y = operands.heads(attention(qs, ks, vs, options, &lse));
  const bool scores = q.requires_grad() || k.requires_grad();
  const bool records = scores || v.requires_grad();
  return record("attention", y, inputs(q, k, v),
                [operands, q = operands.keep_if(records, qs), k = operands.keep_if(records, ks),
                 v = operands.keep_if(scores, vs), y = operands.keep_if(scores, y), lse, options,
                 mask = Saved(options.key_mask)](const Tensor<T>& dy, GradSink<T> dq,
                                                 GradSink<T> dk, GradSink<T> dv) {
                  (void)*mask;
                  auto g =
                      attention_backward(operands.round(dy), q.value(), k.value(), v.value(),
                                         y.value(), lse, options, bool(dq), bool(dk), bool(dv));
                  if (dq) dq += std::move(g.dq);
                  if (dk) dk += std::move(g.dk);
                  if (dv) dv += std::move(g.dv);
                });
}

}  // namespace plume
