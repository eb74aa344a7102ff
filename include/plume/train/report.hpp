#pragma once
// The report of a run: one HTML page made of its configuration and its log, while it runs or afterwards.

#include <algorithm>
#include <filesystem>

#include "plume/report/page.hpp"
#include "plume/report/plot.hpp"
#include "plume/report/smooth.hpp"
#include "plume/train/run_log.hpp"

namespace plume::train {

namespace detail {

/// "block 3" of "lang_encoder.gated_cross_attn_layers.3"; a name that does not end in a number stays.
inline std::string block_name(const std::string& key) {
  const std::string last = key.substr(key.rfind('.') + 1);
  const bool digits = !last.empty() && last.find_first_not_of("0123456789") == std::string::npos;
  return digits ? "block " + last : key;
}

/// A curve as it is, faint, and smoothed over it. Few points are shown as they are.
inline void add_smoothed(std::vector<report::Line>& lines, const Curve& curve,
                         const std::string& name, std::size_t colour) {
  const index_t window = report::smoothing_window(curve.y.size());
  report::Line line{.name = name, .x = curve.x, .y = curve.y, .colour = report::palette(colour)};
  if (window > 1) {
    report::Line raw = line;
    raw.name.clear();
    raw.faint = true;
    lines.push_back(std::move(raw));
    line.y = report::smoothed(curve.y, window);
  }
  lines.push_back(std::move(line));
}
inline std::string smoothing_note(const Curve& curve) {
  const index_t window = report::smoothing_window(curve.y.size());
  return window < 2 ? ""
                    : cat("Faint: each step. Strong: smoothed by a Gaussian window of ", window,
                          " steps.");
}

/// The last value of the smoothed curve, NaN for none.
inline double final_value(const Curve& curve) {
  const auto values = report::smoothed(curve.y, report::smoothing_window(curve.y.size()));
  for (auto at = values.rbegin(); at != values.rend(); ++at)
    if (std::isfinite(*at)) return *at;
  return std::nan("");
}
/// Of the finite values; NaN for none.
inline double median(std::vector<double> values) {
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return std::nan("");
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}
inline std::string known(double value, const std::string& text) {
  return std::isfinite(value) ? text : "not known";
}

inline report::Facts summary(const RunLog& log) {
  report::Facts out;
  out.emplace_back("state", log.last == "end"           ? "finished"
                            : log.last == "interrupted" ? "interrupted and saved"
                            : log.last.empty()          ? "not begun"
                                                        : "running, or stopped without saying so");
  const auto whole = [](double v) {
    return report::grouped(static_cast<long long>(std::clamp(v, 0.0, 1e15)));
  };
  out.emplace_back(
      "steps", log.steps > 0 ? cat(whole(log.step), " of ", whole(log.steps)) : whole(log.step));
  out.emplace_back("time", report::duration(log.time));
  if (log.resumes > 0)
    out.emplace_back("resumed", cat(log.resumes, log.resumes == 1 ? " time" : " times"));
  for (const Curve& curve : log.losses) {
    const double last = final_value(curve);
    out.emplace_back(cat("loss, ", curve.name), known(last, report::fixed(last, 4)));
  }
  const std::pair<const char*, const Curve*> rates[] = {{"tokens/s", &log.tokens_per_s},
                                                        {"images/s", &log.images_per_s}};
  for (const auto& [name, curve] : rates) {
    const double rate = median(curve->y);
    if (!curve->y.empty())
      out.emplace_back(name, known(rate, report::number(rate) + " (median of steps)"));
  }
  if (!log.data_wait.y.empty()) {
    const double wait = 100 * median(log.data_wait.y);
    out.emplace_back("waiting for data",
                     known(wait, report::fixed(wait, 1) + " % of a step (median)"));
  }
  out.emplace_back("skipped steps", std::to_string(log.skipped.size()));
  if (log.cut) out.emplace_back("log", "its last line is cut short and left out");
  return out;
}

inline void add_losses(report::Page& page, const RunLog& log) {
  std::vector<report::Line> lines;
  const Curve* longest = nullptr;
  for (std::size_t i = 0; i < log.losses.size(); ++i) {
    add_smoothed(lines, log.losses[i], log.losses[i].name, i);
    if (longest == nullptr || log.losses[i].y.size() > longest->y.size()) longest = &log.losses[i];
  }
  page.heading("Loss");
  page.figure(report::line_plot(lines, {.title = "Loss by stream",
                                        .x_label = "step",
                                        .y_label = "nats per token",
                                        .width = 800,
                                        .height = 330,
                                        .note = "no step yet"}),
              longest == nullptr ? "" : smoothing_note(*longest));
  if (log.skipped.empty()) return;
  page.section(cat("Skipped steps (", log.skipped.size(), ")"), [&] {
    report::Table table{.columns = {"step", "why"}};
    for (const auto& [step, why] : log.skipped) table.rows.push_back({report::fixed(step, 0), why});
    page.table(table);
  });
}

inline report::PlotOptions over_steps(std::string title, std::string y_label, bool log_y = false) {
  return {.title = std::move(title),
          .x_label = "step",
          .y_label = std::move(y_label),
          .width = 520,
          .height = 260,
          .log_y = log_y};
}

/// One line for each curve, coloured from the first to the last.
inline std::vector<report::Line> in_sequence(const std::vector<Curve>& curves) {
  std::vector<report::Line> out;
  for (std::size_t i = 0; i < curves.size(); ++i)
    out.push_back({.name = block_name(curves[i].name),
                   .x = curves[i].x,
                   .y = curves[i].y,
                   .colour = report::sequence_colour(i, curves.size())});
  return out;
}

inline void add_curves(report::Page& page, const RunLog& log) {
  page.heading("Optimization");
  page.side_by_side([&] {
    page.figure(report::line_plot({{.x = log.learning_rate.x, .y = log.learning_rate.y}},
                                  over_steps("Learning rate", "")));
    std::vector<report::Line> norm;
    add_smoothed(norm, log.gradient_norm, "", 0);
    page.figure(
        report::line_plot(norm, over_steps("Norm of the gradient before clipping", "", true)),
        smoothing_note(log.gradient_norm));
    if (log.gradient_norms.empty()) return;
    page.figure(report::line_plot(in_sequence(log.gradient_norms),
                                  over_steps("Norm of the gradient by part", "", true)));
  });
  page.heading("Gates");
  if (log.attn.empty() && log.ff.empty()) {
    page.paragraph("The log says nothing about gates.");
  } else {
    page.side_by_side([&] {
      page.figure(
          report::line_plot(in_sequence(log.attn), over_steps("Cross-attention", "tanh(gate)")));
      page.figure(report::line_plot(in_sequence(log.ff), over_steps("Feed-forward", "tanh(gate)")));
    });
    page.paragraph(
        "A gate at 0 lets nothing through: the language model is as it was before training.");
  }

  page.heading("Speed");
  page.side_by_side([&] {
    const std::pair<const Curve*, const char*> rates[] = {{&log.tokens_per_s, "Tokens per second"},
                                                          {&log.images_per_s, "Images per second"}};
    for (const auto& [curve, title] : rates) {
      std::vector<report::Line> lines;
      add_smoothed(lines, *curve, "", 0);
      auto options = over_steps(title, "");
      options.y_low = 0;
      page.figure(report::line_plot(lines, options), smoothing_note(*curve));
    }
    Curve wait = log.data_wait;
    for (double& y : wait.y) y *= 100;
    std::vector<report::Line> lines;
    add_smoothed(lines, wait, "", 0);
    auto options = over_steps("Waiting for data", "% of a step");
    options.y_low = 0;
    page.figure(report::line_plot(lines, options), smoothing_note(wait));
  });
  double all = 0;
  for (const auto& [phase, spent] : log.seconds) all += spent;
  if (all > 0) {
    report::Table table{.columns = {"phase", "seconds", "share"}};
    for (const auto& [phase, spent] : log.seconds)
      table.rows.push_back(
          {phase, report::fixed(spent, 1), report::fixed(100 * spent / all, 1) + " %"});
    page.table(table);
  }
}

/// The bytes of a picture named by a log, which stands in the run folder or where the program ran. Empty where there
/// is none that a page can show.
inline std::vector<std::byte> picture_bytes(const std::string& run, const std::string& name) {
  namespace fs = std::filesystem;
  constexpr std::uintmax_t most = 8U << 20;  // the page holds them all
  for (const fs::path& path : {fs::path(run) / name, fs::path(name)}) {
    std::error_code error;
    if (!fs::is_regular_file(path, error) || fs::file_size(path, error) > most) continue;
    const io::Source file = io::Source::file(path.string());
    if (report::is_picture(file.bytes)) return {file.bytes.begin(), file.bytes.end()};
  }
  return {};
}

inline void add_samples(report::Page& page, const RunLog& log, const std::string& run) {
  if (log.samples.empty()) return;
  page.heading("Samples");
  const double last = number_at(log.samples.back(), "step");
  const auto same = [](double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); };
  std::vector<report::Picture> pictures;
  report::Table before{.columns = {"step", "picture", "prompt", "text", "expected"}};
  for (const io::Json& sample : log.samples) {
    const double step = number_at(sample, "step");
    const std::string image = text_at(sample, "image");
    if (!same(step, last)) {
      before.rows.push_back({report::number(step, 12), image, text_at(sample, "prompt"),
                             text_at(sample, "text"), text_at(sample, "expected")});
      continue;
    }
    report::Picture picture{picture_bytes(run, image), image, {}};
    for (const char* key : {"prompt", "text", "expected"})
      if (sample.contains(key)) picture.facts.emplace_back(key, text_at(sample, key));
    pictures.push_back(std::move(picture));
  }
  if (std::isfinite(last)) page.paragraph(cat("After ", report::number(last, 12), " steps:"));
  page.pictures(pictures);
  if (!before.rows.empty())
    page.section(cat("Before (", before.rows.size(), ")"), [&] { page.table(before); });
}

inline void add_data(report::Page& page, const io::Json& data) {
  if (data.empty()) return;
  page.heading("Data");
  report::Table counts{.columns = {"stream", "seen", "emitted", "dropped"}};
  report::Table reasons{.columns = {"stream", "dropped because", "records"}};
  for (auto at = data.begin(); at != data.end(); ++at) {
    const std::string& stream = at.key();
    const io::Json& facts = *at;
    if (!facts.is_object()) continue;
    counts.rows.push_back(
        {stream, text_at(facts, "seen"), text_at(facts, "emitted"), text_at(facts, "dropped")});
    each_member(facts, "reasons", [&](const std::string& reason, const io::Json& n) {
      reasons.rows.push_back({stream, reason, text_of(n)});
    });
  }
  page.table(counts);
  if (reasons.rows.empty()) {
    page.paragraph("No record was dropped.");
  } else {
    page.table(reasons);
  }
}

inline void add_configuration(report::Page& page, const io::Json& config) {
  page.heading("Configuration");
  if (!config.is_object()) {
    page.paragraph("There is no config.json.");
    return;
  }
  for (auto group = config.begin(); group != config.end(); ++group) {
    report::Facts facts;
    each_member(config, group.key().c_str(), [&](const std::string& name, const io::Json& value) {
      facts.emplace_back(name, text_of(value));
    });
    page.section(
        group.key(), [&] { page.facts(facts); }, group.key() == "configuration");
  }
}

}  // namespace detail

/// RUN/report.html, whole or not at all, from RUN/config.json and RUN/log.jsonl; either may be missing. Throws
/// std::system_error where there is no such folder, FormatError for a file that is not what it should be.
inline void write_report(const std::string& run) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::path(run).lexically_normal();
  const std::string log_path = (folder / "log.jsonl").string();
  const std::string config_path = (folder / "config.json").string();
  const RunLog log = fs::exists(log_path) ? read_log(log_path) : RunLog{};
  const fs::path named =
      folder.has_filename() ? folder.filename() : folder.parent_path().filename();
  report::Page page(cat("Training run ", named.string()));
  page.facts(detail::summary(log));
  detail::add_losses(page, log);
  detail::add_samples(page, log, run);
  detail::add_curves(page, log);
  detail::add_data(page, log.data);
  detail::add_configuration(page,
                            fs::exists(config_path) ? io::read_json(config_path) : io::Json());
  page.write((folder / "report.html").string());
}

}  // namespace plume::train
