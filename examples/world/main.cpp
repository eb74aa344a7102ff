// world: a generated world of pictures, captions and questions, to train a small Flamingo on and to measure it by.

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("A generated few-shot world: shapes and digits, in pictures and in words.", "world");
  app.require_subcommand(1);
  world::add_make(app);
  world::add_score(app);
  world::add_vision(app);
  world::add_language(app);
  world::add_model(app);
  world::add_report(app);
  world::add_table5(app);
  return command_line::run(app, argc, argv);
}
