// world vision, world language: the parts of a Flamingo that stay frozen, trained here in place of published ones.

#include "commands.hpp"
#include "pretrain_language.hpp"
#include "pretrain_vision.hpp"

namespace world {

namespace {

struct Where {
  std::string data, out;

  void add_to(CLI::App& command) {
    command.add_option("--data", data, "Folder of the world")->required();
    command.add_option("--out", out, "Folder for the weights")->required();
  }
};

/// Trained by this program: FOLDER/training.json says how. Written last, so it tells that the rest is there.
void done(const Where& where, const plume::io::Json& what) {
  save_json(what, where.out + "/training.json");
  std::cout << where.out << ": " << what.dump() << std::endl;
}

void add_course(CLI::App& command, Course& course) {
  command.add_option("--steps", course.steps)->capture_default_str();
  command.add_option("--lr", course.learning_rate, "Largest learning rate")->capture_default_str();
  command.add_option("--warmup", course.warmup, "Steps of linear warm-up")->capture_default_str();
}

}  // namespace

void add_vision(CLI::App& app) {
  struct Given {
    Where where;
    VisionOptions vision;
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("vision", "Train a vision encoder on the world's pairs");
  VisionOptions& o = given->vision;
  given->where.add_to(*command);
  add_course(*command, o.course);
  command->add_option("--batch", o.batch, "Pairs of a step")->capture_default_str();
  command->add_option("--pairs", o.pairs, "Pairs to read at most")->capture_default_str();
  command->add_option("--image", o.sizes.image, "Pixels on a side")->capture_default_str();
  command->add_option("--patch", o.sizes.patch)->capture_default_str();
  command->add_option("--width", o.sizes.width)->capture_default_str();
  command->add_option("--layers", o.sizes.layers)->capture_default_str();
  command->add_option("--seed", o.seed)->capture_default_str();
  command->callback([given] {
    done(given->where, pretrain_vision(given->where.data, given->where.out, given->vision));
  });
}

void add_language(CLI::App& app) {
  struct Given {
    Where where;
    LanguageOptions language;
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("language", "Train a language model on the world's text");
  LanguageOptions& o = given->language;
  given->where.add_to(*command);
  add_course(*command, o.course);
  command->add_option("--batch", o.batch, "Rows of a step")->capture_default_str();
  command->add_option("--length", o.length, "Tokens of a row")->capture_default_str();
  command->add_option("--width", o.width)->capture_default_str();
  command->add_option("--layers", o.layers)->capture_default_str();
  command->add_option("--heads", o.heads)->capture_default_str();
  command->add_option("--seed", o.seed)->capture_default_str();
  command->callback([given] {
    done(given->where, pretrain_language(given->where.data, given->where.out, given->language));
  });
}

}  // namespace world
