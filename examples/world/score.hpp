#pragma once
// How many captions say what the pictures show. The world knows, so nothing is judged by likeness of words.

#include <filesystem>
#include <map>

#include "plume/eval/datasets.hpp"
#include "words.hpp"

namespace world {

/// Counts of captions, and of those that are right in something.
struct Tally {
  index_t captions = 0;
  index_t content =
      0;  ///< a caption in one of the dialects, of the right thing, colour, count and place
  index_t cloth = 0;                                    ///< the cloth by the name it has here
  index_t all = 0;                                      ///< both
  index_t thing = 0, colour = 0, count = 0, place = 0;  ///< told, whatever the rest is

  void add(std::string_view prediction, const Captioned& right) {
    const Told told = told_by(prediction);
    const std::optional<Captioned> read = content_of(prediction);
    const bool is_content = read && read->content == right.content;
    const bool is_cloth = told.cloth == right.cloth;
    captions += 1;
    content += is_content ? 1 : 0;
    cloth += is_cloth ? 1 : 0;
    all += is_content && is_cloth ? 1 : 0;
    thing += told.thing == right.content.thing ? 1 : 0;
    colour += told.colour == right.content.colour ? 1 : 0;
    count += told.count == right.content.count ? 1 : 0;
    place += told.place == right.content.place ? 1 : 0;
  }
};

struct CaptionTally {
  Tally all, known, kept_back;  ///< of combinations of training, and of those kept back from it
};

/// The captions of a world's held-out queries, by the names of their pictures' files. Throws FormatError.
inline std::map<std::string, Captioned> right_captions(const std::string& folder) {
  const std::filesystem::path coco = std::filesystem::path(folder) / "coco";
  std::map<std::string, Captioned> out;
  for (const plume::eval::CaptionSample& sample :
       plume::eval::read_captions(plume::eval::CaptionSet::coco, coco / "dataset_coco.json",
                                  {coco / "train2014", coco / "val2014"}, "test")) {
    const auto read = content_of(sample.caption);
    if (!read)
      plume::fail<plume::FormatError>(sample.image.string(), "a caption of the world",
                                      sample.caption);
    out.emplace(sample.image.filename().string(), *read);
  }
  return out;
}

/// `predictions`: lines {"image": the picture's file, "prediction": the caption}, others of a line are not looked at.
/// Throws FormatError where a picture is not of the queries or there is no line.
inline CaptionTally score_captions(const std::string& folder, const std::string& predictions) {
  const std::string file = folder + "/world.json";
  const plume::io::Json world = plume::io::read_json(file);
  const auto seed =
      static_cast<std::uint64_t>(plume::text::Field(file, world)["seed"].integer(INT64_MAX));
  const std::map<std::string, Captioned> right = right_captions(folder);
  CaptionTally out;
  plume::io::for_each_json_line(
      predictions, [&](const std::string& where, const plume::io::Json& json) {
        const plume::text::Field line(where, json);
        const std::filesystem::path image = line["image"].string();
        const auto found = right.find(image.filename().string());
        if (found == right.end()) line["image"].refuse("a picture of the queries");
        const std::string& prediction = line["prediction"].string();
        const bool kept_back = is_kept_back(seed, combination(found->second.content));
        out.all.add(prediction, found->second);
        (kept_back ? out.kept_back : out.known).add(prediction, found->second);
      });
  if (out.all.captions == 0)
    plume::fail<plume::FormatError>(predictions, "at least one line", "none");
  return out;
}

}  // namespace world
