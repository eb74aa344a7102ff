// flamingo score: the scores of answers that are there, without a model or a data set.

#include <iostream>

#include "commands.hpp"
#include "evaluate/answers.hpp"
#include "evaluate/report.hpp"
#include "option_checks.hpp"

namespace flamingo {

namespace {

struct ScoreOptions {
  std::string path, out;
  plume::index_t shown = 24;
};

void score(const ScoreOptions& given) {
  namespace fs = std::filesystem;
  if (!given.out.empty())
    if (const std::string why = checks::unwritable(given.out, true); !why.empty())
      plume::fail<plume::ValueError>("score", "a folder --out that can be written", why);
  std::vector<plume::eval::Answer> answers = answers_at(given.path);
  if (answers.empty()) plume::fail<plume::FormatError>(given.path, "at least one answer", "none");
  std::string out = given.out;
  if (out.empty())
    out = fs::is_directory(given.path) ? given.path : fs::path(given.path).parent_path().string();
  if (out.empty()) out = ".";
  plume::durable::make_folder(out);
  std::cout << write_reports(out, answers, given.shown) << std::flush;
}

}  // namespace

void add_score(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "score", "Scores of answers that `evaluate` wrote, those of several ranks together");
  auto given = std::make_shared<ScoreOptions>();
  command->add_option("answers", given->path, "The folder of an evaluation, or a predictions.jsonl")
      ->required();
  command->add_option("--out", given->out, "Folder of the scores (default: that of the answers)");
  command->add_option("--shown", given->shown, "Pictures of each kind in predictions.html")
      ->transform(checks::integer(0))
      ->capture_default_str();
  command->callback([given] { score(*given); });
}

}  // namespace flamingo
