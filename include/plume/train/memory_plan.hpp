#pragma once
// memory_plan: what a training step will take, before anything is allocated.
//
//   const MemoryPlan plan = memory_plan<float>(model, {.pairs = {64, 32, 1}, .documents = {32, 256, 6}});
//   print_plan(std::cout, plan);
//
// The step itself is run, dry (core/dry_run.hpp): the same code makes the same allocations without memory or numbers,
// and what is there at the peak is counted. So the plan knows what each op keeps for backward without a second list
// of it. The model may be a shape without values, or a real one: it is left as it was.
//
// Counted is what is asked of the pool. The process has more, an eighth or so (measured: 12 % for a step of OPT-125M
// and ViT-B/32 that takes 3.2 GiB): the slack of blocks, blocks kept for reuse, the scratch of kernels; and the
// samples that loaders hold ready.

#include <algorithm>
#include <array>
#include <ostream>

#include "plume/io/json.hpp"
#include "plume/nn/hold_frozen.hpp"
#include "plume/nn/summary.hpp"
#include "plume/train/memory_count.hpp"
#include "plume/train/step.hpp"

namespace plume::train {

/// One stream of a step: rows of `tokens` tokens with `images` pictures each. A batch of 0: no such stream.
struct StreamShape {
  index_t batch = 0;  ///< rows of a micro-batch
  index_t tokens = 0, images = 0;
};

/// What decides how much a step takes, apart from the model.
struct StepShape {
  StreamShape pairs, documents;
  index_t micro_batches = 1;  ///< of each stream
  Precision precision = Precision::fp32;
  models::Recompute recompute = models::Recompute::none;
  bool bf16_frozen = false;  ///< frozen matrices are held in bf16 (nn/hold_frozen.hpp)
};

/// Tokens of a micro-batch that a plan is made for. No machine has room for as many, and a dry run walks over their ids.
inline constexpr index_t most_planned_tokens = index_t{1} << 22;

/// Bytes that are there at the peak.
struct MemoryRow {
  std::string part;
  std::size_t frozen = 0, trainable = 0;   ///< weights
  std::size_t gradients = 0, moments = 0;  ///< of what trains
  std::size_t activations = 0;             ///< kept for backward, or being worked on
  [[nodiscard]] std::size_t total() const noexcept {
    return frozen + trainable + gradients + moments + activations;
  }
};

struct MemoryPlan {
  StepShape shape;
  std::vector<MemoryRow> rows;  ///< the parts of the model, then what belongs to none
  std::size_t peak = 0;         ///< of one rank; the sum of the rows

  /// The rows added up.
  [[nodiscard]] MemoryRow sum() const {
    MemoryRow out;
    out.part = "total";
    for (const MemoryRow& row : rows) {
      out.frozen += row.frozen;
      out.trainable += row.trainable;
      out.gradients += row.gradients;
      out.moments += row.moments;
      out.activations += row.activations;
    }
    return out;
  }
};

namespace detail {

/// While it lives, every parameter of a model has values that are not there, and the model computes as `shape` says.
template <Floating T, class Model>
class StandIns {
 public:
  StandIns(Model& model, const StepShape& shape) : model_(model), recompute_(model.plan.recompute) {
    const MemoryScope scope(MemoryTag::parameters);
    nn::for_each_parameter(model, [&](const std::string&, nn::ParameterBase& base) {
      auto& p = static_cast<nn::Parameter<T>&>(base);
      kept_.emplace_back(&p, p.keep());
      p.set_value(Tensor<T>(p.shape()));
    });
    model.plan.recompute = shape.recompute;
    if constexpr (std::is_same_v<T, float>) {
      if (shape.bf16_frozen) nn::hold_frozen_in_bf16(model);
    }
  }
  ~StandIns() {
    for (auto& [parameter, kept] : kept_) parameter->restore(std::move(kept));
    model_.plan.recompute = recompute_;
  }
  StandIns(const StandIns&) = delete;
  StandIns& operator=(const StandIns&) = delete;

