// flamingo: the application. `flamingo --help` lists its commands, `flamingo COMMAND --help` their options.

#include "commands.hpp"
#include "elsewhere.hpp"

int main(int argc, char** argv) {
  CLI::App app(
      "OpenFlamingo (arXiv 2308.01390): train models, caption pictures, and verify, trace and "
      "compare models.",
      "flamingo");
  app.require_subcommand(1);
  app.set_help_all_flag("--help-all", "The options of every command");
  flamingo::add_train(app);
  flamingo::add_caption(app);
  flamingo::add_evaluate(app);
  flamingo::add_score(app);
  flamingo::add_plan(app);
  flamingo::add_shards(app);
  const auto elsewhere = [&](const char* name, const char* what) {
    flamingo::add_elsewhere(app, name, what, "flamingo_reference", argv);
  };
  elsewhere("verify", "Run every golden case in or below a folder and compare with the reference");
  elsewhere("trace", "Write the named values of a forward pass to a safetensors file");
  elsewhere("diff", "Compare two such files");
  return command_line::run(app, argc, argv);
}
