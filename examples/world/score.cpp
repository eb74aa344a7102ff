// world score: how many predicted captions say what the pictures show.

#include "score.hpp"

#include <iomanip>
#include <iostream>

#include "commands.hpp"

namespace world {

namespace {

struct Given {
  std::string world, predictions;
  double least = 0;
};

void print(const char* name, const Tally& tally) {
  std::cout << std::setw(12) << std::left << name << std::right << std::setw(9) << tally.captions
            << std::fixed << std::setprecision(1);
  for (const index_t right : {tally.content, tally.cloth, tally.all, tally.thing, tally.colour,
                              tally.count, tally.place}) {
    if (tally.captions == 0) {
      std::cout << std::setw(9) << '-';
    } else {
      std::cout << std::setw(9)
                << 100 * static_cast<double>(right) / static_cast<double>(tally.captions);
    }
  }
  std::cout << '\n';
}

void score(const Given& given) {
  const CaptionTally tally = score_captions(given.world, given.predictions);
  std::cout << "combinations captions  content    cloth     both    thing   colour    count"
               "    place\n";
  print("all", tally.all);
  print("trained on", tally.known);
  print("kept back", tally.kept_back);
  const double content = 100 * static_cast<double>(tally.all.content);
  if (content < given.least * static_cast<double>(tally.all.captions)) {
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
                   "Lines {\"image\": ..., \"prediction\": ...}")
      ->required();
  command
      ->add_option("--content-at-least", given->least,
                   "Percent of captions with the right content below which this fails")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  command->callback([given] { score(*given); });
}

}  // namespace world
