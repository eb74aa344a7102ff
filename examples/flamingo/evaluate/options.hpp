#pragma once
// What an evaluation is told, and the same as JSON: what decides its answers is in its manifest.

#include <algorithm>
#include <cmath>

#include "model_options.hpp"
#include "plume/eval/ask.hpp"

namespace flamingo {

namespace eval = plume::eval;

struct BenchmarkChoice {
  std::string name;
  eval::BenchmarkPaths paths;
};

struct EvaluateOptions {
  ModelOptions model;
  std::vector<BenchmarkChoice> benchmarks;
  std::vector<plume::index_t> shots{0, 4, 8, 16, 32};
  std::vector<std::uint32_t> seeds;
  plume::index_t queries = -1, pool = 2048, batch = 8;
  bool rices = false, ensemble = false, bf16 = false, reference_bugs = false;
  // In place of the benchmark's own:
  std::optional<plume::index_t> beams, max_new_tokens, min_new_tokens;
  std::optional<double> length_penalty;
  bool skip_broken = false;  ///< pictures that cannot be read: their samples are left out

  // What follows decides no answer.
  std::string cache, out = "out/evaluation", submission;
  std::size_t rank = 0, world = 1;
  plume::index_t shown = 24;  ///< on the page of predictions, of each kind
  bool fresh = false;
};

inline eval::AnswerOptions answer_options(const EvaluateOptions& given, const eval::Benchmark& b) {
  eval::AnswerOptions out = eval::answer_options(b);
  out.beams = given.beams.value_or(out.beams);
  out.max_new_tokens = given.max_new_tokens.value_or(out.max_new_tokens);
  out.min_new_tokens = given.min_new_tokens.value_or(out.min_new_tokens);
  out.length_penalty = given.length_penalty.value_or(out.length_penalty);
  return out;
}

namespace detail {

template <class V>
plume::io::Json json_of(const std::optional<V>& value) {
  return value ? plume::io::Json(*value) : plume::io::Json();
}
template <class V>
void take(const plume::io::Json& json, std::optional<V>& value) {
  if (!json.is_null()) value = json.get<V>();
}

}  // namespace detail

inline plume::io::Json to_json(const EvaluateOptions& o) {
  plume::io::Json benchmarks = plume::io::Json::array();
  for (const BenchmarkChoice& choice : o.benchmarks) {
    plume::io::Json paths = plume::io::Json::object();
    for (const auto& [key, path] : choice.paths) paths[key] = path.string();
    benchmarks.push_back({{"name", choice.name}, {"paths", std::move(paths)}});
  }
  const ModelOptions& m = o.model;
  return {{"model", m.model},
          {"vision", m.files.vision},
          {"clip", m.clip},
          {"gelu", m.gelu},
          {"lm", m.files.language},
          {"tokenizer", m.tokenizer},
          {"checkpoint", m.files.checkpoint},
          {"every", m.every},
          {"ignored_config_fields", m.files.ignored},
          {"benchmarks", std::move(benchmarks)},
          {"shots", o.shots},
          {"seeds", o.seeds},
          {"queries", o.queries},
          {"pool", o.pool},
          {"batch", o.batch},
          {"rices", o.rices},
          {"ensemble", o.ensemble},
          {"bf16", o.bf16},
          {"reference_bugs", o.reference_bugs},
          {"beams", detail::json_of(o.beams)},
          {"max_new_tokens", detail::json_of(o.max_new_tokens)},
          {"min_new_tokens", detail::json_of(o.min_new_tokens)},
          {"length_penalty", detail::json_of(o.length_penalty)},
          {"skip_broken", o.skip_broken}};
}

/// Throws FormatError naming `file`.
inline EvaluateOptions evaluate_options(const std::string& file, const plume::io::Json& json) {
  try {
    EvaluateOptions o;
    o.model.model = json.at("model");
    o.model.files = {json.at("vision"), json.at("lm"), json.at("checkpoint"),
                     json.value("ignored_config_fields", plume::models::IgnoredFields{})};
    o.model.clip = json.at("clip");
    o.model.gelu = json.at("gelu");
    o.model.tokenizer = json.at("tokenizer");
    o.model.every = json.at("every");
    for (const plume::io::Json& row : json.at("benchmarks")) {
      BenchmarkChoice& choice = o.benchmarks.emplace_back();
      choice.name = row.at("name");
      for (const auto& [key, path] : row.at("paths").items())
        choice.paths[key] = path.get<std::string>();
    }
    o.shots = json.at("shots").get<std::vector<plume::index_t>>();
    o.seeds = json.at("seeds").get<std::vector<std::uint32_t>>();
    o.queries = json.at("queries");
    o.pool = json.at("pool");
    o.batch = json.at("batch");
    o.rices = json.at("rices");
    o.ensemble = json.at("ensemble");
    o.bf16 = json.at("bf16");
    o.reference_bugs = json.at("reference_bugs");
    detail::take(json.at("beams"), o.beams);
    detail::take(json.at("max_new_tokens"), o.max_new_tokens);
    detail::take(json.at("min_new_tokens"), o.min_new_tokens);
    detail::take(json.at("length_penalty"), o.length_penalty);
    o.skip_broken = json.value("skip_broken", false);
    return o;
  } catch (const plume::io::Json::exception& error) {
    plume::fail<plume::FormatError>(file, "the options of an evaluation", error.what());
  }
}

/// What the options say by themselves, before anything is read. Throws ValueError naming the option that cannot be.
inline void check(const EvaluateOptions& o) {
  const auto need = [](bool ok, const char* expected, const auto& got) {
    if (!ok) plume::fail<plume::ValueError>("evaluate", expected, got);
  };
  const auto once = [](const char* option, auto values) {
    std::sort(values.begin(), values.end());
    const auto twice = std::adjacent_find(values.begin(), values.end());
    if (twice != values.end())
      plume::fail<plume::ValueError>("evaluate", plume::cat("each of ", option, " once"),
                                     plume::cat(*twice, " twice"));
  };
  std::vector<std::string> names;
  for (const BenchmarkChoice& choice : o.benchmarks) names.push_back(choice.name);
  need(!o.benchmarks.empty(), "--benchmark", "none");
  once("--benchmark", names);
  need(!o.shots.empty(), "--shots", "none");
  for (const plume::index_t shots : o.shots)
    need(shots >= 0 && shots <= 1000, "--shots of 0 to 1000", shots);
  once("--shots", o.shots);
  need(!o.seeds.empty(), "--seeds of at least 1", 0);
  once("the seeds", o.seeds);
  need(o.queries == -1 || o.queries >= 1, "--queries of at least 1, or -1 for all", o.queries);
  need(o.pool >= 1, "--pool of at least 1", o.pool);
  need(o.batch >= 1, "--batch of at least 1", o.batch);
  need(o.beams.value_or(1) >= 1, "--beams of at least 1", o.beams.value_or(1));
  need(o.max_new_tokens.value_or(1) >= 1, "--max-new-tokens of at least 1",
       o.max_new_tokens.value_or(1));
  need(o.min_new_tokens.value_or(0) >= 0, "--min-new-tokens of at least 0",
       o.min_new_tokens.value_or(0));
  need(std::isfinite(o.length_penalty.value_or(0)), "a finite --length-penalty",
       o.length_penalty.value_or(0));
  for (const std::string& name : names) {
    const eval::Benchmark& b = eval::benchmark(name);
    if (b.task == eval::Task::classes) continue;
    const eval::AnswerOptions answer = answer_options(o, b);
    if (answer.min_new_tokens > answer.max_new_tokens)
      plume::fail<plume::ValueError>(
          "evaluate",
          plume::cat("--min-new-tokens of at most the ", answer.max_new_tokens,
                     " new tokens of an answer of ", name, " (--max-new-tokens)"),
          answer.min_new_tokens);
  }
  need(o.shown >= 0, "--shown of at least 0", o.shown);
  need(o.world >= 1, "--world of at least 1", o.world);
  need(o.rank < o.world, "--rank below --world", o.rank);
  need(!o.out.empty(), "a folder as --out", "\"\"");
  need(o.cache.empty() || o.rices, "--rices with --feature-cache", "none");
  need(o.submission.empty() ||
           (o.benchmarks.size() == 1 && o.shots.size() == 1 && o.seeds.size() == 1 && o.world == 1),
       "one benchmark, one number of shots, one seed and one rank with --submission", "more");
  need(o.submission.empty() || o.benchmarks[0].name == "vqav2" || o.benchmarks[0].name == "vizwiz",
       "vqav2 or vizwiz with --submission", o.benchmarks[0].name);
}

}  // namespace flamingo
