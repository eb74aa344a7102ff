#pragma once
// The commands of the program: each is added to the command line with its options, and run if it was chosen.

#include "../command_line.hpp"

namespace flamingo {

using command_line::exit_code;

void add_train(CLI::App& app);
void add_caption(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_score(CLI::App& app);
void add_plan(CLI::App& app);
void add_shards(CLI::App& app);
void add_shards_make(CLI::App& shards);  ///< a part of add_shards

}  // namespace flamingo
