#pragma once
// A golden evaluation case: what was read, asked, answered and scored, data set by data set.

#include <functional>

#include "plume/eval/captions.hpp"
#include "plume/eval/classification.hpp"
#include "plume/eval/ok_vqa.hpp"
#include "plume/eval/postprocess.hpp"
#include "plume/eval/prompts.hpp"
#include "plume/eval/rices.hpp"
#include "plume/eval/roc_auc.hpp"
#include "plume/eval/vqa_submission.hpp"
#include "plume/image/decode.hpp"
#include "verify/json_tensor.hpp"
#include "verify/report.hpp"

namespace flamingo {

namespace eval = plume::eval;

/// A sample as golden cases record it.
inline plume::io::Json sample_fields(const eval::CaptionSample& s) {
  return {{"caption", s.caption}, {"image_id", s.id}};
}
inline plume::io::Json sample_fields(const eval::VqaSample& s) {
  return {{"question", s.question}, {"question_id", s.id}, {"answers", s.answers}};
}
inline plume::io::Json sample_fields(const eval::ClassSample& s) {
  plume::io::Json out = {{"id", s.id}, {"class_name", s.class_name}, {"class_id", s.class_id}};
  if (s.text) out["ocr"] = *s.text;
  return out;
}

/// Everything that the kinds of task do alike: samples, prompts, demonstrations.
class EvaluationCase {
 public:
  EvaluationCase(std::filesystem::path folder, std::string name, const plume::io::Json& expected,
                 Report& report)
      : folder_(std::move(folder)), name_(std::move(name)), expected_(expected), report_(report) {}

  void check() {
    if (name_ == "coco" || name_ == "flickr") {
      captions(name_ == "coco" ? eval::CaptionSet::coco : eval::CaptionSet::flickr);
    } else if (name_ == "vqav2") {
      questions(eval::VqaSet::vqav2);
    } else if (name_ == "ok_vqa") {
      questions(eval::VqaSet::ok_vqa);
    } else if (name_ == "textvqa") {
      questions(eval::VqaSet::textvqa);
    } else if (name_ == "vizwiz") {
      questions(eval::VqaSet::vizwiz);
    } else if (name_ == "hateful_memes") {
      classes(eval::read_hateful_memes(at("train.jsonl"), at("img")),
              eval::read_hateful_memes(at("test.jsonl"), at("img")), 2);
    } else if (name_ == "imagenet") {
      classes(eval::read_imagenet(at("train")), eval::read_imagenet(at("val")),
              eval::imagenet_class_names().size());
    } else {
      report_.pending(name_);
    }
  }

 private:
  using Json = plume::io::Json;
  using Path = std::filesystem::path;

  [[nodiscard]] Path at(const std::string& file) const { return folder_ / name_ / file; }
  [[nodiscard]] std::string label(const std::string& what) const { return name_ + " " + what; }

  template <class Sample>
  static bool opened_as_rgb(const Sample&) {
    return false;
  }
  static bool opened_as_rgb(const eval::ClassSample& s) { return s.as_rgb; }

  /// The samples, each with the size and the mode of its picture.
  template <class Sample>
  void samples(const std::vector<Sample>& read, const std::string& split) {
    const Json& expected = expected_.at(split);
    report_.equal(label(split + " samples"), read.size(), expected.size());
    for (std::size_t i = 0; i < std::min(read.size(), expected.size()); ++i) {
      Json got = sample_fields(read[i]);
      const plume::io::Source file = plume::io::Source::file(read[i].image.string());
      const plume::image::Picture picture = plume::image::decode(file.name, file.bytes);
      got["image"] = read[i].image.lexically_relative(folder_).generic_string();
      got["size"] = {picture.width, picture.height};
      got["mode"] = picture.mode == plume::image::Mode::l && !opened_as_rgb(read[i]) ? "L" : "RGB";
      report_.equal(label(plume::cat(split, "[", i, "]")), got, expected[i]);
    }
  }

  template <class Sample>
  void contexts(const Json& list, const std::string& where, const std::vector<Sample>& train,
                const std::vector<Sample>& test) {
    std::size_t n = 0;
    for (const Json& context : list) {
      std::vector<const Sample*> demonstrations;
      for (const Json& index : context.at("demonstrations")) {
        demonstrations.push_back(&train.at(index.get<std::size_t>()));
      }
      const Sample& query = test.at(context.at("query").get<std::size_t>());
      const auto shots = context.at("shots").get<plume::index_t>();
      const auto name = [&](const char* what) {
        return label(plume::cat(where, "[", n, "] ", what));
      };
      const auto prompt = [&](eval::ZeroShotImages images) {
        return eval::few_shot_prompt<Sample>(demonstrations, query, shots, images);
      };
      const eval::Prompt got = prompt(eval::ZeroShotImages::query);
      report_.equal(name("demonstrations"), demonstrations.size(), eval::demonstrations_for(shots));
      report_.equal(name("text"), got.text.text(), context.at("text"));
      report_.equal(name("images"), got.images.size(), context.at("images"));
      if (context.contains("images_reference")) {
        report_.equal(name("images_reference"),
                      prompt(eval::ZeroShotImages::demonstrations).images.size(),
                      context["images_reference"]);
      }
      ++n;
    }
  }