 private:
  Model& model_;
  models::Recompute recompute_;
  std::vector<std::pair<nn::Parameter<T>*, typename nn::Parameter<T>::Kept>> kept_;
};

/// The name of the module that runs, as the model knows it; empty outside any.
inline std::string part_of_model() {
  const std::string path = ModuleScope::path();
  return path.substr(0, path.find('.'));
}

/// A batch of that shape: pictures evenly among the tokens, every token a label.
template <Floating T, class Model>
Batch<T> blank_batch(const Model& model, const StreamShape& s) {
  const MemoryScope scope(MemoryTag::data);
  const index_t side = model.vision_encoder->sizes.image;
  Batch<T> out{
      Tensor<T>(Shape{s.batch, s.images, 1, 3, side, side}),
      {Tensor<std::int64_t>(Shape{s.batch, s.tokens}), Tensor<bool>(Shape{s.batch, s.tokens})},
      Tensor<std::int64_t>(Shape{s.batch, s.tokens})};
  for (index_t b = 0; b < s.batch; ++b) {
    for (index_t m = 0; m < std::min(s.images, s.tokens); ++m)
      out.text.ids(b, m * s.tokens / s.images) = model.plan.image_token;
    for (index_t t = 0; t < s.tokens; ++t) out.text.mask(b, t) = true;
  }
  return out;
}

inline void check(const StepShape& shape) {
  for (const StreamShape& s : {shape.pairs, shape.documents}) {
    if (s.batch < 0 || (s.batch > 0 && (s.tokens < 2 || s.images < 1)))
      fail<ValueError>("memory_plan", "a batch >= 0 of at least 2 tokens and 1 picture",
                       cat(s.batch, " of ", s.tokens, " and ", s.images));
    if (s.batch > 0 && s.tokens > most_planned_tokens / s.batch)
      fail<ValueError>("memory_plan",
                       cat("at most ", most_planned_tokens,
                           " tokens in a micro-batch (a step may have more micro-batches)"),
                       cat(s.batch, " rows of ", s.tokens));
  }
  if (shape.pairs.batch + shape.documents.batch < 1)
    fail<ValueError>("memory_plan", "pairs, documents or both", "neither");
  if (shape.micro_batches < 1)
    fail<ValueError>("memory_plan", "micro_batches >= 1", shape.micro_batches);
}

/// Labels of what is counted: "3|perceiver" is of the fourth pass and the resampler, "3|" of no module.
struct Label {
  int pass = 0;
  std::string part;
  static std::string of(int pass, std::string_view part) { return cat(pass, "|", part); }
  static Label parse(const std::string& text) {
    const std::size_t bar = text.find('|');
    if (bar == std::string::npos) return {0, text};
    return {std::stoi(text.substr(0, bar)), text.substr(bar + 1)};
  }
};

/// The rows of a plan from what was there at the peak.
inline std::vector<MemoryRow> rows_of(std::vector<MemoryRow> parts, const MemoryCount& count) {
  int peak_pass = 0;
  std::size_t trainable = 0;
  for (const auto& [text, bytes] : count.at_peak())
    if (bytes > 0) peak_pass = std::max(peak_pass, Label::parse(text).pass);
  for (const MemoryRow& part : parts) trainable += part.trainable;
  MemoryRow backward, data, graph;
  backward.part = "loss, backward", data.part = "pictures, tokens", graph.part = "graph";
  std::size_t gradients = 0;
  for (const auto& [text, bytes] : count.at_peak()) {
    const Label label = Label::parse(text);
    const auto part = std::find_if(parts.begin(), parts.end(),
                                   [&](const MemoryRow& row) { return row.part == label.part; });
    if (label.part == "parameters" || label.part == "optimizer") continue;
    if (label.part == "graph")
      graph.activations += bytes;
    else if (label.part == "data")
      data.activations += bytes;
    else if (part != parts.end())
      part->activations += bytes;
    else if (label.pass < peak_pass)
      gradients += bytes;  // what is left of a pass that is over
    else
      backward.activations += bytes;
  }
  for (MemoryRow& part : parts) {
    const double share =
        trainable == 0 ? 0 : static_cast<double>(part.trainable) / static_cast<double>(trainable);
    part.gradients = static_cast<std::size_t>(share * static_cast<double>(gradients) + 0.5);
  }
  parts.insert(parts.end(), {backward, data, graph});
  return parts;
}

}  // namespace detail

/// The plan of a step of `shape` on one rank. Throws ValueError for a shape that is none, or a model of which nothing
/// trains. Nothing else may use the model meanwhile.
template <Floating T, class Model>
MemoryPlan memory_plan(Model& model, const StepShape& shape) {
  detail::check(shape);
  int pass = 0;
  MemoryCount count([&](MemoryTag tag) {
    if (tag == MemoryTag::parameters || tag == MemoryTag::optimizer || tag == MemoryTag::data)
      return std::string(name(tag));
    return detail::Label::of(pass, detail::part_of_model());
  });
  const detail::StandIns<T, Model> stand_ins(model, shape);
  std::vector<MemoryRow> parts;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    const std::string part = key.substr(0, key.find('.'));
    if (parts.empty() || parts.back().part != part) {
      parts.emplace_back();
      parts.back().part = part;
    }
    (p.trainable() ? parts.back().trainable : parts.back().frozen) += p.bytes();
    if (p.trainable())
      parts.back().moments +=
          2 * static_cast<std::size_t>(p.shape().numel()) * sizeof(accumulate_t<T>);
  });
  Stepper<T, Model> stepper(model,
                            {.micro_batches = shape.micro_batches, .precision = shape.precision});
  const auto samples = [&] {  // of the whole step; pictures as loaders make them
    const MemoryScope scope(MemoryTag::data);
    const index_t side = model.vision_encoder->sizes.image;
    const index_t pictures = shape.micro_batches * (shape.pairs.batch * shape.pairs.images +
                                                    shape.documents.batch * shape.documents.images);
    return Tensor<float>(Shape{pictures, 3, side, side});
  }();
  // The third pass over a stream takes what the second did.
  for (index_t i = 0; i < std::min<index_t>(shape.micro_batches, 2); ++i) {
    for (const StreamShape& stream : {shape.pairs, shape.documents}) {
      if (stream.batch == 0) continue;
      stepper.accumulate(detail::blank_batch<T>(model, stream), 1);
      ++pass;
    }
  }
  stepper.update();
  return {shape, detail::rows_of(std::move(parts), count), count.peak()};
}

