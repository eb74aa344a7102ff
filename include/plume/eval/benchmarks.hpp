#pragma once
// The eight benchmarks: their names, what is measured, and which files they are read from.

#include <map>
#include <span>
#include <variant>

#include "plume/eval/captions.hpp"
#include "plume/eval/prompts.hpp"
#include "plume/eval/vqa_accuracy.hpp"

namespace plume::eval {

enum class Task { caption, question, classes };

/// One of the files or folders of a benchmark.
struct BenchmarkFile {
  const char* key;
  const char* name;       ///< below the benchmark's folder, unless told otherwise
  bool optional = false;  ///< may be missing: see `read_benchmark`
};

struct Benchmark {
  const char* name;
  const char* folder;
  Task task;
  const char* metric;  ///< the one that is tabled; all are in percent
  std::vector<BenchmarkFile> files;
};

inline const std::vector<Benchmark>& benchmarks() {
  const auto questions = [](const char* train, const char* test) {
    return std::vector<BenchmarkFile>{{"train-questions", "train_questions.json"},
                                      {"train-annotations", "train_annotations.json"},
                                      {"train-images", train},
                                      {"test-questions", "val_questions.json"},
                                      {"test-annotations", "val_annotations.json", true},
                                      {"test-images", test}};
  };
  static const std::vector<Benchmark> all{
      {"coco",
       "coco",
       Task::caption,
       "cider",
       {{"karpathy", "karpathy.json"},
        {"train-images", "train2014"},
        {"val-images", "val2014"},
        {"annotations", "annotations.json", true}}},
      {"flickr30k",
       "flickr",
       Task::caption,
       "cider",
       {{"karpathy", "karpathy.json"},
        {"images", "images"},
        {"annotations", "annotations.json", true}}},
      {"vqav2", "vqav2", Task::question, "vqa_accuracy", questions("train2014", "val2014")},
      {"ok-vqa", "ok_vqa", Task::question, "vqa_accuracy", questions("train2014", "val2014")},
      {"textvqa", "textvqa", Task::question, "vqa_accuracy", questions("images", "images")},
      {"vizwiz", "vizwiz", Task::question, "vqa_accuracy", questions("train", "val")},
      {"hateful-memes",
       "hateful_memes",
       Task::classes,
       "roc_auc",
       {{"train", "train.jsonl"}, {"test", "test.jsonl"}, {"images", "img"}}},
      {"imagenet", "imagenet", Task::classes, "accuracy", {{"train", "train"}, {"test", "val"}}}};
  return all;
}

/// Throws ValueError naming those there are.
inline const Benchmark& benchmark(std::string_view name) {
  std::string names;
  for (const Benchmark& b : benchmarks()) {
    if (name == b.name) return b;
    names += cat(names.empty() ? "" : ", ", b.name);
  }
  fail<ValueError>("benchmark", "one of " + names, name);
}
inline CaptionSet caption_set(const Benchmark& b) {
  return std::string_view(b.name) == "coco" ? CaptionSet::coco : CaptionSet::flickr;
}
inline VqaSet vqa_set(const Benchmark& b) {
  const std::string_view name = b.name;
  return name == "vqav2"     ? VqaSet::vqav2
         : name == "ok-vqa"  ? VqaSet::ok_vqa
         : name == "textvqa" ? VqaSet::textvqa
                             : VqaSet::vizwiz;
}
inline const std::vector<std::string>& class_names(const Benchmark& b) {
  return std::string_view(b.metric) == "roc_auc" ? hateful_memes_class_names()
                                                 : imagenet_class_names();
}
constexpr AnswerOptions answer_options(const Benchmark& b) {
  return b.task == Task::question ? answer_options(vqa_set(b)) : answer_options(CaptionSet::coco);
}

/// Where the files of a benchmark are, by key.
using BenchmarkPaths = std::map<std::string, fs::path>;

/// The files that are not told, with their names below `folder`/BENCHMARK; optional ones where they exist. Throws
/// ValueError naming a file that is neither told nor below a folder, or that the benchmark does not have.
inline BenchmarkPaths benchmark_paths(const Benchmark& b, BenchmarkPaths told,
                                      const fs::path& folder) {
  for (const auto& [key, path] : told) {
    bool known = false;
    std::string keys;
    for (const BenchmarkFile& file : b.files) {
      known |= key == file.key;
      keys += cat(keys.empty() ? "" : ", ", file.key);
    }
    if (!known) fail<ValueError>(b.name, "the path of one of " + keys, key);
  }
  for (const BenchmarkFile& file : b.files) {
    if (told.contains(file.key)) continue;
    if (folder.empty() && !file.optional)
      fail<ValueError>(b.name, cat("the path of ", file.key), "none");
    const fs::path path = folder / b.folder / file.name;
    if (!folder.empty() && (!file.optional || fs::exists(path))) told[file.key] = path;
  }
  return told;
}

/// The samples of a benchmark and what is known of the answers: `truth[i]` as in answer.hpp, null where not public.
template <class Sample>
struct BenchmarkData {
  std::vector<Sample> train, test;
  std::vector<io::Json> truth;
};
using AnyBenchmarkData = std::variant<BenchmarkData<CaptionSample>, BenchmarkData<VqaSample>,
                                      BenchmarkData<ClassSample>>;

namespace detail {

/// All captions of each image: of the annotations, else of Karpathy's file.
inline std::vector<io::Json> caption_truth(const Benchmark& b, const BenchmarkPaths& paths,
                                           const std::vector<CaptionSample>& test) {
  std::unordered_map<std::string, io::Json> captions;
  const auto annotations = paths.find("annotations");
  const std::string file =
      (annotations != paths.end() ? annotations->second : paths.at("karpathy")).string();
  const io::Json json = read_dataset("the captions", file);
  if (annotations != paths.end()) {
    for (const text::Field& row : items(text::Field(file, json)["annotations"]))
      captions[image_key(row["image_id"])].push_back(row["caption"].string());
  } else {
    for (const text::Field& image : items(text::Field(file, json)["images"])) {
      const std::string& name = image["filename"].string();
      io::Json& list = captions[caption_set(b) == CaptionSet::coco
                                    ? image_key(image["cocoid"])
                                    : io::print_json(io::Json(name.substr(0, name.find('.'))))];
      for (const text::Field& sentence : image["sentences"].list())
        list.push_back(sentence["raw"].string());
    }
  }
  std::vector<io::Json> out;
  for (const CaptionSample& sample : test) {
    const auto found = captions.find(io::print_json(sample.id));
    if (found == captions.end())
      fail<FormatError>(file, cat("captions of image ", io::print_json(sample.id)), "none");
    out.push_back({{"references", found->second}});
  }
  return out;
}

inline std::vector<io::Json> question_truth(const BenchmarkPaths& paths,
                                            const std::vector<VqaSample>& test) {
  const auto annotations = paths.find("test-annotations");
  if (annotations == paths.end()) return std::vector<io::Json>(test.size());
  const std::string file = annotations->second.string();
  const io::Json json = read_dataset("the annotations", file);
  std::unordered_map<std::string, io::Json> records;
  for (const text::Field& row : items(text::Field(file, json)["annotations"])) {
    io::Json& truth =
        records[question_key(row["question_id"])] = {{"answers", row["answers"].json()}};
    for (const char* key : {"question_type", "answer_type"}) {
      if (!row[key].is_null()) truth[key] = row[key].string();
    }
  }
  std::vector<io::Json> out;
  for (const VqaSample& sample : test) {
    const std::string id =
        sample.id.is_string() ? sample.id.get<std::string>() : io::print_json(sample.id);
    const auto found = records.find(id);
    if (found == records.end())
      fail<FormatError>(file, cat("the annotation of question ", id), "none");
    out.push_back(found->second);
  }
  return out;
}

inline std::vector<io::Json> class_truth(const std::vector<ClassSample>& test) {
  std::vector<io::Json> out;
  for (const ClassSample& sample : test)
    out.push_back({{"class_id", sample.class_id}, {"class_name", sample.class_name}});
  return out;
}

}  // namespace detail

/// Reads a benchmark. Without "test-annotations" there is no truth; without "annotations" the references of captions
/// are those of Karpathy's file. Throws FormatError.
inline AnyBenchmarkData read_benchmark(const Benchmark& b, const BenchmarkPaths& paths) {
  const auto at = [&](const char* key) { return paths.at(key); };
  if (b.task == Task::caption) {
    const CaptionSet set = caption_set(b);
    const CaptionImages images = set == CaptionSet::coco
                                     ? CaptionImages{at("train-images"), at("val-images")}
                                     : CaptionImages{at("images")};
    BenchmarkData<CaptionSample> out{read_captions(set, at("karpathy"), images, "train"),
                                     read_captions(set, at("karpathy"), images, "test"),
                                     {}};
    out.truth = detail::caption_truth(b, paths, out.test);
    return out;
  }
  if (b.task == Task::question) {
    const VqaSet set = vqa_set(b);
    std::optional<fs::path> annotations;
    if (paths.contains("test-annotations")) annotations = at("test-annotations");
    BenchmarkData<VqaSample> out{
        read_questions(set, at("train-questions"), at("train-annotations"), at("train-images")),
        read_questions(set, at("test-questions"), annotations, at("test-images")),
        {}};
    out.truth = detail::question_truth(paths, out.test);
    return out;
  }
  BenchmarkData<ClassSample> out;
  if (paths.contains("images")) {
    out.train = read_hateful_memes(at("train"), at("images"));
    out.test = read_hateful_memes(at("test"), at("images"));
  } else {
    out.train = read_imagenet(at("train"));
    out.test = read_imagenet(at("test"));
  }
  out.truth = detail::class_truth(out.test);
  return out;
}

}  // namespace plume::eval
