#pragma once
// Ask: the queries of a draw, batch by batch, to a model.

#include <functional>

#include "plume/eval/answer.hpp"
#include "plume/eval/benchmarks.hpp"
#include "plume/eval/classification.hpp"
#include "plume/eval/context.hpp"
#include "plume/eval/demonstrations.hpp"
#include "plume/eval/ok_vqa.hpp"
#include "plume/eval/postprocess.hpp"
#include "plume/generate/classify.hpp"
#include "plume/generate/generate.hpp"
#include "plume/generate/prompt.hpp"

namespace plume::eval {

struct AskOptions {
  AnswerOptions answer{};
  index_t positions = 2048;  ///< tokens the model may read in all, the answer included
  ZeroShotImages zero_shot = ZeroShotImages::query;
  bool ensemble = false;      ///< classes: the mean over orders of the demonstrations
  index_t kept_classes = 10;  ///< how many log-probabilities an answer keeps
};

/// What is asked of a benchmark under one number of shots and one seed.
template <class Sample>
struct Round {
  const Benchmark& benchmark;
  const BenchmarkData<Sample>& data;
  index_t shots;
  std::uint32_t seed;
  Draw draw;
};

namespace detail {

template <class Sample>
std::string prediction_of(const Benchmark& b, const std::string& raw) {
  if constexpr (std::is_same_v<Sample, CaptionSample>) {
    return caption_of(raw);
  } else {
    return vqa_set(b) == VqaSet::ok_vqa ? ok_vqa_answer_of(raw) : answer_of(raw);
  }
}

/// None where a log-probability is not a number.
inline std::optional<ChosenClass> chosen_of(const std::vector<double>& log_probabilities,
                                            const std::vector<std::string>& names, index_t kept) {
  for (const double x : log_probabilities)
    if (std::isnan(x)) return std::nullopt;
  const Choice choice = likeliest(log_probabilities);
  ChosenClass out{choice.class_id, choice.probability};
  std::vector<index_t> order = counted(std::ssize(names));
  std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    return log_probabilities[static_cast<std::size_t>(a)] >
           log_probabilities[static_cast<std::size_t>(b)];
  });
  for (index_t i = 0; i < std::min<index_t>(kept, std::ssize(order)); ++i) {
    const auto c = static_cast<std::size_t>(order[static_cast<std::size_t>(i)]);
    out.log_probabilities.emplace_back(names[c], log_probabilities[c]);
  }
  return out;
}

}  // namespace detail

/// A model that is asked. Keeps references to the model and the tokenizer. A picture is encoded by itself, once while
/// it is remembered, so that its numbers depend on nothing else.
template <Floating T, class... Parts>
class Asker {
 public:
  using Model = models::VisionLanguageModel<T, Parts...>;

  /// Pictures are `side` x `side`; of at most `kept` the latents are remembered.
  Asker(const Model& model, const text::Tokenizer& tokenizer, index_t side,
        const image::Normalization& normalization = {}, std::size_t kept = 4096)
      : model_(model),
        tokenizer_(tokenizer),
        seen_(kept, [this, side, normalization](const PictureFile& file) {
          return latents_of(pixels_of(file, side, normalization));
        }) {}
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;

  /// Answers to the queries at places first .. first + count - 1 of the draw, as one batch. What a batch answers may
  /// depend on its other rows in the last bit, so that who repeats an evaluation keeps its batches.
  template <class Sample>
  std::vector<Answer> ask(const Round<Sample>& round, std::size_t first, std::size_t count,
                          const AskOptions& options) {
    std::vector<Answer> out;
    for (std::size_t i = first; i < first + count; ++i) out.push_back(question(round, i));
    if constexpr (std::is_same_v<Sample, ClassSample>) {
      classify(round, first, options, out);
    } else {
      generate(round, first, options, out);
    }
    return out;
  }

 private:
  template <class Sample>
  static Answer question(const Round<Sample>& round, std::size_t place) {
    const auto query = static_cast<std::size_t>(round.draw.queries[place]);
    const Sample& sample = round.data.test.at(query);
    Answer out;
    out.benchmark = round.benchmark.name;
    out.shots = round.shots;
    out.seed = round.seed;
    out.place = static_cast<index_t>(place);
    out.of = std::ssize(round.draw.queries);
    out.id = sample.id;
    out.image = sample.image.string();
    out.truth = round.data.truth.at(query);
    return out;
  }

  /// Of pixels [3, S, S]: [L, W].
  Tensor<T> latents_of(const Tensor<float>& picture) const {
    const NoGrad scope;
    const EvaluationMode mode;
    const index_t side = picture.size(1);
    const Var<T> pixels(picture.cast<T>().reshape({1, 3, side, side}));
    const Tensor<T> tokens = (*model_.vision_encoder)(pixels).tokens.value();
    const Var<T> features(tokens.reshape({1, 1, 1, tokens.size(1), tokens.size(2)}));
    const Tensor<T> latents = (*model_.perceiver)(features).value();
    return latents.reshape({latents.size(2), latents.size(3)});
  }

