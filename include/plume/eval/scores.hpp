#pragma once
// Scores of answers: of one query where there is one, of a benchmark under one number of shots and one seed, and
// mean and spread over the seeds. All scores are in percent, CIDEr too (it may exceed 100).
//
//   captions   cider, bleu4, rouge_l    questions  vqa_accuracy    HatefulMemes  roc_auc, accuracy    ImageNet  accuracy

#include <cmath>
#include <tuple>

#include "plume/eval/answer.hpp"
#include "plume/eval/benchmarks.hpp"
#include "plume/eval/classification.hpp"
#include "plume/eval/roc_auc.hpp"

namespace plume::eval {

/// The official accuracy of one answer to a question, 0 to 1; `truth` as in answer.hpp. Throws FormatError.
inline double question_score(const io::Json& truth, std::string_view prediction) {
  const text::Field field("the truth of a question", truth);
  io::Json answers = io::Json::array();
  for (const text::Field& answer : field["answers"].list()) {
    (void)answer["answer"].string();
    answers.push_back(answer.json());
  }
  if (answers.empty()) field["answers"].refuse("at least one answer");
  return detail::vqa_agreement(answers, prediction);
}

/// The score of a question's answer, or whether a class is right: 0 to 1. None for captions, which are scored together.
inline std::optional<double> own_score(const Answer& a) {
  if (a.truth.is_null()) return std::nullopt;
  const Task task = benchmark(a.benchmark).task;
  if (task == Task::question) return question_score(a.truth, a.prediction);
  if (task == Task::caption) return std::nullopt;
  if (!a.chosen) fail<FormatError>(a.benchmark, "a class_id in each answer", a.id.dump());
  const text::Field truth("the truth of a class", a.truth);
  return truth["class_id"].integer(INT64_C(0x7fffffff)) == a.chosen->class_id ? 1.0 : 0.0;
}

using Scores = std::map<std::string, double>;

/// The scores of one benchmark under one number of shots and one seed, by name; none where answers are not public.
struct SeedScores {
  std::string benchmark;
  index_t shots = 0;
  std::uint32_t seed = 0;
  std::size_t queries = 0, dropped = 0;  ///< dropped: demonstrations that did not fit, in all
  Scores scores{};
};

namespace detail {

inline Scores caption_scores(std::span<Answer> answers) {
  std::vector<CaptionedImage> images;
  for (const Answer& a : answers) {
    CaptionedImage image{a.id, {}, a.prediction};
    const text::Field truth("the truth of a caption", a.truth);
    for (const text::Field& caption : truth["references"].list())
      image.references.push_back(caption.string());
    if (image.references.empty()) truth["references"].refuse("at least one caption");
    images.push_back(std::move(image));
  }
  const CaptionEvaluation got = evaluate_captions(std::move(images));
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i].score = got.images[i].scores.cider;
  return {{"cider", got.cider_percent()},
          {"bleu4", 100 * got.corpus.bleu[3]},
          {"rouge_l", 100 * got.corpus.rouge_l}};
}

inline Scores question_scores(std::span<Answer> answers) {
  Mean mean;
  for (Answer& a : answers) {
    a.score = own_score(a);
    mean.add(a.score.value());
  }
  return {{"vqa_accuracy", mean.percent()}};
}

inline Scores class_scores(const Benchmark& b, std::span<Answer> answers) {
  std::vector<index_t> chosen, truth;
  std::vector<int> positive;
  std::vector<double> how_positive;
  for (Answer& a : answers) {
    a.score = own_score(a);
    chosen.push_back(a.chosen->class_id);
    truth.push_back(a.truth["class_id"].get<index_t>());
    positive.push_back(truth.back() == 1);
    how_positive.push_back(positive_score({a.chosen->class_id, a.chosen->probability}));
  }
  Scores out{{"accuracy", 100 * top1_accuracy(chosen, truth)}};
  if (std::string_view(b.metric) == "roc_auc")
    out["roc_auc"] = 100 * plume::eval::roc_auc(positive, how_positive);
  return out;
}

/// Answers in the order of benchmarks as they first come, shots, seeds and places.
inline void sort_answers(std::vector<Answer>& answers) {
  std::map<std::string, std::size_t> rank;
  for (const Answer& a : answers) rank.emplace(a.benchmark, rank.size());
  const auto key = [&](const Answer& a) {
    return std::tuple(rank.at(a.benchmark), a.shots, a.seed, a.place);
  };
  std::stable_sort(answers.begin(), answers.end(),
                   [&](const Answer& a, const Answer& b) { return key(a) < key(b); });
}

}  // namespace detail

