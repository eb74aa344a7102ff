// world score: how many predicted captions say what the pictures show, and how many answers are right.

#include "score.hpp"

#include <iomanip>
#include <iostream>

#include "../flamingo/option_checks.hpp"
#include "best.hpp"
#include "commands.hpp"

namespace world {

namespace checks = flamingo::checks;

namespace {

struct Given {
  std::string world, predictions;
  double least = 0;
};

double percent(index_t part, index_t whole) {
  return 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void print(index_t shots, const char* name, const Tally& tally) {
  if (tally.captions == 0) return;
  std::cout << std::setw(5) << shots << "  " << std::setw(12) << std::left << name << std::right
            << std::setw(9) << tally.captions;
  for (const index_t right : {tally.content, tally.name, tally.both, tally.thing, tally.colour,
                              tally.count, tally.place, tally.cloth})
    std::cout << std::setw(9) << percent(right, tally.captions);
  std::cout << '\n';
}

void print_captions(const std::map<index_t, Score>& scores) {
  std::cout << "shots  combinations captions  content     name     both    thing   colour    count"
               "    place    cloth\n";
  for (const auto& [shots, score] : scores) {
    print(shots, "all", score.all);
    print(shots, "trained on", score.known);
    print(shots, "kept back", score.kept_back);
    const double name = 100 * best_naming(shots);
    std::cout << std::setw(5) << shots << "  " << std::setw(12) << std::left << "best" << std::right
              << std::setw(9) << "" << std::setw(9) << 100.0 << std::setw(9) << name << std::setw(9)
              << name << "   (of random demonstrations)\n";
  }
}

void print_answers(const std::map<index_t, Score>& scores) {
  std::cout << "shots  question               asked    right\n";
  const auto line = [](index_t shots, const std::string& question, const Answers& answers) {
    std::cout << std::setw(5) << shots << "  " << std::setw(18) << std::left << question
              << std::right << std::setw(10) << answers.asked << std::setw(9)
              << percent(answers.right, answers.asked) << '\n';
  };
  for (const auto& [shots, score] : scores) {
    if (score.answers.asked == 0) continue;
    line(shots, "all", score.answers);
    for (const auto& [question, answers] : score.by_question) line(shots, question, answers);
    std::cout << std::setw(5) << shots << "  " << std::setw(18) << std::left << "best" << std::right
              << std::setw(10) << "" << std::setw(9) << 100 * best_answers(shots)
              << "   (of random demonstrations)\n";
  }
}

void run(const Given& given) {
  const std::map<index_t, Score> scores = score(given.world, given.predictions);
  bool captions = false, answers = false, enough = true;
  for (const auto& [shots, score] : scores) {
    captions |= score.all.captions > 0;
    answers |= score.answers.asked > 0;
    enough &=
        score.all.captions == 0 || percent(score.all.content, score.all.captions) >= given.least;
  }
  std::cout << std::fixed << std::setprecision(1);
  if (captions) print_captions(scores);
  if (answers) print_answers(scores);
  if (!enough) {
    std::cout << "fewer than " << given.least << " % of the captions have the right content\n";
    exit_code = 1;
  }
}

}  // namespace

void add_score(CLI::App& app) {
  auto given = std::make_shared<Given>();
  CLI::App* command =
      app.add_subcommand("score", "Count predicted captions that say what the pictures show");
  command->add_option("--world", given->world, "Folder of the world")->required();
  command
      ->add_option("--predictions", given->predictions,
                   "Lines {\"image\": ..., \"prediction\": ...}, as flamingo evaluate writes them")
      ->required();
  command
      ->add_option("--content-at-least", given->least,
                   "Percent of captions with the right content, at each number of shots, below "
                   "which this fails")
      ->transform(checks::percentage())
      ->capture_default_str();
  command->callback([given] { run(*given); });
}

}  // namespace world
