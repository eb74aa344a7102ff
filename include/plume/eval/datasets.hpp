#pragma once
// The data sets of the few-shot evaluation, in the formats in which they are published. A reader gives samples in
// the order of the file, each with the path of its picture; pictures are opened when they are needed.
//
//   captions        COCO, Flickr30K    Karpathy's split file {"images": [{split, filename, sentences: [{raw}], ...}]}
//   questions       VQAv2, OK-VQA, TextVQA, VizWiz   {"questions": [...]} and {"annotations": [...]}, by position
//   memes           HatefulMemes       one {"id", "img", "label", "text"} a line
//   ImageNet        ROOT/WORDNET_ID/*  the class is the folder's place among the sorted folders

#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/eval/imagenet_names.hpp"
#include "plume/text/fields.hpp"

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

}  // namespace detail

enum class CaptionSet { coco, flickr };
enum class VqaSet { vqav2, ok_vqa, textvqa, vizwiz };

/// Where COCO's pictures are; Flickr30K's are all in one folder, `train`.
struct CaptionImages {
  fs::path train, val{};
};

/// The samples whose split is `split`: "train" or "test" ("restval" belongs to neither). A sample's caption is the
/// first of its picture's. Throws FormatError.
inline std::vector<CaptionSample> read_captions(CaptionSet set, const fs::path& karpathy,
                                                const CaptionImages& images,
                                                std::string_view split) {
  const bool coco = set == CaptionSet::coco;
  detail::expect_folder("pictures", images.train);
  if (coco) detail::expect_folder("pictures", images.val);
  const io::Json json = detail::read_dataset("Karpathy's split file", karpathy);
  std::vector<CaptionSample> out;
  for (const text::Field& image : detail::items(text::Field(karpathy.string(), json)["images"])) {
    if (image["split"].string() != split) continue;
    const std::string& file = image["filename"].string();
    const std::vector<text::Field> sentences = image["sentences"].list();
    if (sentences.empty()) image["sentences"].refuse("at least one caption");
    CaptionSample sample{images.train / file, file.substr(0, file.find('.')),
                         sentences[0]["raw"].string()};
    if (coco) {
      const bool train = image["filepath"].string() == "train2014";
      sample.image = (train ? images.train : images.val) / file;
      sample.id = image["cocoid"].integer(999'999'999'999);
    }
    out.push_back(std::move(sample));
  }
  return out;
}

/// Questions with the answers at the same position of `annotations`; without that file, for a test set, with none.
/// For VQAv2 and OK-VQA the name of the folder of pictures is a part of their names. Throws FormatError.
inline std::vector<VqaSample> read_questions(VqaSet set, const fs::path& questions,
                                             const std::optional<fs::path>& annotations,
                                             const fs::path& images) {
  detail::expect_folder("pictures", images);
  const io::Json asked = detail::read_dataset("the questions", questions);
  const io::Json answered =
      annotations ? detail::read_dataset("the annotations", *annotations) : io::Json();
  const auto rows = detail::items(text::Field(questions.string(), asked)["questions"]);
  std::vector<text::Field> answers;
  if (annotations) {
    const text::Field list = text::Field(annotations->string(), answered)["annotations"];
    answers = detail::items(list);
    if (answers.size() != rows.size()) {
      fail<FormatError>(annotations->string(),
                        cat(rows.size(), " annotations, one for each question"), answers.size());
    }
  }
  const fs::path folder = images.has_filename() ? images : images.parent_path();
  std::vector<VqaSample> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const text::Field image = rows[i]["image_id"], id = rows[i]["question_id"];
    std::string file;
    if (set == VqaSet::vizwiz) {
      file = image.string();
    } else if (set == VqaSet::textvqa) {
      file = image.string() + ".jpg";
    } else {
      file = cat("COCO_", folder.filename().string(), "_", detail::coco_number(image), ".jpg");
    }
    if (!id.is_string() && !id.json().is_number_integer()) id.refuse("a number or a name");
    VqaSample sample{images / file, id.json(), rows[i]["question"].string(), {}};
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

/// Throws FormatError.
inline std::vector<ClassSample> read_hateful_memes(const fs::path& annotations,
                                                   const fs::path& images) {
  detail::expect_folder("pictures", images);
  detail::expect_file("the annotations", annotations);
  std::vector<ClassSample> out;
  io::for_each_json_line(annotations.string(), [&](const std::string& where, const io::Json& json) {
    const text::Field row(where, json);
    const index_t label = row["label"].integer(1);
    out.push_back({images / fs::path(row["img"].string()).filename(), row["id"].json(),
                   hateful_memes_class_names()[static_cast<std::size_t>(label)], label,
                   row["text"].string()});
  });
  return out;
}

/// The pictures of `root`'s folders, folders and files in the order of their names; samples are numbered. `names`
/// has at least one name for each folder. Throws FormatError.
inline std::vector<ClassSample> read_imagenet(
    const fs::path& root, const std::vector<std::string>& names = imagenet_class_names()) {
  detail::expect_folder("classes", root);
  std::vector<fs::path> classes;
  for (const auto& entry : fs::directory_iterator(root)) {
    if (entry.is_directory()) classes.push_back(entry.path());
  }
  std::sort(classes.begin(), classes.end());
  if (classes.empty() || classes.size() > names.size()) {
    fail<FormatError>(root.string(), cat("1 to ", names.size(), " folders, one a class"),
                      classes.size());
  }
  std::vector<ClassSample> out;
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const std::size_t before = out.size();
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(classes[c])) {
      std::string end = entry.path().extension().string();
      for (char& x : end) x = static_cast<char>(x >= 'A' && x <= 'Z' ? x + 32 : x);
      if (entry.is_regular_file() && (end == ".jpeg" || end == ".jpg" || end == ".png"))
        files.push_back(entry.path());
    }
    std::sort(files.begin(), files.end());
    for (const fs::path& path : files) {
      out.push_back({path, out.size(), names[c], static_cast<index_t>(c), {}, true});
    }
    if (out.size() == before)
      fail<FormatError>(classes[c].string(), "pictures (.jpeg, .jpg, .png)", "none");
  }
  return out;
}

}  // namespace plume::eval
