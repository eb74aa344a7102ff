#pragma once
// Answer: what an evaluation keeps of one query, a line of its JSONL file; scores are computed from these alone.
//
//   {"benchmark": "vqav2", "shots": 4, "seed": 42, "place": 0, "of": 5000,         the query's place among those asked
//    "id": 262148000, "image": "val2014/COCO_val2014_000000262148.jpg",
//    "demonstrations": [393225001, ...], "dropped": 0,                               ids in order, of those that fit
//    "prompt": "<image>Question:...", "raw": " yes<...>", "prediction": "yes",
//    "truth": {"answers": [{"answer": "yes", ...}, ...], "question_type": "...", "answer_type": "..."}}
//
// The truth of a caption is {"references": [...]}, of a class {"class_id", "class_name"}; a class has "class_id",
// "probability" and "log_probabilities" {name: mean over its tokens} of the likeliest classes. "truth" is missing
// where answers are not public. What has a score of its own has it in "score". Where the model's log-probabilities are not numbers there
// is no class, and the prediction is empty.

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/text/fields.hpp"

namespace plume::eval {

struct ChosenClass {
  index_t class_id = 0;
  double probability = 0;                                           ///< softmax over all classes
  std::vector<std::pair<std::string, double>> log_probabilities{};  ///< likeliest first
};

struct Answer {
  std::string benchmark;
  index_t shots = 0;
  std::uint32_t seed = 0;
  index_t place = 0, of = 0;
  io::Json id;
  std::string image;
  std::vector<io::Json> demonstrations{};
  std::size_t dropped = 0;
  std::string prompt, raw, prediction;
  io::Json truth{};  ///< null: not public
  std::optional<double> score{};
  std::optional<ChosenClass> chosen{};
};

inline io::Json to_json(const Answer& a) {
  io::Json out{
      {"benchmark", a.benchmark}, {"shots", a.shots},     {"seed", a.seed},
      {"place", a.place},         {"of", a.of},           {"id", a.id},
      {"image", a.image},         {"dropped", a.dropped}, {"demonstrations", a.demonstrations},
      {"prompt", a.prompt},       {"raw", a.raw},         {"prediction", a.prediction}};
  if (!a.truth.is_null()) out["truth"] = a.truth;
  if (a.score) out["score"] = *a.score;
  if (a.chosen) {
    out["class_id"] = a.chosen->class_id;
    out["probability"] = a.chosen->probability;
    io::Json& list = out["log_probabilities"] = io::Json::array();
    for (const auto& [name, value] : a.chosen->log_probabilities) list.push_back({name, value});
  }
  return out;
}

/// Throws FormatError naming the field.
inline Answer answer_of_json(const std::string& where, const io::Json& json) {
  const text::Field row(where, json);
  constexpr std::int64_t most = INT64_C(0x7fffffff);
  const auto number = [](const text::Field& field) {
    if (!field.json().is_number()) field.refuse("a number");
    return field.json().get<double>();
  };
  Answer out;
  out.benchmark = row["benchmark"].string();
  out.shots = row["shots"].integer(most);
  out.seed = static_cast<std::uint32_t>(row["seed"].integer(INT64_C(0xffffffff)));
  out.of = row["of"].integer(most);
  out.place = row["place"].integer(out.of - 1);
  out.id = row["id"].json();
  out.image = row["image"].string();
  for (const text::Field& id : row["demonstrations"].list())
    out.demonstrations.push_back(id.json());
  out.dropped = static_cast<std::size_t>(row["dropped"].integer(most));
  out.prompt = row["prompt"].string();
  out.raw = row["raw"].string();
  out.prediction = row["prediction"].string();
  out.truth = row["truth"].json();
  if (!row["score"].is_null()) out.score = number(row["score"]);
  if (!row["class_id"].is_null()) {
    const text::Field probability = row["probability"];
    out.chosen = ChosenClass{row["class_id"].integer(most),
                             probability.is_null() ? NAN : number(probability)};
    for (const text::Field& pair : row["log_probabilities"].list()) {
      const std::vector<text::Field> both = pair.list();
      if (both.size() != 2) pair.refuse("a name and a number");
      out.chosen->log_probabilities.emplace_back(both[0].string(), number(both[1]));
    }
  }
  return out;
}

inline std::vector<Answer> read_answers(const std::string& path) {
  std::vector<Answer> out;
  io::for_each_json_line(path, [&](const std::string& where, const io::Json& json) {
    out.push_back(answer_of_json(where, json));
  });
  return out;
}

}  // namespace plume::eval
