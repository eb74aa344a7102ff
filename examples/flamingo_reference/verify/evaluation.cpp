// Golden evaluation cases: data sets, prompts, post-processing, scores; whole runs.

#include "verify/evaluation_case.hpp"
#include "verify/evaluation_runs_case.hpp"
#include "verify/groups.hpp"

namespace flamingo {

void verify_evaluation(const std::filesystem::path& folder, Report& report) {
  if (std::filesystem::exists(folder / "runs.jsonl"))
    check_evaluation_runs(folder, report);
  else
    check_evaluation(folder, report);
}

}  // namespace flamingo