  /// The contexts of a batch whose demonstrations stand in the order `order(place)`.
  template <class Sample, class Order>
  std::vector<Context> contexts(const Round<Sample>& round, std::size_t first, std::size_t count,
                                index_t limit, const AskOptions& options, const Order& order) {
    std::vector<Context> out;
    for (std::size_t i = first; i < first + count; ++i) {
      std::vector<const Sample*> shown;
      for (const index_t place : order(i)) {
        const index_t at = round.draw.demonstrations.at(i).at(static_cast<std::size_t>(place));
        shown.push_back(&round.data.train.at(static_cast<std::size_t>(at)));
      }
      const Sample& query = round.data.test.at(static_cast<std::size_t>(round.draw.queries[i]));
      out.push_back(
          fitting_context<Sample>(tokenizer_, shown, query, round.shots, limit, options.zero_shot));
    }
    return out;
  }
  template <class Sample>
  static auto as_drawn(const Round<Sample>& round) {
    return [&round](std::size_t i) {
      return detail::counted(std::ssize(round.draw.demonstrations.at(i)));
    };
  }
  /// What an answer says of its context.
  template <class Sample>
  static void note(const Round<Sample>& round, std::size_t place, const Context& context,
                   Answer& answer) {
    answer.prompt = context.prompt.text.text();
    answer.dropped = context.dropped;
    const std::vector<index_t>& drawn = round.draw.demonstrations.at(place);
    for (std::size_t i = context.dropped; i < drawn.size(); ++i)
      answer.demonstrations.push_back(round.data.train.at(static_cast<std::size_t>(drawn[i])).id);
  }
  [[nodiscard]] std::int64_t fill() const {
    return tokenizer_.pad().value_or(tokenizer_.end_of_chunk().value());
  }

  template <class Sample>
  void generate(const Round<Sample>& round, std::size_t first, const AskOptions& options,
                std::vector<Answer>& out) {
    const std::vector<Context> asked =
        contexts(round, first, out.size(), options.positions - options.answer.max_new_tokens,
                 options, as_drawn(round));
    const ContextBatch<T> batch = batch_of<T>(asked, fill(), seen_);
    generate::Options how;
    how.min_new_tokens = options.answer.min_new_tokens;
    how.max_new_tokens = options.answer.max_new_tokens;
    how.num_beams = options.answer.beams;
    how.length_penalty = options.answer.length_penalty;
    generate::end_with_chunk(how, tokenizer_);
    const generate::Result result =
        plume::generate::generate(model_, Var<T>(batch.pictures), batch.text, how);
    for (std::size_t i = 0; i < out.size(); ++i) {
      note(round, first + i, asked[i], out[i]);
      out[i].raw = tokenizer_.decode(result.tokens.at(i), {.skip_special_tokens = true});
      out[i].prediction = detail::prediction_of<Sample>(round.benchmark, out[i].raw);
    }
  }

  void classify(const Round<ClassSample>& round, std::size_t first, const AskOptions& options,
                std::vector<Answer>& out) {
    const std::vector<std::string>& names = class_names(round.benchmark);
    std::vector<generate::Ids> tokens;
    std::size_t longest = 0;
    for (const std::string& name : names) {
      tokens.push_back(tokenizer_.encode(text::MarkedText().data(name), {.special_tokens = false}));
      longest = std::max(longest, tokens.back().size());
    }
    const index_t limit = options.positions - static_cast<index_t>(longest);
    const index_t shown = demonstrations_for(round.shots);
    const auto orders = [&](std::size_t i) {
      return ensemble_orders(shown, round.seed, round.draw.queries[i]);
    };
    const index_t count = options.ensemble ? ensemble_size(shown) : 1;
    std::vector<std::vector<std::vector<double>>> scores(out.size());
    for (index_t k = 0; k < count; ++k) {
      const std::vector<Context> asked =
          contexts(round, first, out.size(), limit, options,
                   [&](std::size_t i) { return orders(i)[static_cast<std::size_t>(k)]; });
      const ContextBatch<T> batch = batch_of<T>(asked, fill(), seen_);
      const auto got =
          plume::generate::classify(model_, Var<T>(batch.pictures), batch.text, tokens);
      for (std::size_t i = 0; i < out.size(); ++i) {
        const double* const row = got.mean.data() + static_cast<index_t>(i) * std::ssize(names);
        scores[i].emplace_back(row, row + names.size());
        if (k == 0) note(round, first + i, asked[i], out[i]);
      }
    }
    for (std::size_t i = 0; i < out.size(); ++i) {
      out[i].chosen = detail::chosen_of(mean_of(scores[i]), names, options.kept_classes);
      if (out[i].chosen)
        out[i].raw = out[i].prediction =
            names.at(static_cast<std::size_t>(out[i].chosen->class_id));
    }
  }

  const Model& model_;
  const text::Tokenizer& tokenizer_;
  KeptPictures<T> seen_;
};

}  // namespace plume::eval
