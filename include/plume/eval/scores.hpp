#pragma once
// Scores of answers: of one query where there is one, of a benchmark under one number of shots and one seed, and
// mean and spread over the seeds. All scores are in percent, CIDEr too (it may exceed 100).
//
//   captions   cider, bleu4, rouge_l    questions  vqa_accuracy    HatefulMemes  roc_auc, accuracy    ImageNet  accuracy

#include <cmath>
#include <tuple>
#include <unordered_map>

#include "plume/eval/answer.hpp"
#include "plume/eval/benchmarks.hpp"
#include "plume/eval/classification.hpp"
#include "plume/eval/roc_auc.hpp"

namespace plume::eval {

/// The official accuracy of one answer to a question, 0 to 1; `truth` as in answer.hpp. None where the truth holds no
/// answer. Throws FormatError.
inline std::optional<double> question_score(const io::Json& truth, std::string_view prediction) {
  const text::Field field("the truth of a question", truth);
  io::Json answers = io::Json::array();
  for (const text::Field& answer : field["answers"].list()) {
    (void)answer["answer"].string();
    answers.push_back(answer.json());
  }
  if (answers.empty()) return std::nullopt;
  return detail::vqa_agreement(answers, prediction);
}

/// The score of a question's answer, or whether a class is right: 0 to 1. None where there is nothing to compare, and for
/// captions, which are scored together.
inline std::optional<double> own_score(const Answer& a) {
  if (a.truth.is_null()) return std::nullopt;
  const Task task = benchmark(a.benchmark).task;
  if (task == Task::question) return question_score(a.truth, a.prediction);
  if (task == Task::caption || !a.chosen) return std::nullopt;
  const text::Field truth("the truth of a class", a.truth);
  return truth["class_id"].integer(INT64_C(0x7fffffff)) == a.chosen->class_id ? 1.0 : 0.0;
}

using Scores = std::map<std::string, double>;

/// What one benchmark came to under one number of shots and one seed. A metric is either in `scores` or, where these
/// answers do not define it, in `undefined` with the reason; in neither where answers are not public.
struct SeedScores {
  std::string benchmark;
  index_t shots = 0;
  std::uint32_t seed = 0;
  std::size_t queries = 0, dropped = 0;  ///< dropped: demonstrations that did not fit, in all
  Scores scores{};
  std::map<std::string, std::string> undefined{};
};

namespace detail {

/// The metrics of a benchmark, in the order of their names.
inline std::vector<std::string> metrics_of(const Benchmark& b) {
  if (b.task == Task::caption) return {"bleu4", "cider", "rouge_l"};
  if (b.task == Task::question) return {"vqa_accuracy"};
  return std::string_view(b.metric) == "roc_auc" ? std::vector<std::string>{"accuracy", "roc_auc"}
                                                 : std::vector<std::string>{"accuracy"};
}

/// Why `answers` cannot be scored, where `lacks` says so of some of them; empty otherwise.
template <class Lacks>
std::string reason(std::span<const Answer> answers, const char* what, const Lacks& lacks) {
  std::size_t count = 0;
  std::string first;
  for (const Answer& a : answers) {
    if (!lacks(a)) continue;
    if (count++ == 0) first = io::print_json(a.id);
  }
  if (count == 0) return {};
  return cat(count, " of ", answers.size(), " answers have ", what, ", the first is that of ",
             first);
}

inline void caption_scores(std::span<Answer> answers, SeedScores& out) {
  std::vector<CaptionedImage> images;
  for (const Answer& a : answers) {
    CaptionedImage image{a.id, {}, a.prediction};
    const text::Field truth("the truth of a caption", a.truth);
    for (const text::Field& caption : truth["references"].list())
      image.references.push_back(caption.string());
    images.push_back(std::move(image));
  }
  const CaptionEvaluation got = evaluate_captions(std::move(images));
  for (std::size_t i = 0; i < answers.size(); ++i) answers[i].score = got.images[i].scores.cider;
  out.scores = {{"cider", got.cider_percent()},
                {"bleu4", 100 * got.corpus.bleu[3]},
                {"rouge_l", 100 * got.corpus.rouge_l}};
}

inline void question_scores(std::span<Answer> answers, SeedScores& out) {
  Mean mean;
  for (const Answer& a : answers) mean.add(a.score.value());
  out.scores = {{"vqa_accuracy", mean.percent()}};
}

inline void class_scores(const Benchmark& b, std::span<Answer> answers, SeedScores& out) {
  std::vector<index_t> chosen, truth;
  std::vector<int> positive;
  std::vector<double> how_positive;
  for (const Answer& a : answers) {
    chosen.push_back(a.chosen->class_id);
    truth.push_back(a.truth["class_id"].get<index_t>());
    positive.push_back(truth.back() == 1);
    how_positive.push_back(positive_score({a.chosen->class_id, a.chosen->probability}));
  }
  out.scores["accuracy"] = 100 * top1_accuracy(chosen, truth);
  if (std::string_view(b.metric) != "roc_auc") return;
  const auto ones = std::count(positive.begin(), positive.end(), 1);
  if (ones == 0 || ones == std::ssize(positive)) {
    out.undefined["roc_auc"] = cat("all ", positive.size(), " queries are of the class \"",
                                   hateful_memes_class_names()[ones == 0 ? 0 : 1],
                                   "\", and a ROC curve needs both classes");
  } else {
    out.scores["roc_auc"] = 100 * plume::eval::roc_auc(positive, how_positive);
  }
}

/// Scores each of `answers`, which are of one benchmark, number of shots and seed, and then all of them.
inline void score_group(const Benchmark& b, std::span<Answer> answers, SeedScores& out) {
  for (Answer& a : answers) a.score = own_score(a);
  const auto no_truth = [](const Answer& a) { return a.truth.is_null(); };
  if (std::all_of(answers.begin(), answers.end(), no_truth)) return;
  std::string why = reason(answers, "no truth", no_truth);
  if (why.empty() && b.task == Task::caption) {
    why = reason(answers, "no reference caption", [](const Answer& a) {
      return text::Field("the truth of a caption", a.truth)["references"].list().empty();
    });
  }
  if (why.empty() && b.task == Task::question)
    why = reason(answers, "no answer in their truth", [](const Answer& a) { return !a.score; });
  if (why.empty() && b.task == Task::classes) {
    why = reason(answers, "no class, for the model's log-probabilities are not numbers",
                 [](const Answer& a) { return !a.chosen || std::isnan(a.chosen->probability); });
  }
  if (!why.empty()) {
    for (const std::string& metric : metrics_of(b)) out.undefined[metric] = why;
  } else if (b.task == Task::caption) {
    caption_scores(answers, out);
  } else if (b.task == Task::question) {
    question_scores(answers, out);
  } else {
    class_scores(b, answers, out);
  }
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
/// answers were shared out among files, the numbers are the same. A metric that the answers do not define takes no other
/// along. Throws FormatError where an answer is missing, or a place or an id comes twice.
inline std::vector<SeedScores> score_answers(std::vector<Answer>& answers) {
  detail::sort_answers(answers);
  std::vector<SeedScores> out;
  for (std::size_t first = 0; first < answers.size();) {
    const Answer& head = answers[first];
    std::size_t end = first;
    std::size_t dropped = 0;
    std::unordered_map<std::string, index_t> places;
    const auto same = [&](const Answer& a) {
      return a.benchmark == head.benchmark && a.shots == head.shots && a.seed == head.seed;
    };
    const std::string where = cat(head.benchmark, ", ", head.shots, " shots, seed ", head.seed);
    for (; end < answers.size() && same(answers[end]); ++end) {
      const auto place = static_cast<index_t>(end - first);
      if (answers[end].place != place || answers[end].of != head.of)
        fail<FormatError>(where, cat("the answer ", place, " of ", head.of),
                          cat(answers[end].place, " of ", answers[end].of));
      const auto [known, is_new] = places.emplace(io::print_json(answers[end].id), place);
      if (!is_new)
        fail<FormatError>(where, "each id once",
                          cat(known->first, " at the places ", known->second, " and ", place));
      dropped += answers[end].dropped;
    }
    if (static_cast<index_t>(end - first) != head.of)
      fail<FormatError>(where, cat(head.of, " answers"), end - first);
    SeedScores scores{head.benchmark, head.shots, head.seed, end - first, dropped};
    detail::score_group(benchmark(head.benchmark),
                        std::span<Answer>(answers.data() + first, end - first), scores);
    out.push_back(std::move(scores));
    first = end;
  }
  return out;
}

/// Mean and sample standard deviation over seeds; one seed has no deviation.
struct Spread {
  double mean = 0;
  std::optional<double> deviation{};
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

/// One benchmark under one number of shots, over seeds. A metric that one seed does not define is in `undefined`, and not
/// in `scores`: a mean over the other seeds would not be of the same thing.
struct ShotScores {
  std::string benchmark;
  index_t shots = 0;
  std::vector<std::uint32_t> seeds;
  std::size_t queries = 0, dropped = 0;  ///< queries of one seed; dropped under all seeds
  std::map<std::string, std::vector<std::optional<double>>> by_seed{};  ///< as `seeds`
  std::map<std::string, Spread> scores{};
  std::map<std::string, std::string> undefined{};
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
      for (const auto& [name, why] : scores[end].undefined) {
        row.by_seed[name].push_back(std::nullopt);
        std::string& all = row.undefined[name];
        all += cat(all.empty() ? "" : "; ", "seed ", scores[end].seed, ": ", why);
      }
    }
    for (const auto& [name, list] : row.by_seed) {
      if (row.undefined.contains(name)) continue;
      std::vector<double> defined;
      for (const std::optional<double>& x : list) defined.push_back(x.value());
      row.scores[name] = spread_of(defined);
    }
    out.push_back(std::move(row));
    first = end;
  }
  return out;
}

}  // namespace plume::eval
