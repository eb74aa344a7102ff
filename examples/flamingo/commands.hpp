#pragma once
// The commands of the program: each is added to the command line with its options, and run if it was chosen.

#include <CLI/CLI.hpp>

namespace flamingo {

/// What a command leaves for the shell: 0, or 1 where it found something wrong.
inline int exit_code = 0;

void add_train(CLI::App& app);
void add_caption(CLI::App& app);
void add_evaluate(CLI::App& app);
void add_score(CLI::App& app);
void add_plan(CLI::App& app);
void add_shards(CLI::App& app);
void add_shards_make(CLI::App& shards);  ///< a part of add_shards

}  // namespace flamingo
