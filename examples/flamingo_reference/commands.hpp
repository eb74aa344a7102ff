#pragma once
// The commands of the program: each is added to the command line with its options, and run if it was chosen.

#include <CLI/CLI.hpp>

namespace flamingo {

/// What a command leaves for the shell: 0, or 1 where it found something wrong.
inline int exit_code = 0;

void add_verify(CLI::App& app);
void add_trace(CLI::App& app);
void add_diff(CLI::App& app);

}  // namespace flamingo
