// world language: a language model, trained here in place of a published one.

#include "pretrain_language.hpp"

#include "../flamingo/option_checks.hpp"
#include "commands.hpp"

namespace world {

namespace checks = flamingo::checks;

void add_language(CLI::App& app) {
  struct Given {
    PretrainOptions where;
    LanguageOptions language;
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("language", "Train a language model on the world's text");
  LanguageOptions& o = given->language;
  given->where.add_to(*command, o.course);
  command->add_option("--batch", o.batch, "Rows of a step")
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--length", o.length, "Tokens of a row")
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--width", o.width)
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--layers", o.layers)
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--heads", o.heads)
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--seed", o.seed)
      ->transform(checks::integer(0, checks::any_seed))
      ->capture_default_str();
  command->callback([given] {
    given->where.done(pretrain_language(given->where.data, given->where.out, given->language));
  });
}

}  // namespace world
