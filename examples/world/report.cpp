// world report: what a run of the demo came to, as a page, as JSON, and as a verdict.

#include <iostream>

#include "commands.hpp"
#include "plume/report/page.hpp"
#include "plume/report/plot.hpp"
#include "plume/train/progress.hpp"
#include "results.hpp"
#include "save.hpp"

namespace world {

namespace {

using plume::cat;
using plume::io::Json;
using plume::train::fixed;

struct Given {
  std::string demo, expected;
};

std::string number(const Json& json, const char* key, int digits = 1) {
  return json.contains(key) && json[key].is_number() ? fixed(json[key].get<double>(), digits) : "-";
}

/// Rows by shots: how many captions have the right content and the cloth's second name, how many answers are right, and
/// what the best reader of random demonstrations could do.
plume::report::Table shots_table(const Json& results) {
  plume::report::Table out{{"shots", "content %", "content, kept back %", "name %", "best name %",
                            "name, similar %", "answers %", "best answers %", "answers, similar %"},
                           {}};
  const Json& captions = results["captions"];
  const Json& questions = results["questions"];
  const auto at = [](const Json& all, const char* kind, const std::string& shots) {
    return all.contains(kind) && all[kind].contains(shots) ? all[kind][shots] : Json::object();
  };
  std::vector<index_t> shots;
  for (const auto& [key, line] : captions["random"].items()) shots.push_back(std::stoi(key));
  std::sort(shots.begin(), shots.end());
  for (const index_t n : shots) {
    const std::string key = std::to_string(n);
    out.rows.push_back(
        {key, number(at(captions, "random", key), "content"),
         number(at(captions, "random", key), "kept_back"),
         number(at(captions, "random", key), "name"), fixed(100 * best_naming(n), 1),
         number(at(captions, "rices", key), "name"), number(at(questions, "random", key), "right"),
         fixed(100 * best_answers(n), 1), number(at(questions, "rices", key), "right")});
  }
  return out;
}

std::string as_text(const plume::report::Table& table) {
  std::string out;
  const auto line = [&](const std::vector<std::string>& cells) {
    for (std::size_t i = 0; i < cells.size(); ++i) {
      const std::size_t width = table.columns[i].size();
      out += std::string(width - std::min(width, cells[i].size()), ' ') + cells[i];
      out += i + 1 < cells.size() ? "  " : "\n";
    }
  };
  line(table.columns);
  for (const auto& row : table.rows) line(row);
  return out;
}

std::string shots_plot(const Json& by_kind, const char* field, const char* title,
                       double (*best)(index_t)) {
  std::vector<plume::report::Line> lines;
  for (const auto& [kind, name] : {std::pair{"random", "random demonstrations"},
                                   std::pair{"rices", "similar demonstrations"}}) {
    plume::report::Line line;
    line.name = name;
    line.points = true;
    std::map<index_t, double> values;
    for (const auto& [shots, scores] : by_kind[kind].items())
      values[std::stoi(shots)] = scores[field].get<double>();
    for (const auto& [shots, value] : values) {
      line.x.push_back(static_cast<double>(shots));
      line.y.push_back(value);
    }
    lines.push_back(line);
  }
  plume::report::Line top;
  top.name = "best possible of random ones";
  top.faint = true;
  top.x = lines[0].x;
  for (const double x : top.x) top.y.push_back(100 * best(static_cast<index_t>(x)));
  lines.push_back(top);
  plume::report::PlotOptions options;
  options.title = title;
  options.x_label = "shots";
  options.y_label = "% right";
  options.x_ticks = top.x;
  options.y_low = 0;
  options.y_high = 100;
  return plume::report::line_plot(lines, options);
}

std::string loss_plot(const std::string& log, const char* title) {
  plume::report::Line line;
  plume::io::for_each_json_line(log, [&](const std::string&, const Json& json) {
    line.x.push_back(json.value("step", 0.0));
    line.y.push_back(json.value("loss", std::nan("")));
  });
  plume::report::PlotOptions options;
  options.title = title;
  options.x_label = "step";
  options.y_label = "loss";
  return plume::report::line_plot({line}, options);
}

/// The first pictures that were captioned at the most shots, with what was said and what is right.
std::vector<plume::report::Picture> samples(const std::string& predictions, std::size_t most) {
  std::map<index_t, std::vector<Json>> by_shots;
  plume::io::for_each_json_line(predictions, [&](const std::string&, const Json& json) {
    if (json.value("benchmark", "") == "coco")
      by_shots[json.value("shots", index_t{0})].push_back(json);
  });
  std::vector<plume::report::Picture> out;
  if (by_shots.empty()) return out;
  for (const Json& json : by_shots.rbegin()->second) {
    if (out.size() == most) break;
    plume::report::Picture picture;
    const plume::io::Source file = plume::io::Source::file(json["image"].get<std::string>());
    picture.file.assign(file.bytes.begin(), file.bytes.end());
    picture.caption = json["prediction"].get<std::string>();
    for (const Json& reference : json["truth"]["references"])
      picture.facts.emplace_back("right", reference.get<std::string>());
    out.push_back(std::move(picture));
  }
  return out;
}

void write_page(const std::string& demo, const Json& results, const std::vector<Miss>& missed) {
  plume::report::Page page("A Flamingo of the generated world");
  page.paragraph(
      "A vision encoder and a language model were trained on a generated world and frozen. The "
      "resampler, the gated cross-attention and two embeddings were trained on its pairs and "
      "documents with the recipe of OpenFlamingo. Pictures and combinations of what is in them "
      "that were held out are captioned and asked about here.");
  page.paragraph(missed.empty() ? "Every figure lies where it should."
                                : cat(missed.size(), " figures do not lie where they should."));
  page.heading("Captions and answers by shots");
  page.paragraph(
      "Content: the thing, its colour, its number, its place and the cloth, all of them right; "
      "everything of it can be seen, so the best possible is 100 %. A cloth's second name is new "
      "in the held-out set: only demonstrations of the same cloth tell it. At 0 shots, as the "
      "OpenFlamingo evaluation has it, two are read without their pictures.");
  page.table(shots_table(results));
  page.side_by_side([&] {
    page.figure(shots_plot(results["captions"], "name", "Second names right in captions",
                           [](index_t shots) { return best_naming(shots); }));
    page.figure(
        shots_plot(results["questions"], "right", "Questions answered right", best_answers));
  });
  page.paragraph(cat("The same model with its gates at 0, which is the language model alone: ",
                     number(results["closed"]["0"], "content"),
                     " % of the captions have the "
                     "right content."));
  page.heading("What it says");
  page.pictures(samples(demo + "/random/predictions.jsonl", 24));
  page.heading("How its parts were trained");
  page.side_by_side([&] {
    page.figure(loss_plot(demo + "/world/model/vision/log.jsonl", "Vision encoder: InfoNCE"));
    page.figure(loss_plot(demo + "/world/model/lm/log.jsonl", "Language model: next token"));
  });
  page.paragraph(
      "run/report.html has the curves and gates of the Flamingo; random/predictions.html and "
      "rices/predictions.html have every kind of question with its prompt.");
  page.facts({{"results", plume::io::print_json(results, 1)}});
  page.write(demo + "/report.html");
}

void report(const Given& given) {
  const Json results = demo_results(given.demo);
  save_json(results, given.demo + "/results.json");
  std::vector<Miss> missed;
  if (!given.expected.empty())
    missed = misses(results, given.expected, plume::io::read_json(given.expected));
  write_page(given.demo, results, missed);
  std::cout << as_text(shots_table(results))
            << "gates at 0: " << number(results["closed"]["0"], "content")
            << " % content; the best possible: 100 %\n"
            << given.demo << "/report.html\n";
  for (const Miss& miss : missed) {
    std::cout << "not as expected: " << miss.where << " is "
              << (miss.got ? fixed(*miss.got, 3) : std::string("missing")) << ", not "
              << fixed(miss.low, 3) << " to " << fixed(miss.high, 3) << '\n';
    exit_code = 1;
  }
}

/// Table 5 of the OpenFlamingo paper in this world: the two embeddings trained, and frozen.
void table5(const std::string& demo) {
  plume::report::Table table{{"embeddings", "loss of documents"}, {}};
  for (const auto& [name, run, kind] :
       {std::tuple{"trained", "run", "random"}, std::tuple{"frozen", "run-frozen", "frozen"}}) {
    const plume::train::RunLog log = plume::train::read_log(cat(demo, "/", run, "/log.jsonl"));
    double loss = std::nan("");
    for (const plume::train::Curve& curve : log.losses)
      if (curve.name == "documents") loss = detail::tail_mean(curve.y, 50);
    std::vector<std::string> row{name, fixed(loss, 3)};
    for (const auto& scored : score(demo + "/world", cat(demo, "/", kind, "/predictions.jsonl"))) {
      const index_t shots = scored.first;
      const Score& score = scored.second;
      const auto column = [&](const char* what, double percent) {
        if (table.rows.empty()) table.columns.push_back(cat(what, " %, ", shots, " shots"));
        row.push_back(fixed(percent, 1));
      };
      column("content", detail::percent(score.all.content, score.all.captions));
      column("name", detail::percent(score.all.name, score.all.captions));
      column("answers", detail::percent(score.answers.right, score.answers.asked));
    }
    table.rows.push_back(std::move(row));
  }
  std::cout << as_text(table);
  plume::report::Page page("Trained against frozen embeddings of <image> and <|endofchunk|>");
  page.table(table);
  page.write(demo + "/table5.html");
}

}  // namespace

void add_table5(CLI::App& app) {
  auto demo = std::make_shared<std::string>();
  CLI::App* command = app.add_subcommand(
      "table5", "Compare runs of the demo with trained and with frozen embeddings");
  command->add_option("--demo", *demo, "Folder of the run")->required();
  command->callback([demo] { table5(*demo); });
}

void add_report(CLI::App& app) {
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("report", "A page of what a run of the demo came to");
  command->add_option("--demo", given->demo, "Folder of the run")->required();
  command->add_option("--expected", given->expected,
                      "Bands that its figures must lie in, by their names in results.json");
  command->callback([given] { report(*given); });
}

}  // namespace world
