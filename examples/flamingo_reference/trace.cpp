// flamingo trace: the named intermediate values of a forward pass, as a safetensors file.

#include <iostream>

#include "commands.hpp"
#include "model_options.hpp"
#include "option_checks.hpp"
#include "pictures.hpp"
#include "verify/model_case.hpp"

using namespace plume;

namespace flamingo {

namespace {

struct TraceOptions {
  ModelOptions model;
  std::string golden_case, prompt, output, precision = "float";
  std::vector<std::string> images;
};

template <Floating T>
void trace(const TraceOptions& options) {
  io::StateDict values;
  const auto observe = [&](const std::string& name, const Tensor<T>& value) {
    values.add("train." + name, io::StoredTensor(value));
  };
  const EvaluationMode mode;
  std::map<std::string, std::string> facts{{"precision", std::string(dtype_name<T>())}};
  if (!options.golden_case.empty()) {
    const auto model = open_case<T>(options.golden_case);
    const io::StateDict in = io::read_weights(options.golden_case + "/inputs.safetensors");
    (void)no_grad([&] { return forward_case<T>(*model, in, observe); });
    facts["case"] = options.golden_case;
  } else {
    const auto opened = options.model.template open<T>();
    const text::Tokenizer& words = opened.first;
    const models::Flamingo<T>& model = *opened.second;
    const text::Ids ids = words.encode(options.prompt);
    Tensor<std::int64_t> tokens(Shape{1, static_cast<index_t>(ids.size())});
    std::copy(ids.begin(), ids.end(), tokens.data());
    const Tensor<T> images = load_pictures<T>(options.images, model.vision_encoder->sizes);
    (void)no_grad([&] { return model(images, models::TextInput{tokens}, observe); });
    facts["prompt"] = options.prompt;
  }
  io::write_safetensors(options.output, values, facts);
  std::cout << values.size() << " values written to " << options.output << '\n';
}

}  // namespace

void add_trace(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("trace", "Write the named values of a forward pass to a safetensors file");
  auto given = std::make_shared<TraceOptions>();
  auto* golden = command->add_option("--case", given->golden_case,
                                     "A golden model case: its model on its training batch");
  given->model.add_to(*command);
  command->add_option("--image", given->images, "Pictures, in the order of the <image> tokens")
      ->check(checks::readable_file());
  command->add_option("--prompt", given->prompt, "Text, for example '<image>Output:'")
      ->excludes(golden);
  command->add_option("-o,--output", given->output, "File to write")
      ->required()
      ->check(checks::writable_file());
  command->add_option("--precision", given->precision, "Compute in float or double")
      ->check(CLI::IsMember({"float", "double"}))
      ->capture_default_str();
  command->callback([given] {
    if (given->golden_case.empty() && given->prompt.empty())
      throw CLI::ValidationError("trace", "needs --case, or a model and --prompt");
    given->precision == "double" ? trace<double>(*given) : trace<float>(*given);
  });
}

}  // namespace flamingo
