#pragma once
// The commands of the program: each is added to the command line with its options, and run if it was chosen.

#include "../command_line.hpp"

namespace flamingo {

using command_line::exit_code;

void add_verify(CLI::App& app);
void add_trace(CLI::App& app);
void add_diff(CLI::App& app);

}  // namespace flamingo
