#pragma once
// One function per group of golden cases. Each reads what a case's own files say, and nothing else.

#include <filesystem>

#include "verify/report.hpp"

namespace flamingo {

/// Which groups to run a model in.
struct VerifyOptions {
  bool in_double = true, in_float = true;
};

void verify_models(const std::filesystem::path& folder, const VerifyOptions& options,
                   Report& report);
void verify_training(const std::filesystem::path& folder, const VerifyOptions& options,
                     Report& report);
void verify_resampler(const std::filesystem::path& folder, const VerifyOptions& options,
                      Report& report);
void verify_images(const std::filesystem::path& folder, Report& report);
void verify_tokenizer(const std::filesystem::path& folder, Report& report);
void verify_weights(const std::filesystem::path& folder, Report& report);
void verify_data(const std::filesystem::path& folder, Report& report);
void verify_captions(const std::filesystem::path& folder, Report& report);
void verify_vqa(const std::filesystem::path& folder, Report& report);
void verify_evaluation(const std::filesystem::path& folder, Report& report);

}  // namespace flamingo
