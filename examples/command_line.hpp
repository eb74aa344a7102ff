#pragma once
// What the programs with commands share: how their command lines are run, and what that leaves for the shell.
//
// Results go to standard output; when they cannot be written there (a full disk, a closed descriptor), the command
// stops at once with status 1 and says so. A pipe whose reader has gone, as of `| head`, ends the program by SIGPIPE,
// as it ends other programs; where SIGPIPE is ignored, that is an error like the others. Progress and messages go to
// standard error, which no result depends on.

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstring>
#include <iostream>

namespace command_line {

/// What a command leaves for the shell.
namespace status {
inline constexpr int good = 0, error = 1;
inline constexpr int skipped = 2;      ///< of train: the last steps were skipped
inline constexpr int interrupted = 3;  ///< of train: stopped and saved; the same command goes on
}  // namespace status

inline const char* const statuses =
    "Exit status: 0, or 1 after an error. train also: 2 where the last steps were skipped and no "
    "model was written,\n3 where it was interrupted and saved its state.";

/// The status of the command that runs: 0, or another where it found something wrong.
inline int exit_code = status::good;

/// A standard stream that was closed is opened such that using it fails: otherwise the next file that is opened, a model
/// or a result, would be taken for it.
inline void hold_standard_streams() {
  for (const int stream : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (::fcntl(stream, F_GETFD) == -1 && errno == EBADF)
      (void)::open("/dev/null", stream == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

/// Runs the command that was chosen and returns what main returns; an exception becomes a line on stderr and 1.
inline int run(CLI::App& app, int argc, char** argv) {
  hold_standard_streams();
  app.footer(statuses);
  try {
    std::cout.exceptions(std::ios::badbit);  // what cannot be written ends the command
    try {
      app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {  // also the way of --help
      if (app.exit(error) != 0) exit_code = status::error;
    }
    std::cout.flush();
    return exit_code;
  } catch (const std::exception& error) {
    const int why = errno;
    const bool lost = std::cout.bad();
    std::cout.exceptions(std::ios::goodbit);  // std::cerr flushes it first
    std::cerr << app.get_name() << ": ";
    if (lost) {
      std::cerr << "standard output cannot be written: " << std::strerror(why) << '\n';
    } else {
      std::cerr << error.what() << '\n';
    }
    return status::error;
  }
}

}  // namespace command_line
