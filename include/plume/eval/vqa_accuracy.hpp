#pragma once
// VQA accuracy as the official evaluation computes it. A question has answers a_1 ... a_n (n = 10), a prediction p:
//
//   accuracy = 1/n sum_i min(1, #{j : a_j = p, record j differs from record i} / 3)
//
// with all answers normalised (vqa_answer.hpp). "The other annotators" are those whose whole record is another, so
// that without `answer_id` equal answers of equal confidence leave each other out.
//
// Antol et al., "VQA: Visual Question Answering", ICCV 2015; github.com/GT-Vision-Lab/VQA.

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

#include "plume/eval/question_key.hpp"
#include "plume/eval/vqa_answer.hpp"

namespace plume::eval {

/// In percent, rounded to two decimals.
struct VqaAccuracy {
  double overall = 0;
  std::map<std::string, double> by_question, by_answer_type, by_question_type;
};

namespace detail {

struct Mean {
  double sum = 0;
  double count = 0;

  void add(double value) {
    sum += value;
    count += 1;
  }
  [[nodiscard]] double percent() const { return python_round2(100 * sum / count); }
};

/// The accuracy of one answer; normalises `answers`, the question's records, in place as the official code does,
/// so that a question asked twice is compared with what the first time left.
inline double vqa_agreement(io::Json& answers, std::string_view prediction) {
  const std::string answer = vqa_normalised(prediction);
  for (io::Json& record : answers) {
    record["answer"] = vqa_normalised(record["answer"].get_ref<const std::string&>());
  }
  std::vector<const io::Json*> matching;
  for (const io::Json& record : answers) {
    if (record["answer"] == answer) matching.push_back(&record);
  }
  Mean mean;
  for (const io::Json& left_out : answers) {
    const auto same = std::count_if(matching.begin(), matching.end(),
                                    [&](const io::Json* record) { return *record != left_out; });
    mean.add(std::min(1.0, static_cast<double>(same) / 3));
  }
  return mean.sum / mean.count;
}

}  // namespace detail

/// `annotations`: the official file's {"annotations": [{question_id, question_type, answer_type, answers: [{answer,
/// ...}]}]}; without `answer_type`, as in VizWiz's, it is "other". `results`: [{question_id, answer}]. A question
/// that is answered twice counts twice, both times with its last answer. Throws FormatError, ValueError.
inline VqaAccuracy vqa_accuracy(const text::Field& annotations, const text::Field& results) {
  struct Question {
    io::Json answers;
    std::string question_type, answer_type, prediction;
  };
  std::unordered_map<std::string, Question> questions;
  if (annotations["annotations"].is_null()) annotations["annotations"].refuse("a list");
  for (const text::Field& annotation : annotations["annotations"].list()) {
    const text::Field answers = annotation["answers"];
    if (answers.list().empty()) answers.refuse("at least one answer");
    for (const text::Field& answer : answers.list()) (void)answer["answer"].string();
    questions[question_key(annotation["question_id"])] = {
        answers.json(), annotation["question_type"].string_or("other"),
        annotation["answer_type"].string_or("other"), ""};
  }
  std::vector<std::string> asked;
  for (const text::Field& result : results.list()) {
    asked.push_back(question_key(result["question_id"]));
    const auto question = questions.find(asked.back());
    if (question == questions.end())
      result["question_id"].refuse("the number of a question that has annotations");
    question->second.prediction = result["answer"].string();
  }
  if (asked.empty()) fail<ValueError>("vqa_accuracy", "at least one result", 0);

  VqaAccuracy out;
  detail::Mean overall;
  std::map<std::string, detail::Mean> by_answer_type, by_question_type;
  for (const std::string& key : asked) {
    Question& question = questions.at(key);
    const double accuracy = detail::vqa_agreement(question.answers, question.prediction);
    overall.add(accuracy);
    by_answer_type[question.answer_type].add(accuracy);
    by_question_type[question.question_type].add(accuracy);
    out.by_question[key] = python_round2(100 * accuracy);
  }
  out.overall = overall.percent();
  for (const auto& [type, mean] : by_answer_type) out.by_answer_type[type] = mean.percent();
  for (const auto& [type, mean] : by_question_type) out.by_question_type[type] = mean.percent();
  return out;
}

}  // namespace plume::eval
