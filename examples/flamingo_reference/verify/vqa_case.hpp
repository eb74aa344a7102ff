#pragma once
// Golden cases of the metrics but for captions: VQA accuracy, OK-VQA's stems, ROC-AUC, nearest neighbours. A file that
// a case lacks is not verified.

#include "plume/eval/classification.hpp"
#include "plume/eval/ok_vqa.hpp"
#include "plume/eval/rices.hpp"
#include "plume/eval/roc_auc.hpp"
#include "plume/eval/vqa_submission.hpp"
#include "verify/json_tensor.hpp"
#include "verify/report.hpp"

namespace flamingo {

namespace eval = plume::eval;

class VqaCase {
 public:
  VqaCase(std::filesystem::path folder, Report& report)
      : folder_(std::move(folder)), report_(report) {}

  void check() {
    with("vqa_expected.json", [&](const Json& expected) {
      for (const auto& [name, want] : expected.at("sets").items()) {
        const std::string at = name == "main"                      ? "vqa"
                               : name == "partial_with_duplicates" ? "vqa_partial"
                                                                   : "vqa_" + name;
        accuracy(name, at + "/annotations.json", at + "/results.json",
                 {want.at("overall"), want.at("by_question"), want.at("by_answer_type"),
                  want.at("by_question_type")});
      }
      normalised(expected.at("normalised"));
      postprocessed(expected.at("postprocess"), "caption_unquoted");
    });
    with("numbers.json", [&](const Json& numbers) {
      roc_auc(numbers.at("roc_auc"));
      neighbours(numbers.at("rices"));
    });
    with("retrieval.json", [&](const Json& cases) { neighbours(cases); });
    with("ok_vqa.json", [&](const Json& recorded) { stems(recorded); });
    with("vqa/normalised.json", [&](const Json& texts) { normalised(texts); });
    with("vqa/postprocess.json", [&](const Json& texts) { postprocessed(texts, "caption"); });
    for (const std::string name : {"vqav2", "vizwiz"}) {
      with("vqa/" + name + "_expected.json", [&](const Json& want) {
        accuracy(
            name, "vqa/" + name + "_annotations.json", "vqa/" + name + "_results.json",
            {want.at("overall"), want.at("by_question"), want.at("accuracy").at("perAnswerType"),
             want.at("accuracy").at("perQuestionType")});
      });
      with("vqa/submission_" + name + ".json", [&](const Json& want) {
        const Json results = read("vqa/submission_predictions.json");
        const Json questions = read("vqa/submission_questions.json");
        const auto fill = name == "vizwiz" ? eval::vizwiz_submission : eval::vqav2_submission;
        report_.equal("submission " + name,
                      fill({"predictions", results}, {"questions", questions}), want);
      });
    }
  }

 private:
  using Json = plume::io::Json;

  [[nodiscard]] Json read(const std::string& file) const {
    return plume::io::read_json((folder_ / file).string());
  }
  template <class F>
  void with(const std::string& file, const F& f) {
    if (!std::filesystem::exists(folder_ / file)) return;
    try {
      f(read(file));
    } catch (const std::exception& error) {
      report_.wrong(file, error.what());
    }
  }

  struct Wanted {
    const Json &overall, &by_question, &by_answer_type, &by_question_type;
  };
  void accuracy(const std::string& name, const std::string& annotations, const std::string& results,
                const Wanted& want) {
    const Json truth = read(annotations), answers = read(results);
    const auto got = eval::vqa_accuracy({annotations, truth}, {results, answers});
    report_.equal("accuracy " + name + " overall", got.overall, want.overall);
    report_.equal("accuracy " + name + " by_question", got.by_question, want.by_question);
    report_.equal("accuracy " + name + " by_answer_type", got.by_answer_type, want.by_answer_type);
    report_.equal("accuracy " + name + " by_question_type", got.by_question_type,
                  want.by_question_type);
  }

  /// Either each text cleaned and then both steps, or each step alone and both.
  void normalised(const Json& texts) {
    for (const Json& row : texts) {
      const auto raw = row.at("text").get<std::string>();
      if (row.contains("both")) {
        report_.equal("punctuation of " + raw, eval::vqa_punctuation(raw), row.at("punctuation"));
        report_.equal("digits and articles of " + raw, eval::vqa_digits_and_articles(raw),
                      row.at("digit_article"));
        report_.equal("both of " + raw, eval::vqa_digits_and_articles(eval::vqa_punctuation(raw)),
                      row.at("both"));
        continue;
      }
      report_.equal("punctuation of " + raw, eval::vqa_punctuation(eval::vqa_clean(raw)),
                    row.at("punctuation"));
      report_.equal("normalised " + raw, eval::vqa_normalised(raw), row.at("normalised"));
    }
  }

