#pragma once
// The files to hand in to the test servers of VQAv2 and VizWiz, whose answers are not public. They want every
// question of the test set; those that were not asked get an empty answer.

#include <string>
#include <unordered_map>
#include <unordered_set>

#include "plume/eval/vqa_accuracy.hpp"

namespace plume::eval {

/// The answers of `results`, normalised, in their order; then the other questions of the test set in theirs.
inline io::Json vqav2_submission(const text::Field& results, const text::Field& questions) {
  io::Json out = io::Json::array();
  std::unordered_set<std::string> asked;
  for (const text::Field& result : results.list()) {
    asked.insert(question_key(result["question_id"]));
    io::Json row = result.json();
    row["answer"] = vqa_normalised(result["answer"].string());
    out.push_back(std::move(row));
  }
  if (questions["questions"].is_null()) questions["questions"].refuse("a list");
  for (const text::Field& question : questions["questions"].list()) {
    const text::Field id = question["question_id"];
    if (!asked.contains(question_key(id)))
      out.push_back({{"question_id", id.json()}, {"answer", ""}});
  }
  return out;
}

/// One row for each question of the test set, in its order, by image.
inline io::Json vizwiz_submission(const text::Field& results, const text::Field& questions) {
  std::unordered_map<std::string, std::string> answers;
  for (const text::Field& result : results.list()) {
    answers[question_key(result["question_id"])] = vqa_normalised(result["answer"].string());
  }
  io::Json out = io::Json::array();
  if (questions["questions"].is_null()) questions["questions"].refuse("a list");
  for (const text::Field& question : questions["questions"].list()) {
    const auto answer = answers.find(question_key(question["question_id"]));
    out.push_back({{"image", question["image_id"].string()},
                   {"answer", answer == answers.end() ? "" : answer->second}});
  }
  return out;
}

}  // namespace plume::eval
