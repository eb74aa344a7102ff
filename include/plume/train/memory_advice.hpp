#pragma once
// memory_advice: what to turn down where a step does not fit, and what each would save.

#include "plume/train/memory_plan.hpp"

namespace plume::train {

/// One thing that can be done: the plan it leads to.
struct MemoryAdvice {
  std::string text;  ///< a sentence with figures
  MemoryPlan plan;
  std::size_t saves = 0;  ///< bytes at the peak
};

namespace detail {

/// The stream in smaller micro-batches: half of the rows, rounded up, for every doubling of their number.
inline StepShape halved(StepShape shape) {
  shape.micro_batches *= 2;
  for (StreamShape* s : {&shape.pairs, &shape.documents}) s->batch = (s->batch + 1) / 2;
  return shape;
}
inline bool can_halve(const StepShape& shape) {
  return shape.pairs.batch > 1 || shape.documents.batch > 1;
}
inline std::string batches(const StepShape& shape) {
  const index_t d = shape.documents.batch, p = shape.pairs.batch;
  return d == 0   ? cat(p, p == 1 ? " pair" : " pairs")
         : p == 0 ? cat(d, d == 1 ? " document" : " documents")
                  : cat(d, d == 1 ? " document and " : " documents and ", p,
                        p == 1 ? " pair" : " pairs");
}

}  // namespace detail

/// What would save memory, the most first; where there is more than one, all of it together comes last. Each comes
/// with a plan of its own, so it is true of this model. Throws as memory_plan.
template <Floating T, class Model>
std::vector<MemoryAdvice> memory_advice(Model& model, const MemoryPlan& plan,
                                        std::size_t available) {
  std::vector<MemoryAdvice> out;
  const auto offer = [&](const std::string& what, MemoryPlan other) {
    if (other.peak >= plan.peak) return;
    const std::size_t saves = plan.peak - other.peak;
    out.push_back(
        {cat(what, ": saves ", nn::detail::size_text(saves), ", leaves ",
             nn::detail::size_text(other.peak), other.peak <= available ? ", which fits" : ""),
         std::move(other), saves});
  };
  const auto smaller = [&](StepShape shape) {
    MemoryPlan other = memory_plan<T>(model, shape);
    while (other.peak > available && detail::can_halve(shape)) {
      shape = detail::halved(shape);
      MemoryPlan less = memory_plan<T>(model, shape);
      if (less.peak >= other.peak) break;
      other = std::move(less);
    }
    return other;
  };
  const auto micro = [](const StepShape& shape) {
    return cat("micro-batches of ", detail::batches(shape), " (", shape.micro_batches,
               " of them a step)");
  };

  StepShape all = plan.shape;
  if (detail::can_halve(plan.shape)) {
    MemoryPlan other = smaller(detail::halved(plan.shape));
    const std::string what = micro(other.shape);
    offer(what, std::move(other));
  }
  for (const auto recompute : {models::Recompute::blocks, models::Recompute::layers}) {
    if (recompute <= plan.shape.recompute) continue;
    StepShape shape = plan.shape;
    shape.recompute = all.recompute = recompute;
    offer(cat("recompute ", name(recompute)), memory_plan<T>(model, shape));
  }
  if constexpr (std::is_same_v<T, float>) {
    if (!plan.shape.bf16_frozen) {
      StepShape shape = plan.shape;
      shape.bf16_frozen = all.bf16_frozen = true;
      offer("frozen matrices in bf16", memory_plan<T>(model, shape));
    }
    if (plan.shape.precision == Precision::fp32) {
      StepShape shape = plan.shape;
      shape.precision = all.precision = Precision::amp_bf16;
      offer("precision amp_bf16", memory_plan<T>(model, shape));
    }
  }
  std::stable_sort(out.begin(), out.end(),
                   [](const MemoryAdvice& a, const MemoryAdvice& b) { return a.saves > b.saves; });
  if (out.size() > 1) {
    MemoryPlan other = smaller(all);
    const std::string what = other.shape.micro_batches == plan.shape.micro_batches
                                 ? std::string("everything but smaller micro-batches")
                                 : cat("all of it, with ", micro(other.shape));
    offer(what, std::move(other));
  }
  return out;
}

}  // namespace plume::train