/// The table by part and kind.
inline void print_plan(std::ostream& out, const MemoryPlan& plan) {
  std::vector<std::array<std::string, 7>> cells{
      {"", "frozen", "trainable", "gradients", "moments", "activations", "total"}};
  const auto add = [&](const MemoryRow& row) {
    std::array<std::string, 7> line{row.part};
    const std::size_t values[] = {row.frozen,  row.trainable,   row.gradients,
                                  row.moments, row.activations, row.total()};
    for (std::size_t i = 0; i < std::size(values); ++i)
      line[i + 1] = values[i] == 0 ? "-" : nn::detail::size_text(values[i]);
    cells.push_back(line);
  };
  for (const MemoryRow& row : plan.rows) add(row);
  add(plan.sum());
  for (const auto& line : cells) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      out << (i == 0 ? "" : "  ");
      const std::string pad(
          std::max<std::size_t>(i == 0 ? 24 : 11, line[i].size()) - line[i].size(), ' ');
      out << (i == 0 ? line[i] + pad : pad + line[i]);
    }
    out << '\n';
  }
}

/// The same for programs, in bytes.
inline io::Json plan_json(const MemoryPlan& plan) {
  io::Json rows = io::Json::array();
  for (const MemoryRow& row : plan.rows) {
    rows.push_back({{"part", row.part},
                    {"frozen", row.frozen},
                    {"trainable", row.trainable},
                    {"gradients", row.gradients},
                    {"moments", row.moments},
                    {"activations", row.activations},
                    {"total", row.total()}});
  }
  return {{"peak", plan.peak}, {"rows", std::move(rows)}};
}

}  // namespace plume::train
