// Golden models: texts token for token, and log-probabilities of class names.

#include "verify/generation.hpp"

#include "verify/generation_case.hpp"

namespace flamingo {

void verify_generation(const plume::models::Flamingo<double>& model,
                       const std::filesystem::path& folder, Report& report) {
  check_generation(model, folder.string(), report);
}

void verify_classification(const plume::models::Flamingo<double>& model,
                           const std::filesystem::path& folder, Report& report) {
  check_classification(model, folder.string(), report);
}

}  // namespace flamingo
