#pragma once
// Decoding of a golden Flamingo case whose model is built.

#include <filesystem>

#include "plume/models/flamingo.hpp"
#include "verify/report.hpp"

namespace flamingo {

/// Every run of generation.json: tokens, texts, scores.
void verify_generation(const plume::models::Flamingo<double>& model,
                       const std::filesystem::path& folder, Report& report);
/// classification.json: log-probabilities of class names.
void verify_classification(const plume::models::Flamingo<double>& model,
                           const std::filesystem::path& folder, Report& report);

}  // namespace flamingo
