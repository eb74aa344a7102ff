#pragma once
// What a log says (train/log.hpp), as curves and counts: what a report is made of.

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "plume/core/shape.hpp"
#include "plume/io/json.hpp"

namespace plume::train {

struct Curve {
  std::string name{};
  std::vector<double> x{}, y{};

  void add(double step, double value) {
    x.push_back(step);
    y.push_back(value);
  }
};

/// The one of this name; a new one at the end where there is none.
inline Curve& curve_of(std::vector<Curve>& curves, const std::string& name) {
  for (Curve& curve : curves)
    if (curve.name == name) return curve;
  curves.push_back({name});
  return curves.back();
}

struct RunLog {
  std::vector<Curve> losses{};  ///< by stream
  Curve gradient_norm{}, learning_rate{}, tokens_per_s{}, images_per_s{}, data_wait{};
  std::vector<Curve> attn{}, ff{};                        ///< tanh of the gates, by block
  std::vector<Curve> gradient_norms{};                    ///< by part of the model
  std::vector<std::pair<std::string, double>> seconds{};  ///< by phase, of all steps
  std::vector<std::pair<double, std::string>> skipped{};  ///< step and why
  std::vector<io::Json> samples{};
  io::Json data{};  ///< what became of the records, by stream; null where it does not say
  double step = 0, steps = 0;  ///< taken, of how many; 0 where it does not say
  double time = 0;             ///< seconds
  index_t resumes = 0;
  std::string last{};  ///< the last event that starts or ends a session
  bool cut = false;    ///< its last line is half a line
};

namespace detail {

/// NaN for what is no number: JSON has null in its place.
inline double number_of(const io::Json& value) {
  return value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN();
}
inline double number_at(const io::Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() ? number_of(*at) : std::numeric_limits<double>::quiet_NaN();
}
inline std::string text_of(const io::Json& value) {
  return value.is_string() ? value.get<std::string>()
         : value.is_null() ? ""
                           : io::print_json(value);
}
inline std::string text_at(const io::Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() ? text_of(*at) : "";
}
/// Calls use(name, value) for each member of the object `key`, if there is one.
template <class F>
void each_member(const io::Json& object, const char* key, F use) {
  const auto at = object.find(key);
  if (at == object.end() || !at->is_object()) return;
  for (auto member = at->begin(); member != at->end(); ++member) use(member.key(), *member);
}
inline io::Json list_at(const io::Json& object, const char* key) {
  const auto at = object.find(key);
  return at != object.end() && at->is_array() ? *at : io::Json::array();
}

inline void read_step(RunLog& log, const io::Json& line, double step) {
  each_member(line, "loss", [&](const std::string& stream, const io::Json& loss) {
    curve_of(log.losses, stream).add(step, number_of(loss));
  });
  const std::pair<const char*, Curve*> curves[] = {{"gradient_norm", &log.gradient_norm},
                                                   {"learning_rate", &log.learning_rate},
                                                   {"tokens_per_s", &log.tokens_per_s},
                                                   {"images_per_s", &log.images_per_s},
                                                   {"data_wait", &log.data_wait}};
  for (const auto& [key, curve] : curves)
    if (line.contains(key)) curve->add(step, number_at(line, key));
  each_member(line, "seconds", [&](const std::string& phase, const io::Json& spent) {
    auto at = log.seconds.begin();
    while (at != log.seconds.end() && at->first != phase) ++at;
    if (at == log.seconds.end()) at = log.seconds.insert(at, {phase, 0.0});
    if (spent.is_number()) at->second += spent.get<double>();
  });
  if (line.contains("skipped") && line["skipped"] == true)
    log.skipped.emplace_back(step, text_at(line, "why"));
}

inline void read_gates(RunLog& log, const io::Json& line, double step) {
  const io::Json names = list_at(line, "names");
  const std::pair<const char*, std::vector<Curve>*> gates[] = {{"attn", &log.attn},
                                                               {"ff", &log.ff}};
  for (const auto& [key, curves] : gates) {
    const io::Json values = list_at(line, key);
    for (std::size_t i = 0; i < values.size(); ++i) {
      curve_of(*curves, i < names.size() ? text_of(names[i]) : std::to_string(i))
          .add(step, number_of(values[i]));
    }
  }
  each_member(line, "gradient_norms", [&](const std::string& part, const io::Json& norm) {
    curve_of(log.gradient_norms, part).add(step, number_of(norm));
  });
}

inline void read_line(RunLog& log, const io::Json& line) {
  const std::string event = text_at(line, "event");
  const double step = number_at(line, "step"), time = number_at(line, "time");
  if (std::isfinite(step)) log.step = std::max(log.step, step);
  if (std::isfinite(time)) log.time = std::max(log.time, time);
  if (event == "step") read_step(log, line, step);
  if (event == "gates") read_gates(log, line, step);
  if (event == "sample") log.samples.push_back(line);
  if (event == "resume") ++log.resumes;
  if (event == "start" || event == "resume" || event == "interrupted" || event == "end")
    log.last = event;
  if (const double steps = number_at(line, "steps"); std::isfinite(steps)) log.steps = steps;
  if (line.contains("data") && line["data"].is_object()) log.data = line["data"];
}

}  // namespace detail

/// Any member of a line may be absent, and an event that it does not know is passed over. A last line that is cut
/// short, as that of a run that was killed, is left out; any other that is not an object of JSON is a FormatError that
/// names it.
inline RunLog read_log(const std::string& path) {
  const io::Source source = io::Source::file(path);
  std::string_view text = source.text();
  RunLog out;
  const std::size_t whole = text.rfind('\n') + 1;  // 0 where there is no line that ends
  if (whole < text.size() && !io::try_parse_json(text.substr(whole))) {
    text = text.substr(0, whole);
    out.cut = true;
  }
  io::for_each_json_line(path, text, [&](const std::string& where, const io::Json& line) {
    if (!line.is_object())
      fail<FormatError>(where, "an object", io::print_json(line).substr(0, 60));
    detail::read_line(out, line);
  });
  return out;
}

}  // namespace plume::train
