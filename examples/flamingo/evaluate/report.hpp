#pragma once
// What comes of answers, beside them in the folder of an evaluation:
//
//   results.json  table.md     scores by benchmark and shots: mean and sample standard deviation over seeds
//   scores-BENCHMARK.svg       the same by number of shots
//   predictions.html           pictures with what was asked, answered and true: the first, and the worst

#include <string>
#include <vector>

#include "plume/eval/answer.hpp"

namespace flamingo {

/// Writes the files above; returns the table as Markdown. `answers` are scored and put in order. `shown` pictures of
/// each kind come on the page, of the first seed.
std::string write_reports(const std::string& folder, std::vector<plume::eval::Answer>& answers,
                          plume::index_t shown);

}  // namespace flamingo
