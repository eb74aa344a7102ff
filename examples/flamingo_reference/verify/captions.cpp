#include "verify/captions_case.hpp"
#include "verify/groups.hpp"

namespace flamingo {

void verify_captions(const std::filesystem::path& folder, Report& report) {
  check_captions(folder, report);
}

}  // namespace flamingo
