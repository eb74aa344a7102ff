#pragma once
// The manifest of an evaluation: what it was told, and digests of what it read, by the part each file plays, so that
// it can be repeated where the files lie elsewhere.
//
//   {"program": "plume 0.1.0", "format": 1, "options": {...},
//    "files": {"lm/config.json": SHA-256, "checkpoint": ..., "coco/karpathy": ...},
//    "pictures": {"coco": {"train": SHA-256 of their names and sizes, "test": ...}},
//    "prompts": {"coco": {"demonstration": "<image>Output:{caption}<|endofchunk|>\n", "query": "<image>Output:"}},
//    "decoding": {"coco": {"beams": 3, ...}}, "demonstrations": "...",
//    "skipped": {"coco": 2}}                                samples left out for their pictures, if any (--skip-broken)

#include "evaluate/options.hpp"
#include "plume/io/sha256.hpp"

namespace flamingo {

/// The data of each benchmark, in order.
using Benchmarks = std::vector<eval::AnyBenchmarkData>;
/// By benchmark how many samples were left out for pictures that cannot be read.
using Skipped = std::map<std::string, std::size_t>;

namespace detail {

namespace fs = std::filesystem;
using plume::io::Json;

inline std::string digest(const std::string& path) {
  const plume::io::Source file = plume::io::Source::file(path);
  return plume::io::sha256(file.bytes);
}
/// A file as `part`, or the files of a folder as `part`/NAME.
inline void add_digests(Json& files, const std::string& part, const std::string& path) {
  if (path.empty()) return;
  if (!fs::is_directory(path)) {
    files[part] = digest(path);
    return;
  }
  for (const auto& entry : fs::directory_iterator(path)) {
    if (entry.is_regular_file())
      files[part + "/" + entry.path().filename().string()] = digest(entry.path().string());
  }
}
inline Json model_digests(const ModelOptions& m) {
  Json files = Json::object();
  if (fs::is_directory(m.model)) {
    for (const char* part : {"flamingo.json", "case.json", "checkpoint.pt"})
      if (fs::exists(m.model + "/" + part)) add_digests(files, part, m.model + "/" + part);
    for (const char* part : {"vision", "lm", "tokenizer"})
      add_digests(files, part, m.model + "/" + part);
    return files;
  }
  add_digests(files, "vision", m.files.vision);
  add_digests(files, "lm", m.files.language);
  add_digests(files, "tokenizer", m.tokenizer);
  add_digests(files, "checkpoint", m.files.checkpoint);
  return files;
}

template <class Sample>
std::string picture_digest(const std::vector<Sample>& samples) {
  std::string text;
  for (const Sample& sample : samples) {
    std::error_code error;  // what is needed is there; of what is not, nothing is read
    const auto size = fs::file_size(sample.image, error);
    text += sample.image.filename().string() + (error ? " missing\n" : plume::cat(" ", size, "\n"));
  }
  return plume::io::sha256(std::as_bytes(std::span(text)));
}

inline eval::CaptionSample template_of(const eval::CaptionSample*) { return {{}, {}, "{caption}"}; }
inline eval::VqaSample template_of(const eval::VqaSample*) {
  return {{}, {}, "{question}", {"{answer}"}};
}
inline eval::ClassSample template_of(const eval::ClassSample* like) {
  eval::ClassSample out{{}, {}, "{class}"};
  if (like->text) out.text = "{text}";
  return out;
}

}  // namespace detail

/// Reads every file once.
inline plume::io::Json make_manifest(const EvaluateOptions& given, const Benchmarks& data,
                                     const Skipped& skipped) {
  using plume::io::Json;
  Json out{{"program", "plume 0.1.0"},
           {"format", 1},
           {"options", to_json(given)},
           {"files", detail::model_digests(given.model)},
           {"demonstrations",
            given.rices ? "RICES: pooled features of the vision encoder, the most similar last"
                        : "as the reference draws them: numpy.random.choice of the queries and the "
                          "pool, random.sample for each query in the order of asking"}};
  if (!skipped.empty()) out["skipped"] = skipped;
  for (std::size_t i = 0; i < data.size(); ++i) {
    const BenchmarkChoice& choice = given.benchmarks[i];
    for (const auto& [key, path] : choice.paths) {
      if (!std::filesystem::is_directory(path))
        out["files"][choice.name + "/" + key] = detail::digest(path.string());
    }
    std::visit(
        [&](const auto& d) {
          out["pictures"][choice.name] = {{"train", detail::picture_digest(d.train)},
                                          {"test", detail::picture_digest(d.test)}};
          if (d.train.empty()) return;
          const auto form = detail::template_of(&d.train.front());
          using Sample = std::decay_t<decltype(form)>;
          out["prompts"][choice.name] = {
              {"demonstration",
               eval::demonstration(form).text() + std::string(eval::separator<Sample>)},
              {"query", eval::question_part(form).text()}};
        },
        data[i]);
    const eval::Benchmark& b = eval::benchmark(choice.name);
    if (b.task == eval::Task::classes) {
      out["decoding"][choice.name] = "rank classification: mean log-probability of a name's tokens";
    } else {
      const eval::AnswerOptions o = answer_options(given, b);
      out["decoding"][choice.name] = {{"beams", o.beams},
                                      {"min_new_tokens", o.min_new_tokens},
                                      {"max_new_tokens", o.max_new_tokens},
                                      {"length_penalty", o.length_penalty}};
    }
  }
  return out;
}

/// Throws ValueError naming what of `now` is not as in `then`: other files, or other options but for where files lie.
inline void require_same_manifest(const std::string& what, const plume::io::Json& then,
                                  const plume::io::Json& now) {
  using plume::io::Json;
  static constexpr const char* paths[] = {"model",     "vision",     "lm",
                                          "tokenizer", "checkpoint", "benchmarks"};
  std::string different;
  const auto compare = [&](const std::string& part, const Json& a, const Json& b) {
    if (a == b) return;
    Json all = a.is_object() ? a : Json::object();
    if (b.is_object()) all.update(b);
    for (const auto& [key, value] : all.items()) {
      const auto of = [&, &k = key](const Json& json) {
        return json.is_object() && json.contains(k) ? json[k] : Json();
      };
      if (of(a) == of(b)) continue;
      different += plume::cat(different.empty() ? "" : "; ", part, " ", key);
      if (part == "options")
        different +=
            plume::cat(" ", plume::io::print_json(of(a)), ", now ", plume::io::print_json(of(b)));
    }
  };
  for (const char* part : {"files", "pictures", "prompts", "decoding", "skipped"})
    compare(part, then.value(part, Json()), now.value(part, Json()));
  Json a = then.value("options", Json::object()), b = now.value("options", Json::object());
  const auto names = [](const Json& options) {
    Json out = Json::array();
    for (const Json& row : options.value("benchmarks", Json::array())) out.push_back(row["name"]);
    return out;
  };
  a["benchmark"] = names(a);
  b["benchmark"] = names(b);
  for (const char* key : paths) {
    a.erase(key);
    b.erase(key);
  }
  compare("options", a, b);
  if (!different.empty())
    plume::fail<plume::ValueError>("evaluate", "what " + what + " was made of", different);
}

}  // namespace flamingo
