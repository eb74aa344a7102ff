// flamingo_reference: the commands of `flamingo` that compare with the reference. A program of their own, since they
// compute in float and in double, and nobody who trains or captions should wait for that to compile.

#include <iostream>

#include "commands.hpp"

int main(int argc, char** argv) {
  CLI::App app("Verify, trace and compare models.", "flamingo");
  app.require_subcommand(1);
  flamingo::add_verify(app);
  flamingo::add_trace(app);
  flamingo::add_diff(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::cerr << "flamingo: " << error.what() << '\n';
    return 1;
  }
  return flamingo::exit_code;
}
