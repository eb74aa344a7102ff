#pragma once
// The commands of the program: each is added to the command line with its options, and run if it was chosen.

#include "../command_line.hpp"

namespace world {

using command_line::exit_code;

void add_make(CLI::App& app);
void add_score(CLI::App& app);
void add_vision(CLI::App& app);
void add_language(CLI::App& app);
void add_model(CLI::App& app);
void add_report(CLI::App& app);
void add_table5(CLI::App& app);

}  // namespace world
