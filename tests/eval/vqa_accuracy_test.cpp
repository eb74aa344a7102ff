#include "plume/eval/vqa_accuracy.hpp"

#include <doctest/doctest.h>

namespace {

using namespace plume;
using namespace plume::eval;
using io::Json;

const std::string golden = "tests/golden/metrics/";

VqaAccuracy score(const std::string& annotations, const std::string& results) {
  const Json truth = io::read_json(golden + annotations), answers = io::read_json(golden + results);
  return vqa_accuracy({annotations, truth}, {results, answers});
}

Json question(Json answers) {
  for (Json& answer : answers) answer = {{"answer", answer}};
  return {{"annotations", {{{"question_id", 7}, {"question_type", "what"}, {"answers", answers}}}}};
}

double accuracy(const Json& annotations, const std::string& answer) {
  const Json results = {{{"question_id", 7}, {"answer", answer}}};
  return vqa_accuracy({"truth", annotations}, {"results", results}).overall;
}

}  // namespace

TEST_CASE("vqa_accuracy: the recorded sets") {
  const Json expected = io::read_json(golden + "vqa_expected.json");
  const std::pair<const char*, const char*> sets[] = {
      {"main", "vqa"},
      {"partial_with_duplicates", "vqa_partial"},
      {"without_answer_id", "vqa_without_answer_id"}};
  for (const auto& [set, folder] : sets) {
    const char* const name = set;  // clang 14 captures no structured binding
    CAPTURE(name);
    const Json& want = expected["sets"][name];
    const VqaAccuracy got = score(cat(folder, "/annotations.json"), cat(folder, "/results.json"));
    CHECK(Json(got.overall) == want["overall"]);
    CHECK(Json(got.by_question) == want["by_question"]);
    CHECK(Json(got.by_answer_type) == want["by_answer_type"]);
    CHECK(Json(got.by_question_type) == want["by_question_type"]);
  }
  for (const char* name : {"vqav2", "vizwiz"}) {
    CAPTURE(name);
    const Json want = io::read_json(golden + "../metrics_edge/vqa/" + name + "_expected.json");
    const VqaAccuracy got = score(cat("../metrics_edge/vqa/", name, "_annotations.json"),
                                  cat("../metrics_edge/vqa/", name, "_results.json"));
    CHECK(Json(got.overall) == want["overall"]);
    CHECK(Json(got.by_question) == want["by_question"]);
    CHECK(Json(got.by_answer_type) == want["accuracy"]["perAnswerType"]);
    CHECK(Json(got.by_question_type) == want["accuracy"]["perQuestionType"]);
  }
}

TEST_CASE("vqa_answer: the recorded texts") {
  const Json recorded = io::read_json(golden + "vqa_expected.json");
  for (const Json& text : recorded["normalised"]) {
    CAPTURE(text["text"].get<std::string>());
    const std::string punctuation = vqa_punctuation(vqa_clean(text["text"].get<std::string>()));
    CHECK(punctuation == text["punctuation"].get<std::string>());
    CHECK(vqa_digits_and_articles(punctuation) == text["normalised"].get<std::string>());
  }
  for (const Json& text : io::read_json(golden + "../metrics_edge/vqa/normalised.json")) {
    const auto raw = text["text"].get<std::string>();
    CAPTURE(raw);
    CHECK(vqa_punctuation(raw) == text["punctuation"].get<std::string>());
    CHECK(vqa_digits_and_articles(raw) == text["digit_article"].get<std::string>());
    CHECK(vqa_digits_and_articles(vqa_punctuation(raw)) == text["both"].get<std::string>());
  }
}

TEST_CASE("vqa_accuracy: leaving one annotator out") {
  // Records are equal where their answers are: each of the three leaves all three out.
  CHECK(accuracy(question({"a", "a", "a"}), "a") == 0);
  Json named = question({"cat", "cat", "cat", "dog"});
  int id = 0;
  for (Json& answer : named["annotations"][0]["answers"]) answer["answer_id"] = ++id;
  CHECK(accuracy(named, "The cat!") == 75);  // 2/3, 2/3, 2/3, 1
  CHECK(accuracy(named, "dog") == 25);       // 1/3, 1/3, 1/3, 0
  CHECK(accuracy(named, "cow") == 0);
}

TEST_CASE("vqa_accuracy: refusals name what is wrong") {
  const auto refuses = [](const Json& annotations, const Json& results, const char* message) {
    CHECK_THROWS_WITH_AS((void)vqa_accuracy({"a.json", annotations}, {"r.json", results}), message,
                         FormatError);
  };
  const Json good = question({"x"});
  refuses(Json::object(), Json::array(), "[a.json] expected annotations to be a list, got null");
  refuses(question(Json::array()), Json::array(),
          "[a.json] expected annotations[0].answers to be at least one answer, got []");
  refuses(good, {{{"question_id", 8}, {"answer", "x"}}},
          "[r.json] expected [0].question_id to be the number of a question that has annotations, "
          "got 8");
  refuses(good, {{{"question_id", 7}}}, "[r.json] expected [0].answer to be a string, got null");
  CHECK_THROWS_AS((void)vqa_accuracy({"a.json", good}, {"r.json", Json::array()}), ValueError);
}
