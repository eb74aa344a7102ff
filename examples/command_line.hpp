#pragma once
// What the programs with commands share: how their command lines are run, and what that leaves for the shell.

#include <CLI/CLI.hpp>
#include <iostream>

namespace command_line {

/// What a command leaves for the shell: 0, or 1 where it found something wrong.
inline int exit_code = 0;

/// Runs the command that was chosen and returns what main returns; an exception becomes a line on stderr and 1.
inline int run(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::cerr << app.get_name() << ": " << error.what() << '\n';
    return 1;
  }
  return exit_code;
}

}  // namespace command_line
