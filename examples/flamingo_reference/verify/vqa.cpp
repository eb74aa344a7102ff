// Golden metrics: VQA accuracy, OK-VQA's stems, ROC-AUC, nearest neighbours.

#include "verify/groups.hpp"
#include "verify/vqa_case.hpp"

namespace flamingo {

void verify_vqa(const std::filesystem::path& folder, Report& report) { check_vqa(folder, report); }

}  // namespace flamingo
