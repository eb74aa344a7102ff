// Golden evaluation cases: data sets, prompts, post-processing, scores.

#include "verify/evaluation_case.hpp"
#include "verify/groups.hpp"

namespace flamingo {

void verify_evaluation(const std::filesystem::path& folder, Report& report) {
  check_evaluation(folder, report);
}

}  // namespace flamingo
