#include "plume/eval/vqa_submission.hpp"

#include <doctest/doctest.h>

TEST_CASE("vqa_submission: the recorded files") {
  using plume::io::read_json;
  const std::string golden = "tests/golden/metrics_edge/vqa/submission_";
  const auto results = read_json(golden + "predictions.json"),
             questions = read_json(golden + "questions.json");
  CHECK(plume::eval::vqav2_submission({"results", results}, {"questions", questions}) ==
        read_json(golden + "vqav2.json"));
  CHECK(plume::eval::vizwiz_submission({"results", results}, {"questions", questions}) ==
        read_json(golden + "vizwiz.json"));
}
