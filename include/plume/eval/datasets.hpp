#pragma once
// The data sets of the few-shot evaluation, in the formats in which they are published. A reader gives samples in
// the order of the file, each with the path of its picture; pictures are opened when they are needed.
//
//   captions        COCO, Flickr30K    Karpathy's split file {"images": [{split, filename, sentences: [{raw}], ...}]}
//   questions       VQAv2, OK-VQA, TextVQA, VizWiz   {"questions": [...]} and {"annotations": [...]}, by question_id
//   memes           HatefulMemes       one {"id", "img", "label", "text"} a line
//   ImageNet        ROOT/WORDNET_ID/*  the class is the one that has the folder's WordNet id
//
// Records are known by their ids and never by their positions. An id that comes twice is refused.

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/eval/image_folder.hpp"
#include "plume/eval/imagenet_names.hpp"
#include "plume/eval/imagenet_wordnet.hpp"
#include "plume/eval/question_key.hpp"

namespace plume::eval {

namespace fs = std::filesystem;

struct CaptionSample {
  fs::path image;
  io::Json id;  ///< COCO's number, or the name of a picture of Flickr30K
  std::string caption;
};

struct VqaSample {
  fs::path image;
  io::Json id;
  std::string question;
  std::vector<std::string> answers;  ///< empty where they are not public
};

/// A picture to classify, with the text written on it if the task has one.
struct ClassSample {
  fs::path image;
  io::Json id;
  std::string class_name;
  index_t class_id = 0;
  std::optional<std::string> text{};
  bool as_rgb = false;  ///< the reference converts the picture when it opens it, and only then
};

namespace detail {

/// VQAv2's annotations of the training set have 400 MB.
inline constexpr io::Limits dataset_limits{.json_bytes = std::size_t{4} << 30};

inline void expect_file(const char* what, const fs::path& path) {
  if (!fs::is_regular_file(path)) {
    fail<FormatError>("evaluation data", cat(what, " at ", path.string()),
                      fs::exists(path) ? "something that is not a file" : "no such file");
  }
}
inline void expect_folder(const char* what, const fs::path& path) {
  if (!fs::is_directory(path)) {
    fail<FormatError>("evaluation data", cat("the folder of ", what, " at ", path.string()),
                      fs::exists(path) ? "something that is not a folder" : "no such folder");
  }
}
inline io::Json read_dataset(const char* what, const fs::path& path) {
  expect_file(what, path);
  return io::read_json(path.string(), dataset_limits);
}
/// A list that must be there.
inline std::vector<text::Field> items(const text::Field& field) {
  if (field.is_null()) field.refuse("a list");
  return field.list();
}
/// The number of a COCO picture as its file has it: twelve digits.
inline std::string coco_number(const text::Field& id) {
  const std::string digits = std::to_string(id.integer(999'999'999'999));
  return std::string(12 - digits.size(), '0') + digits;
}
/// Ids of one file, each with the position of its record.
class Ids {
 public:
  /// Throws FormatError naming the two records that share an id.
  void add(const text::Field& id, const std::string& key) {
    const auto [first, is_new] = records_.emplace(key, records_.size());
    if (!is_new)
      id.refuse(cat("an id that no other record has (record ", first->second, " has it)"));
  }
  /// The record with this id; none where there is no such record.
  [[nodiscard]] std::optional<std::size_t> record(const std::string& key) const {
    const auto found = records_.find(key);
    return found == records_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  std::unordered_map<std::string, std::size_t> records_;
};
/// The first few of `names`, and how many more there are.
inline std::string some_of(const std::vector<std::string>& names, const char* between = ", ",
                           std::size_t most = 5) {
  std::string out;
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i)
    out += cat(i == 0 ? "" : between, names[i]);
  if (names.size() > most) out += cat(between, "and ", names.size() - most, " more");
  return out;
}

}  // namespace detail

enum class CaptionSet { coco, flickr };
enum class VqaSet { vqav2, ok_vqa, textvqa, vizwiz };

/// Where COCO's pictures are; Flickr30K's are all in one folder, `train`.
struct CaptionImages {
  fs::path train, val{};
};

/// The samples whose split is `split`: "train" or "test" ("restval" belongs to neither). A sample's caption is the
/// first of its picture's. Throws FormatError, also where a picture comes twice, or COCO's number is not its file's.
inline std::vector<CaptionSample> read_captions(CaptionSet set, const fs::path& karpathy,
                                                const CaptionImages& images,
                                                std::string_view split) {
  const bool coco = set == CaptionSet::coco;
  detail::expect_folder("pictures", images.train);
  if (coco) detail::expect_folder("pictures", images.val);
  const io::Json json = detail::read_dataset("Karpathy's split file", karpathy);
  std::vector<CaptionSample> out;
  detail::Ids ids;
  for (const text::Field& image : detail::items(text::Field(karpathy.string(), json)["images"])) {
    const std::string& file = image["filename"].string();
    ids.add(image["filename"], file);
    if (image["split"].string() != split) continue;
    const std::vector<text::Field> sentences = image["sentences"].list();
    if (sentences.empty()) image["sentences"].refuse("at least one caption");
    CaptionSample sample{images.train / file, file.substr(0, file.find('.')),
                         sentences[0]["raw"].string()};
    if (coco) {
      const bool train = image["filepath"].string() == "train2014";
      sample.image = (train ? images.train : images.val) / file;
      sample.id = image["cocoid"].integer(999'999'999'999);
      const std::string number = detail::coco_number(image["cocoid"]);
      if (file.starts_with("COCO_") && file.find(number) == std::string::npos)
        image["cocoid"].refuse("the number in the name of its picture, " + file);
    }
    out.push_back(std::move(sample));
  }
  return out;
}

namespace detail {

/// For each of `questions` its annotation: the one that has its question_id. Throws FormatError naming ids that come
/// twice, questions without an annotation, and annotations of no question.
inline std::vector<text::Field> annotations_of(const std::vector<text::Field>& questions,
                                               const std::vector<text::Field>& annotations,
                                               const std::string& questions_file,
                                               const std::string& annotations_file) {
  Ids ids;
  for (const text::Field& annotation : annotations)
    ids.add(annotation["question_id"], question_key(annotation["question_id"]));
  std::vector<bool> used(annotations.size(), false);
  std::vector<std::string> missing, extra;
  std::vector<text::Field> out;
  for (const text::Field& question : questions) {
    const std::string key = question_key(question["question_id"]);
    if (const auto record = ids.record(key)) {
      used[*record] = true;
      out.push_back(annotations[*record]);
    } else {
      missing.push_back(key);
    }
  }
  for (std::size_t i = 0; i < annotations.size(); ++i)
    if (!used[i]) extra.push_back(question_key(annotations[i]["question_id"]));
  if (!missing.empty() || !extra.empty()) {
    std::string got = missing.empty() ? "" : "none of " + some_of(missing);
    if (!extra.empty())
      got +=
          cat(got.empty() ? "" : "; ", "annotations of ", some_of(extra), ", which are not asked");
    fail<FormatError>(annotations_file,
                      cat("one annotation for each question_id of ", questions_file), got);
  }
  return out;
}

}  // namespace detail

/// Questions with the answers of the annotation that has their question_id; without `annotations`, for a test set, with
/// none. For VQAv2 and OK-VQA the name of the folder of pictures is a part of their names. Throws FormatError.
inline std::vector<VqaSample> read_questions(VqaSet set, const fs::path& questions,
                                             const std::optional<fs::path>& annotations,
                                             const fs::path& images) {
  detail::expect_folder("pictures", images);
  const io::Json asked = detail::read_dataset("the questions", questions);
  const io::Json answered =
      annotations ? detail::read_dataset("the annotations", *annotations) : io::Json();
  const auto rows = detail::items(text::Field(questions.string(), asked)["questions"]);
  detail::Ids ids;
  for (const text::Field& row : rows) ids.add(row["question_id"], question_key(row["question_id"]));
  std::vector<text::Field> answers;
  if (annotations) {
    const text::Field list = text::Field(annotations->string(), answered)["annotations"];
    answers = detail::annotations_of(rows, detail::items(list), questions.string(),
                                     annotations->string());
  }
  const fs::path folder = images.has_filename() ? images : images.parent_path();
  std::vector<VqaSample> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const text::Field image = rows[i]["image_id"];
    std::string file;
    if (set == VqaSet::vizwiz) {
      file = image.string();
    } else if (set == VqaSet::textvqa) {
      file = image.string() + ".jpg";
    } else {
      file = cat("COCO_", folder.filename().string(), "_", detail::coco_number(image), ".jpg");
    }
    VqaSample sample{
        images / file, rows[i]["question_id"].json(), rows[i]["question"].string(), {}};
    if (annotations) {
      for (const text::Field& answer : detail::items(answers[i]["answers"])) {
        sample.answers.push_back(answer["answer"].string());
      }
      if (sample.answers.empty()) answers[i]["answers"].refuse("at least one answer");
    }
    out.push_back(std::move(sample));
  }
  return out;
}

/// The classes of HatefulMemes, by label.
inline const std::vector<std::string>& hateful_memes_class_names() {
  static const std::vector<std::string> names{"no", "yes"};
  return names;
}

/// Throws FormatError, also where an id comes twice.
inline std::vector<ClassSample> read_hateful_memes(const fs::path& annotations,
                                                   const fs::path& images) {
  detail::expect_folder("pictures", images);
  detail::expect_file("the annotations", annotations);
  std::vector<ClassSample> out;
  detail::Ids ids;
  io::for_each_json_line(annotations.string(), [&](const std::string& where, const io::Json& json) {
    const text::Field row(where, json);
    ids.add(row["id"], question_key(row["id"]));
    const index_t label = row["label"].integer(1);
    out.push_back({images / fs::path(row["img"].string()).filename(), row["id"].json(),
                   hateful_memes_class_names()[static_cast<std::size_t>(label)], label,
                   row["text"].string()});
  });
  return out;
}

/// The pictures of `root`'s folders in the order of `image_folder`, numbered; `root` may hold any of the 1000 classes.
/// Throws FormatError naming folders whose names are not WordNet ids of classes.
inline std::vector<ClassSample> read_imagenet(const fs::path& root) {
  detail::expect_folder("classes", root);
  const ImageFolder folder = image_folder(root);
  std::vector<index_t> ids;
  std::vector<std::string> others;
  for (const std::string& name : folder.classes) {
    ids.push_back(imagenet_class_id(name));
    if (ids.back() < 0) others.push_back(name);
  }
  if (!others.empty()) {
    fail<FormatError>(root.string(),
                      "folders named by the WordNet ids of ImageNet's 1000 classes, n01440764 to "
                      "n15075141 (a class is known by that id; the order of folders is not used)",
                      detail::some_of(others));
  }
  std::vector<ClassSample> out;
  for (const auto& [path, c] : folder.files) {
    const index_t id = ids[c];
    out.push_back(
        {path, out.size(), imagenet_class_names()[static_cast<std::size_t>(id)], id, {}, true});
  }
  return out;
}

}  // namespace plume::eval
