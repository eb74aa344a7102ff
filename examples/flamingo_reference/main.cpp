// flamingo_reference: the commands of `flamingo` that compare with the reference. A program of their own, since they
// compute in float and in double, and nobody who trains or captions should wait for that to compile.

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Verify, trace and compare models.", "flamingo");
  app.require_subcommand(1);
  flamingo::add_verify(app);
  flamingo::add_trace(app);
  flamingo::add_diff(app);
  return command_line::run(app, argc, argv);
}
