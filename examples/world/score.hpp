#pragma once
// How many captions say what the pictures show, and how many answers are right. The world knows, so nothing is judged
// by likeness of words.

#include <filesystem>
#include <map>

#include "plume/eval/datasets.hpp"
#include "words.hpp"

namespace world {

/// Counts of captions, and of those that are right in something.
struct Tally {
  index_t captions = 0;
  index_t content = 0;  ///< a caption in one of the dialects that tells all that is to be seen
  index_t name = 0;     ///< the cloth's second name is the one it has here
  index_t both = 0;
  index_t thing = 0, colour = 0, count = 0, place = 0, cloth = 0;  ///< told, whatever the rest is

  void add(std::string_view prediction, const Captioned& right) {
    const Told told = told_by(prediction);
    const std::optional<Captioned> read = content_of(prediction);
    const bool is_content = read && read->content == right.content;
    const bool is_name = told.name == right.name;
    captions += 1;
    content += is_content ? 1 : 0;
    name += is_name ? 1 : 0;
    both += is_content && is_name ? 1 : 0;
    thing += told.thing == right.content.thing ? 1 : 0;
    colour += told.colour == right.content.colour ? 1 : 0;
    count += told.count == right.content.count ? 1 : 0;
    place += told.place == right.content.place ? 1 : 0;
    cloth += told.cloth == right.content.cloth ? 1 : 0;
  }
};

struct Answers {
  index_t asked = 0, right = 0;

  void add(bool is_right) {
    asked += 1;
    right += is_right ? 1 : 0;
  }
};

/// Of one number of shots.
struct Score {
  Tally all, known,
      kept_back;  ///< captions of combinations of training, and of those kept back from it
  Answers answers;
  std::map<std::string, Answers> by_question;
};

/// The captions of a world's held-out queries, by the names of their pictures' files. Throws FormatError.
inline std::map<std::string, Captioned> right_captions(const std::string& folder) {
  const std::filesystem::path coco = std::filesystem::path(folder) / "coco";
  std::map<std::string, Captioned> out;
  for (const plume::eval::CaptionSample& sample :
       plume::eval::read_captions(plume::eval::CaptionSet::coco, coco / "karpathy.json",
                                  {coco / "train2014", coco / "val2014"}, "test")) {
    const auto read = content_of(sample.caption);
    if (!read)
      plume::fail<plume::FormatError>(sample.image.string(), "a caption of the world",
                                      sample.caption);
    out.emplace(sample.image.filename().string(), *read);
  }
  return out;
}

/// By shots. `predictions`: lines {"image": the picture's file, "prediction": the caption}, as an evaluation writes
/// them: with "shots", 0 where they are not there, and where "benchmark" is "vqav2", with the answer and its "truth".
/// Throws FormatError where a picture is not of the queries or there is no line.
inline std::map<index_t, Score> score(const std::string& folder, const std::string& predictions) {
  const std::string file = folder + "/world.json";
  const plume::io::Json world = plume::io::read_json(file);
  const auto seed =
      static_cast<std::uint64_t>(plume::text::Field(file, world)["seed"].integer(INT64_MAX));
  const std::map<std::string, Captioned> right = right_captions(folder);
  std::map<index_t, Score> out;
  plume::io::for_each_json_line(predictions, [&](const std::string& where,
                                                 const plume::io::Json& json) {
    const plume::text::Field line(where, json);
    Score& score = out[line["shots"].is_null() ? 0 : line["shots"].integer(INT32_MAX)];
    const std::string& prediction = line["prediction"].string();
    if (line["benchmark"].string_or("coco") == "vqav2") {
      const plume::text::Field truth = line["truth"];
      const auto answers = truth["answers"].list();
      if (answers.empty()) truth.refuse("at least one answer");
      const bool is_right = plume::text::python_strip(prediction) == answers[0]["answer"].string();
      score.answers.add(is_right);
      score.by_question[truth["question_type"].string()].add(is_right);
      return;
    }
    const std::filesystem::path image = line["image"].string();
    const auto found = right.find(image.filename().string());
    if (found == right.end()) line["image"].refuse("a picture of the queries");
    const bool kept_back = is_kept_back(seed, combination(found->second.content));
    score.all.add(prediction, found->second);
    (kept_back ? score.kept_back : score.known).add(prediction, found->second);
  });
  if (out.empty()) plume::fail<plume::FormatError>(predictions, "at least one line", "none");
  return out;
}

}  // namespace world