  void postprocessed(const Json& texts, const char* caption) {
    for (const Json& row : texts) {
      const auto raw = row.at("raw").get<std::string>();
      report_.equal("answer in " + raw, eval::answer_of(raw), row.at("vqa"));
      report_.equal("caption in " + raw, eval::caption_of(raw), row.at(caption));
    }
  }

  void roc_auc(const Json& cases) {
    std::size_t n = 0;
    for (const Json& c : cases) {
      const std::string name = plume::cat("roc_auc ", n++);
      const auto labels = c.at("labels").get<std::vector<int>>();
      const auto scores = c.at("scores").get<std::vector<double>>();
      report_.within(name, std::abs(eval::roc_auc(labels, scores) - c.at("roc_auc").get<double>()),
                     1e-12);
      if (!c.contains("pred_label")) continue;
      for (std::size_t i = 0; i < scores.size(); ++i) {
        const bool yes = c["pred_label"][i] == "yes";
        const double got = eval::positive_score({yes, c["pred_score"][i].get<double>()});
        report_.within(plume::cat(name, " score ", i), std::abs(got - scores[i]), 1e-12);
      }
    }
  }

  void neighbours(const Json& cases) {
    using Lists = std::vector<std::vector<plume::index_t>>;
    std::size_t n = 0;
    for (const Json& c : cases) {
      const bool plain = c.contains("features");  // to be normalised, as is whatever has no cache
      const bool cached = !plain && c.at("bank_before_normalising").is_null();
      const auto given = tensor_of(c.at(plain    ? "features"
                                        : cached ? "bank"
                                                 : "bank_before_normalising"));
      const auto bank = cached ? given : eval::unit_rows(given);
      const auto queries = tensor_of(c.at(plain ? "queries" : "queries_before_normalising"));
      Lists got = eval::most_similar_last(bank, queries, c.at("shots").get<plume::index_t>());
      Lists want = c.at("most_similar_last").get<Lists>();
      const Json twins = c.value("twins", Json::array());
      for (const Json& twin : twins) {  // equal rows, in either order
        for (Lists* lists : {&got, &want}) {
          for (auto& list : *lists) {
            std::replace(list.begin(), list.end(), twin.at(1).get<plume::index_t>(),
                         twin.at(0).get<plume::index_t>());
          }
        }
      }
      report_.equal(plume::cat("most similar ", n++), got, want);
    }
  }

  /// Stems with the recorded tags. How many come out the same when plurals are guessed is said, and not judged.
  void stems(const Json& recorded) {
    const Json exceptions = recorded.value("exceptions", Json::object());
    for (const auto& [word, stem] : exceptions.items()) {
      const std::string_view* got = eval::ok_vqa_exception(word);
      report_.equal("exception " + word, got == nullptr ? Json() : Json(*got), stem);
    }
    for (const auto& [word, singular] : recorded.at("singular").items()) {
      report_.equal("singular of " + word, eval::singular_of(word), singular);
    }
    const bool edge = recorded.contains("answers");
    const Json& lemmas = recorded.at(edge ? "lemmas_of_verbs" : "verb_lemma");
    std::size_t known = 0, guessed = 0;
    for (const auto& [word, verb] : lemmas.items()) {
      known += eval::Verbs::common().lemma(word) == verb.get<std::string>();
    }
    const Json& rows = recorded.at(edge ? "answers" : "postprocess");
    for (const Json& row : rows) {
      const auto raw = row.at("raw").get<std::string>();
      std::vector<std::string> words, tags;
      if (edge) {
        for (const Json& pair : row.at("tagged")) {
          words.push_back(pair.at(0));
          tags.push_back(pair.at(1));
        }
      } else {
        words = row.at("tokens").get<std::vector<std::string>>();
        tags = row.at("tags").get<std::vector<std::string>>();
      }
      report_.equal("words of " + raw, eval::word_tokenize(eval::answer_of(raw)), words);
      const auto plural = [&](const std::vector<std::string>&, std::size_t i) {
        return i < tags.size() && (tags[i] == "NNS" || tags[i] == "NNPS");
      };
      const Json& stem = row.at(edge ? "stemmed" : "stem");
      report_.equal("stem of " + raw, eval::ok_vqa_answer_of(raw, plural), stem);
      guessed += eval::ok_vqa_answer_of(raw) == stem.get<std::string>();
    }
    report_.pending(plume::cat("ok_vqa.json: stems without the recorded tags (", guessed, " of ",
                               rows.size(), " agree)"));
    report_.pending(plume::cat("ok_vqa.json: verbs without WordNet (", known, " of ", lemmas.size(),
                               " agree)"));
  }

  std::filesystem::path folder_;
  Report& report_;
};

inline void check_vqa(const std::filesystem::path& folder, Report& report) {
  VqaCase(folder, report).check();
}

}  // namespace flamingo