  /// Calls f(run, its contexts in the order asked).
  void runs(const std::function<void(const Json&, const std::vector<const Json*>&)>& f) const {
    for (const Json& run : expected_.at("runs")) {
      std::vector<const Json*> asked;
      for (const Json& context : expected_.at("contexts")) {
        if (context.at("shots") == run.at("shots")) asked.push_back(&context);
      }
      f(run, asked);
    }
  }

  [[nodiscard]] std::string of_run(const Json& run, const char* what) const {
    return label(plume::cat("runs ", run.at("shots").get<int>(), " shots ", what));
  }

  void options(const Json& run, const eval::AnswerOptions& o) {
    report_.equal(of_run(run, "options"),
                  Json{{"min_generation_length", o.min_new_tokens},
                       {"max_generation_length", o.max_new_tokens},
                       {"num_beams", o.beams},
                       {"length_penalty", o.length_penalty}},
                  run.at("options"));
  }

  void captions(eval::CaptionSet set) {
    const bool coco = set == eval::CaptionSet::coco;
    const eval::CaptionImages images{at(coco ? "train2014" : "images"),
                                     at(coco ? "val2014" : "images")};
    const auto train = eval::read_captions(set, at("karpathy.json"), images, "train");
    const auto test = eval::read_captions(set, at("karpathy.json"), images, "test");
    samples(train, "train");
    samples(test, "test");
    contexts(expected_.at("contexts"), "contexts", train, test);
    const auto predictions = [&](const std::vector<const Json*>& asked) {
      Json out = Json::array();
      for (const Json* context : asked) {
        const auto& sample = test.at(context->at("query").get<std::size_t>());
        out.push_back(
            {{"image_id", sample.id},
             {"caption", eval::caption_of(context->at("generation").get<std::string>())}});
      }
      return out;
    };
    runs([&](const Json& run, const std::vector<const Json*>& asked) {
      options(run, eval::answer_options(set));
      const Json got = predictions(asked);
      report_.equal(of_run(run, "predictions"), got, run.at("predictions"));
      cider(of_run(run, "score"), got, run.at("score"));
    });
    if (!expected_.contains("rices")) return;
    const Json& rices = expected_["rices"];
    const auto features = tensor_of(rices.at("features"));
    const auto queries = tensor_of(rices.at("query_features"));
    std::vector<const Json*> asked;
    for (const Json& context : rices.at("contexts")) {
      const auto query = context.at("query").get<plume::index_t>();
      const auto nearest = eval::most_similar_last(features, queries.slice(0, query, query + 1),
                                                   context.at("shots").get<plume::index_t>());
      report_.equal(label(plume::cat("rices query ", query)), nearest.at(0),
                    context.at("demonstrations"));
      asked.push_back(&context);
    }
    contexts(rices.at("contexts"), "rices", train, test);
    cider(label("rices score"), predictions(asked), rices.at("score"));
  }

  void cider(const std::string& name, const Json& predictions, const Json& expected) {
    const std::string file = at("annotations.json").string();
    const Json truth = plume::io::read_json(file);
    const auto got = eval::evaluate_captions(
        eval::captioned_images({file, truth}, {"predictions", predictions}));
    report_.within(name, std::abs(got.cider_percent() - expected.get<double>()), 1e-6);
  }

  void questions(eval::VqaSet set) {
    const bool coco = set == eval::VqaSet::vqav2 || set == eval::VqaSet::ok_vqa;
    const auto folder = [&](const std::string& split) {
      return at(coco ? split + "2014" : set == eval::VqaSet::textvqa ? "images" : split);
    };
    const auto read = [&](const std::string& split) {
      return eval::read_questions(set, at(split + "_questions.json"),
                                  at(split + "_annotations.json"), folder(split));
    };
    const auto train = read("train"), test = read("val");
    samples(train, "train");
    samples(test, "test");
    contexts(expected_.at("contexts"), "contexts", train, test);
    const std::string annotations = at("val_annotations.json").string();
    const Json truth = plume::io::read_json(annotations);
    runs([&](const Json& run, const std::vector<const Json*>& asked) {
      options(run, eval::answer_options(set));
      Json got = Json::array();
      for (const Json* context : asked) {
        const auto raw = context->at("generation").get<std::string>();
        got.push_back({{"answer", answer(set, raw)},
                       {"question_id", test.at(context->at("query").get<std::size_t>()).id}});
      }
      report_.equal(of_run(run, "predictions"), got, run.at("predictions"));
      if (run.at("score").is_null()) return;
      const auto score = eval::vqa_accuracy({annotations, truth}, {"predictions", got});
      report_.within(of_run(run, "score"), std::abs(score.overall - run["score"].get<double>()),
                     1e-9);
    });
    if (!expected_.contains("submission")) return;
    const Json& submission = expected_["submission"];
    const std::string file = at(submission.at("questions").get<std::string>()).string();
    const Json asked = plume::io::read_json(file);
    const auto fill =
        set == eval::VqaSet::vizwiz ? eval::vizwiz_submission : eval::vqav2_submission;
    report_.equal(label("submission"),
                  fill({"predictions", submission.at("predictions")}, {file, asked}),
                  submission.at("file"));
  }

