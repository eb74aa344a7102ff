// Golden training steps, in double and in float.

#include "verify/training.hpp"

#include "verify/groups.hpp"

namespace flamingo {

namespace {

/// 1e-4 in float, 1e-7 in double; what the reference keeps in float32 bounds the rest as it does the values.
template <plume::Floating T>
void run(const std::string& folder, const plume::io::Json& facts, Report& report) {
  const auto model = open_case<T>(folder);
  const double tolerance =
      std::is_same_v<T, float> ? 1e-4 : std::max(1e-7, allowed<double>(facts).values);
  check_training<T>(*model, folder, tolerance, plume::cat(plume::dtype_name<T>(), " training "),
                    report);
}

}  // namespace

void verify_training(const std::filesystem::path& path, const VerifyOptions& options,
                     Report& report) {
  const std::string folder = path.string();
  const plume::io::Json facts = plume::io::read_json(folder + "/case.json");
  if (options.in_double) run<double>(folder, facts, report);
  if (options.in_float) run<float>(folder, facts, report);
}

}  // namespace flamingo