/// Puts `answers` in order, gives each its score, and scores each benchmark, number of shots and seed. However the
/// answers were shared out among files, the numbers are the same. Throws FormatError where one is missing or comes
/// twice, ValueError where a ROC curve has one class alone.
inline std::vector<SeedScores> score_answers(std::vector<Answer>& answers) {
  detail::sort_answers(answers);
  std::vector<SeedScores> out;
  for (std::size_t first = 0; first < answers.size();) {
    const Answer& head = answers[first];
    std::size_t end = first;
    std::size_t dropped = 0;
    const auto same = [&](const Answer& a) {
      return a.benchmark == head.benchmark && a.shots == head.shots && a.seed == head.seed;
    };
    const std::string where = cat(head.benchmark, ", ", head.shots, " shots, seed ", head.seed);
    for (; end < answers.size() && same(answers[end]); ++end) {
      const auto place = static_cast<index_t>(end - first);
      if (answers[end].place != place || answers[end].of != head.of)
        fail<FormatError>(where, cat("the answer ", place, " of ", head.of),
                          cat(answers[end].place, " of ", answers[end].of));
      dropped += answers[end].dropped;
    }
    if (static_cast<index_t>(end - first) != head.of)
      fail<FormatError>(where, cat(head.of, " answers"), end - first);
    const std::span<Answer> group(answers.data() + first, end - first);
    const Benchmark& b = benchmark(head.benchmark);
    SeedScores scores{head.benchmark, head.shots, head.seed, group.size(), dropped};
    if (!head.truth.is_null()) {
      scores.scores = b.task == Task::caption    ? detail::caption_scores(group)
                      : b.task == Task::question ? detail::question_scores(group)
                                                 : detail::class_scores(b, group);
    }
    out.push_back(std::move(scores));
    first = end;
  }
  return out;
}

/// Mean and sample standard deviation over seeds; of one seed the latter is 0.
struct Spread {
  double mean = 0, deviation = 0;
};
inline Spread spread_of(std::span<const double> x) {
  if (x.empty()) fail<ValueError>("spread_of", "at least one value", 0);
  Spread out;
  for (const double v : x) out.mean += v / static_cast<double>(x.size());
  double squares = 0;
  for (const double v : x) squares += (v - out.mean) * (v - out.mean);
  if (x.size() > 1) out.deviation = std::sqrt(squares / static_cast<double>(x.size() - 1));
  return out;
}

/// One benchmark under one number of shots, over seeds.
struct ShotScores {
  std::string benchmark;
  index_t shots = 0;
  std::vector<std::uint32_t> seeds;
  std::size_t queries = 0, dropped = 0;  ///< queries of one seed; dropped under all seeds
  std::map<std::string, std::vector<double>> by_seed{};
  std::map<std::string, Spread> scores{};
};

/// `scores` as score_answers gives them.
inline std::vector<ShotScores> over_seeds(const std::vector<SeedScores>& scores) {
  std::vector<ShotScores> out;
  for (std::size_t first = 0; first < scores.size();) {
    std::size_t end = first;
    ShotScores row{scores[first].benchmark, scores[first].shots, {}, scores[first].queries};
    for (; end < scores.size() && scores[end].benchmark == row.benchmark &&
           scores[end].shots == row.shots;
         ++end) {
      row.seeds.push_back(scores[end].seed);
      row.dropped += scores[end].dropped;
      for (const auto& [name, value] : scores[end].scores) row.by_seed[name].push_back(value);
    }
    for (const auto& [name, list] : row.by_seed) row.scores[name] = spread_of(list);
    out.push_back(std::move(row));
    first = end;
  }
  return out;
}

}  // namespace plume::eval