  static std::string answer(eval::VqaSet set, const std::string& generation) {
    return set == eval::VqaSet::ok_vqa ? eval::ok_vqa_answer_of(generation)
                                       : eval::answer_of(generation);
  }

  void classes(const std::vector<eval::ClassSample>& train,
               const std::vector<eval::ClassSample>& test, std::size_t count) {
    samples(train, "train");
    samples(test, "test");
    contexts(expected_.at("contexts"), "contexts", train, test);
    runs([&](const Json& run, const std::vector<const Json*>& asked) {
      report_.equal(of_run(run, "options"), Json{{"classes", count}, {"normalize_length", true}},
                    run.at("options"));
      choices(of_run(run, ""), asked, test, count, run.at("predictions"), run.at("score"));
    });
    if (!expected_.contains("ensembling")) return;
    const Json& ensembling = expected_["ensembling"];
    contexts(ensembling.at("contexts"), "ensembling", train, test);
    std::vector<const Json*> asked;
    for (const Json& context : ensembling.at("contexts")) asked.push_back(&context);
    choices(label("ensembling "), asked, test, count, ensembling.at("predictions"),
            ensembling.at("score"));
    if (asked.empty()) return;
    const auto orders = eval::ensemble_size(asked[0]->at("shots").get<plume::index_t>());
    report_.equal(label("ensembling orders"), asked.size(),
                  static_cast<std::size_t>(orders) * queries_of(asked).size());
  }

  static std::vector<std::size_t> queries_of(const std::vector<const Json*>& asked) {
    std::vector<std::size_t> out;
    for (const Json* context : asked) {
      const auto query = context->at("query").get<std::size_t>();
      if (std::find(out.begin(), out.end(), query) == out.end()) out.push_back(query);
    }
    return out;
  }

  /// A query that was asked in several orders has the mean of its log-probabilities.
  void choices(const std::string& where, const std::vector<const Json*>& asked,
               const std::vector<eval::ClassSample>& test, std::size_t count,
               const Json& predictions, const Json& expected_score) {
    std::vector<int> labels;
    std::vector<plume::index_t> chosen, truth;
    std::vector<double> scores;
    Json names = Json::array();
    for (const std::size_t query : queries_of(asked)) {
      std::vector<std::vector<double>> orders;
      for (const Json* context : asked) {
        if (context->at("query") != query) continue;
        std::vector<double>& row = orders.emplace_back(count, -20.0);
        for (const auto& [c, x] : context->at("logprobs").items()) row.at(std::stoul(c)) = x;
      }
      const eval::Choice choice = eval::likeliest(eval::mean_of(orders));
      chosen.push_back(choice.class_id);
      truth.push_back(test.at(query).class_id);
      labels.push_back(test.at(query).class_id == 1);
      scores.push_back(eval::positive_score(choice));
      names.push_back(test.at(query).class_name);
    }
    const bool ranked =
        !predictions.is_null();  // scores for a ROC curve, else the share that is right
    if (ranked) {
      report_.equal(where + "labels", names, predictions.at(0));
      report_.equal(where + "number of scores", scores.size(), predictions.at(1).size());
      for (std::size_t i = 0; i < std::min(scores.size(), predictions.at(1).size()); ++i) {
        report_.within(plume::cat(where, "score of ", i),
                       std::abs(scores[i] - predictions[1][i].get<double>()), 1e-9);
      }
    }
    const double score =
        ranked ? eval::roc_auc(labels, scores) : eval::top1_accuracy(chosen, truth);
    report_.within(where + "score", std::abs(score - expected_score.get<double>()), 1e-12);
  }

  Path folder_;
  std::string name_;
  const Json& expected_;
  Report& report_;
};

inline void check_evaluation(const std::filesystem::path& folder, Report& report) {
  const plume::io::Json expected = plume::io::read_json((folder / "expected.json").string());
  for (const auto& [name, rows] : expected.items()) {
    try {
      EvaluationCase(folder, name, rows, report).check();
    } catch (const std::exception& error) {
      report.wrong(name, error.what());
    }
  }
}

}  // namespace flamingo
