#include "evaluate/report.hpp"

#include "evaluate/answers.hpp"
#include "plume/eval/scores.hpp"
#include "plume/report/page.hpp"
#include "plume/report/plot.hpp"
#include "plume/train/progress.hpp"

namespace flamingo {

namespace {

namespace eval = plume::eval;
using plume::cat;
using plume::io::Json;
using plume::train::fixed;

std::string with_spread(const eval::Spread& s) {
  return fixed(s.mean, 1) + (s.deviation ? " ± " + fixed(*s.deviation, 1) : "");
}

std::vector<std::string> benchmark_names(const std::vector<eval::ShotScores>& rows) {
  std::vector<std::string> out;
  for (const auto& row : rows)
    if (out.empty() || out.back() != row.benchmark) out.push_back(row.benchmark);
  return out;
}

/// A benchmark a line, a number of shots a column.
plume::report::Table table_of(const std::vector<eval::ShotScores>& rows) {
  std::vector<plume::index_t> shots;
  for (const auto& row : rows) shots.push_back(row.shots);
  std::sort(shots.begin(), shots.end());
  shots.erase(std::unique(shots.begin(), shots.end()), shots.end());
  plume::report::Table out;
  out.columns = {"benchmark", "score"};
  for (const plume::index_t n : shots) out.columns.push_back(cat(n, n == 1 ? " shot" : " shots"));
  for (const std::string& name : benchmark_names(rows)) {
    const eval::Benchmark& b = eval::benchmark(name);
    std::vector<std::string> line{name, b.metric};
    for (const plume::index_t n : shots) {
      std::string cell = "-";
      for (const auto& row : rows) {
        if (row.benchmark != name || row.shots != n) continue;
        const auto score = row.scores.find(b.metric);
        if (score != row.scores.end()) cell = with_spread(score->second);
      }
      line.push_back(cell);
    }
    out.rows.push_back(std::move(line));
  }
  return out;
}

/// The metrics of a row that are undefined, those with the same reason together.
std::string undefined_of(const eval::ShotScores& row) {
  std::map<std::string, std::string> names;  // by reason
  for (const auto& [name, why] : row.undefined) {
    std::string& list = names[why];
    list += (list.empty() ? "" : ", ") + name;
  }
  std::string out;
  for (const auto& [why, list] : names)
    out += cat("; ", list, " at ", row.shots, row.shots == 1 ? " shot" : " shots",
               " undefined: ", why);
  return out;
}

/// What a table does not show: seeds, queries, demonstrations that did not fit, why a metric is undefined.
std::string notes_of(const std::vector<eval::ShotScores>& rows) {
  std::string out;
  for (const std::string& name : benchmark_names(rows)) {
    std::string dropped, undefined;
    std::size_t queries = 0, seeds = 0;
    bool scored = true;
    for (const auto& row : rows) {
      if (row.benchmark != name) continue;
      queries = row.queries;
      seeds = row.seeds.size();
      scored = scored && !row.by_seed.empty();
      undefined += undefined_of(row);
      if (row.dropped > 0)
        dropped += cat(dropped.empty() ? "" : ", ", row.dropped, " at ", row.shots, " shots");
    }
    out += cat(name, ": ", queries, queries == 1 ? " query" : " queries", ", ", seeds,
               seeds == 1 ? " seed" : " seeds");
    if (!scored) out += "; the answers are not public";
    if (!dropped.empty()) out += "; demonstrations that did not fit, the first ones: " + dropped;
    out += undefined + ".\n";
  }
  return out;
}

std::string markdown(const plume::report::Table& table, const std::string& notes) {
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    out += "|";
    for (const std::string& cell : cells) out += " " + cell + " |";
    out += "\n";
  };
  line(table.columns);
  std::vector<std::string> rule(table.columns.size(), "---:");
  rule[0] = rule[1] = "---";
  line(rule);
  for (const auto& row : table.rows) line(row);
  std::string list;
  for (std::size_t at = 0; at < notes.size();) {
    const std::size_t end = notes.find('\n', at);
    list += "- " + notes.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out + "\nPercent; mean ± sample standard deviation over seeds.\n\n" + list;
}

Json results_of(const std::vector<eval::ShotScores>& rows) {
  Json out = Json::array();
  for (const auto& row : rows) {
    Json scores = Json::object();
    for (const auto& [name, values] : row.by_seed) {
      Json by_seed = Json::array();
      for (const std::optional<double>& x : values) by_seed.push_back(x ? Json(*x) : Json());
      Json& score = scores[name] = {
          {"mean", nullptr}, {"deviation", nullptr}, {"by_seed", std::move(by_seed)}};
      if (const auto spread = row.scores.find(name); spread == row.scores.end()) {
        score["undefined"] = row.undefined.at(name);
      } else {
        score["mean"] = spread->second.mean;
        if (spread->second.deviation)
          score["deviation"] = *spread->second.deviation;
        else
          score["deviation_undefined"] = "one seed";
      }
    }
    out.push_back({{"benchmark", row.benchmark},
                   {"metric", eval::benchmark(row.benchmark).metric},
                   {"shots", row.shots},
                   {"seeds", row.seeds},
                   {"queries", row.queries},
                   {"dropped", row.dropped},
                   {"scores", std::move(scores)}});
  }
  return out;
}

std::string plot_of(const std::vector<eval::ShotScores>& rows, const std::string& name) {
  const eval::Benchmark& b = eval::benchmark(name);
  plume::report::Line line;
  line.name = name;
  line.points = true;
  for (const auto& row : rows) {
    const auto score = row.scores.find(b.metric);
    if (row.benchmark != name || score == row.scores.end()) continue;
    const eval::Spread& s = score->second;
    line.x.push_back(static_cast<double>(row.shots));
    line.y.push_back(s.mean);
    line.low.push_back(s.mean - s.deviation.value_or(0));
    line.high.push_back(s.mean + s.deviation.value_or(0));
  }
  plume::report::PlotOptions options;
  options.x_label = "shots";
  options.y_label = b.metric;
  for (const auto& row : rows) {
    if (row.benchmark == name && row.undefined.contains(b.metric))
      options.note = cat("undefined at ", row.shots, " shots: ", row.undefined.at(b.metric));
  }
  options.whole_x = true;
  options.x_ticks = line.x;
  return plume::report::line_plot({line}, options);
}

std::string truth_text(const Json& truth) {
  std::string out;
  const auto add = [&](const std::string& text) { out += (out.empty() ? "" : "\n") + text; };
  if (truth.contains("references"))
    for (const Json& text : truth["references"]) add(text.get<std::string>());
  if (truth.contains("class_name")) add(truth["class_name"].get<std::string>());
  if (truth.contains("answers")) {
    std::vector<std::pair<std::string, int>> counts;
    for (const Json& answer : truth["answers"]) {
      const auto text = answer["answer"].get<std::string>();
      const auto known = std::find_if(counts.begin(), counts.end(),
                                      [&](const auto& pair) { return pair.first == text; });
      if (known == counts.end())
        counts.emplace_back(text, 1);
      else
        ++known->second;
    }
    for (const auto& [text, n] : counts) add(n > 1 ? cat(text, " (", n, ")") : text);
  }
  return out.empty() ? "not public" : out;
}

plume::report::Picture picture_of(const eval::Answer& a) {
  plume::report::Picture out;
  if (std::filesystem::is_regular_file(a.image)) {
    const plume::io::Source file = plume::io::Source::file(a.image);
    const auto bytes = file.bytes;
    const bool known =
        bytes.size() > 3 && (bytes[0] == std::byte{0xff} || bytes[0] == std::byte{0x89});
    if (known) out.file.assign(bytes.begin(), bytes.end());
  }
  out.caption = a.prediction;
  out.facts = {{"prompt", a.prompt}, {"truth", truth_text(a.truth)}};
  if (a.score) out.facts.emplace_back("score", fixed(*a.score, 3));
  if (a.raw != a.prediction) out.facts.emplace_back("as generated", a.raw);
  if (a.chosen) out.facts.emplace_back("probability", fixed(a.chosen->probability, 3));
  out.facts.emplace_back("id", plume::io::print_json(a.id));
  return out;
}

}  // namespace

std::string write_reports(const std::string& folder, std::vector<eval::Answer>& answers,
                          plume::index_t shown) {
  const auto rows = eval::over_seeds(eval::score_answers(answers));
  const plume::report::Table table = table_of(rows);
  const std::string notes = notes_of(rows);
  const std::string text = markdown(table, notes);
  plume::write_whole(folder + "/results.json", plume::io::print_json(results_of(rows), 1) + "\n");
  plume::write_whole(folder + "/table.md", text);

  plume::report::Page page("Predictions");
  page.table(table);
  page.paragraph(notes);
  for (const std::string& name : benchmark_names(rows)) {
    page.heading(name);
    const std::string svg = plot_of(rows, name);
    plume::write_whole(folder + "/scores-" + name + ".svg", svg);
    page.figure(svg);
    for (const auto& row : rows) {
      if (row.benchmark != name) continue;
      std::vector<const eval::Answer*> round;
      for (const eval::Answer& a : answers) {
        if (a.benchmark == name && a.shots == row.shots && a.seed == row.seeds[0])
          round.push_back(&a);
      }
      const auto add = [&](const char* what) {
        std::vector<plume::report::Picture> pictures;
        for (plume::index_t i = 0; i < std::min<plume::index_t>(shown, std::ssize(round)); ++i)
          pictures.push_back(picture_of(*round[static_cast<std::size_t>(i)]));
        page.section(cat(row.shots, " shots, seed ", row.seeds[0], ": ", what),
                     [&] { page.pictures(pictures); });
      };
      add("the first");
      if (row.scores.empty()) continue;
      std::stable_sort(round.begin(), round.end(), [](const auto* a, const auto* b) {
        return a->score.value_or(0) < b->score.value_or(0);
      });
      add("the worst");
    }
  }
  page.write(folder + "/predictions.html");
  return text;
}

}  // namespace flamingo
