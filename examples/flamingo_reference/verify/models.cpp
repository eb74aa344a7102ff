// Golden models: forward, loss and gradients of whole Flamingos in double and float; a video resampler alone.

#include "verify/generation.hpp"
#include "verify/groups.hpp"
#include "verify/model_case.hpp"

using namespace plume;

namespace flamingo {

namespace {

template <Floating T>
class VideoResampler : public nn::Module {
 public:
  nn::PerceiverResampler<T> resampler;
  explicit VideoResampler(const nn::ResamplerSizes& sizes) : resampler(*this, "weight", sizes) {}
};

template <Floating T>
void run_resampler(const std::string& folder, const nn::ResamplerSizes& sizes, Report& report) {
  const Allowed tolerance = std::is_same_v<T, double> ? Allowed{1e-9, 1e-9} : Allowed{1e-5, 1e-4};
  const std::string prefix = cat(dtype_name<T>(), " ");
  VideoResampler<T> root(sizes);
  models::load<T>(root, io::read_weights(folder + "/weights.safetensors"));
  const io::StateDict in = io::read_weights(folder + "/inputs.safetensors");
  const io::StateDict expected = io::read_weights(folder + "/expected.safetensors");
  const Var<T> x = trainable(in.at("x").to<T>().clone());
  const Var<T> y = root.resampler(x);
  report.add(difference(prefix + "y", y.value(), expected.at("y").to<double>(), tolerance.values));
  backward(y, in.at("cotangent").to<T>());
  const auto gradient = [&](const std::string& name, const Tensor<T>& g) {
    const std::string full = "gradient." + name;
    report.add(difference(prefix + full, g, expected.at(full).to<double>(), tolerance.gradients));
  };
  gradient("x", x.grad());
  nn::for_each_parameter(root.resampler, [&](const std::string& key, nn::ParameterBase& p) {
    gradient(key, static_cast<nn::Parameter<T>&>(p)().grad());
  });
}

}  // namespace

void verify_models(const std::filesystem::path& path, const VerifyOptions& options,
                   Report& report) {
  const std::string folder = path.string();
  const io::Json facts = io::read_json(folder + "/case.json");
  if (options.in_double) {
    const auto model = open_case<double>(folder);
    check_values<double>(*model, folder, allowed<double>(facts), "double ", report);
    if (std::filesystem::exists(path / "generation.json")) verify_generation(*model, path, report);
    if (std::filesystem::exists(path / "classification.json"))
      verify_classification(*model, path, report);
  }
  if (options.in_float) {
    const auto model = open_case<float>(folder);
    check_values<float>(*model, folder, allowed<float>(facts), "float ", report);
  }
  if (std::filesystem::exists(path / "train_expected.safetensors"))
    verify_training(path, options, report);
}

void verify_resampler(const std::filesystem::path& path, const VerifyOptions& options,
                      Report& report) {
  const std::string folder = path.string();
  const io::Json c = io::read_json(folder + "/case.json");
  const nn::ResamplerSizes sizes{.width = c.at("dim"),
                                 .depth = c.at("depth"),
                                 .latents = c.at("num_latents"),
                                 .heads = {c.at("heads"), c.at("dim_head")},
                                 .multiple = c.at("ff_mult"),
                                 .max_frames = c.at("max_num_frames"),
                                 .max_media = c.at("max_num_media")};
  if (options.in_double) run_resampler<double>(folder, sizes, report);
  if (options.in_float) run_resampler<float>(folder, sizes, report);
}

}  // namespace flamingo
