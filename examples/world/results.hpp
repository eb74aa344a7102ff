#pragma once
// What a run of the demo came to, as one JSON object, and whether that is what it should be.
//
//   DEMO/world       the world, with model/ in it     DEMO/run        the run of flamingo train
//   DEMO/random      flamingo evaluate, demonstrations drawn at random
//   DEMO/rices       the same, demonstrations like the query
//   DEMO/closed      the same at no shots, with the gates at 0

#include <cmath>

#include "best.hpp"
#include "plume/report/smooth.hpp"
#include "plume/train/run_log.hpp"
#include "score.hpp"

namespace world {

namespace detail {

inline double percent(index_t part, index_t whole) {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

/// {"0": {"content": .., "name": .., ..}, ..} by shots.
inline plume::io::Json captions_of(const std::map<index_t, Score>& scores) {
  plume::io::Json out = plume::io::Json::object();
  for (const auto& [shots, score] : scores) {
    const Tally& t = score.all;
    if (t.captions == 0) continue;
    out[std::to_string(shots)] = {
        {"captions", t.captions},
        {"content", percent(t.content, t.captions)},
        {"kept_back", percent(score.kept_back.content, score.kept_back.captions)},
        {"name", percent(t.name, t.captions)},
        {"thing", percent(t.thing, t.captions)},
        {"colour", percent(t.colour, t.captions)},
        {"count", percent(t.count, t.captions)},
        {"place", percent(t.place, t.captions)},
        {"cloth", percent(t.cloth, t.captions)}};
  }
  return out;
}
inline plume::io::Json answers_of(const std::map<index_t, Score>& scores) {
  plume::io::Json out = plume::io::Json::object();
  for (const auto& [shots, score] : scores) {
    if (score.answers.asked == 0) continue;
    plume::io::Json& line = out[std::to_string(shots)];
    line = {{"asked", score.answers.asked},
            {"right", percent(score.answers.right, score.answers.asked)}};
    for (const auto& [question, answers] : score.by_question)
      line["by_question"][question] = percent(answers.right, answers.asked);
  }
  return out;
}

/// The mean of the last `count` values.
inline double tail_mean(const std::vector<double>& values, std::size_t count) {
  const std::size_t n = std::min(count, values.size());
  double sum = 0;
  for (std::size_t i = values.size() - n; i < values.size(); ++i) sum += values[i];
  return n == 0 ? std::nan("") : sum / static_cast<double>(n);
}

}  // namespace detail

/// Throws FormatError or std::system_error where a part of the demo is not there.
inline plume::io::Json demo_results(const std::string& demo) {
  using plume::io::Json;
  const std::string world = demo + "/world";
  Json out;
  for (const char* part : {"vision", "lm"})
    out[part] = plume::io::read_json(plume::cat(world, "/model/", part, "/training.json"));
  const plume::train::RunLog log = plume::train::read_log(demo + "/run/log.jsonl");
  out["flamingo"]["steps"] = log.step;
  for (const plume::train::Curve& curve : log.losses)
    out["flamingo"][curve.name] = detail::tail_mean(curve.y, 50);
  for (const char* kind : {"random", "rices"}) {
    const auto scores = score(world, plume::cat(demo, "/", kind, "/predictions.jsonl"));
    out["captions"][kind] = detail::captions_of(scores);
    out["questions"][kind] = detail::answers_of(scores);
  }
  out["closed"] = detail::captions_of(score(world, demo + "/closed/predictions.jsonl"));
  return out;
}

/// A number of the results that is not where it should be.
struct Miss {
  std::string where;
  double low = 0, high = 0;
  std::optional<double> got;  ///< none: the results have no such number
};

/// `expected`: {"/lm/held_out_loss": [low, high], ...}, numbers of the results by JSON pointers. Throws FormatError
/// where it is not of this form.
inline std::vector<Miss> misses(const plume::io::Json& results, const std::string& file,
                                const plume::io::Json& expected) {
  std::vector<Miss> out;
  if (!expected.is_object() || expected.empty())
    plume::fail<plume::FormatError>(file, "an object of bands", plume::io::print_json(expected));
  for (const auto& [where, band] : expected.items()) {
    if (!band.is_array() || band.size() != 2 || !band[0].is_number() || !band[1].is_number() ||
        !where.starts_with('/'))
      plume::fail<plume::FormatError>(file, plume::cat("[low, high] of a pointer for ", where),
                                      plume::io::print_json(band));
    Miss miss{where, band[0].get<double>(), band[1].get<double>(), std::nullopt};
    const plume::io::Json::json_pointer pointer(where);
    if (results.contains(pointer) && results[pointer].is_number())
      miss.got = results[pointer].get<double>();
    if (!miss.got || !(*miss.got >= miss.low && *miss.got <= miss.high)) out.push_back(miss);
  }
  return out;
}

}  // namespace world
