// flamingo plan: what a training step of a model takes, before anything is loaded or allocated.

#include <unistd.h>  // sysconf

#include <filesystem>
#include <iostream>

#include "commands.hpp"
#include "option_checks.hpp"
#include "plume/models/open.hpp"
#include "plume/models/released.hpp"
#include "plume/train/memory_advice.hpp"

namespace flamingo {

namespace {

using namespace plume;

struct PlanOptions {
  std::string model, memory, precision = "fp32", recompute = "none";
  train::StepShape shape{.pairs = {0, 32, 1}, .documents = {32, 256, 6}};
  index_t world = 1;
  bool freeze_embeddings = false, json = false;
};

/// A released model, or the one of a folder, as a shape.
std::unique_ptr<models::Flamingo<float>> shape_of(const PlanOptions& given) {
  if (!std::filesystem::is_directory(given.model)) {
    auto out = models::build<float>(models::released_model(given.model));
    if (!given.freeze_embeddings)
      out->lang_encoder->tokens().train_rows({models::released_image, models::released_endofchunk});
    return out;
  }
  for (const char* name : {"/flamingo.json", "/case.json"}) {
    const std::string file = given.model + name;
    if (!std::filesystem::exists(file)) continue;
    const auto sizes = models::flamingo_sizes(file, io::read_json(file));
    auto out = models::shape_flamingo<float>(models::files_below(given.model), sizes);
    if (sizes.train_embeddings && !given.freeze_embeddings)
      out->lang_encoder->tokens().train_rows({sizes.image_token, sizes.endofchunk_token});
    return out;
  }
  fail<FormatError>(given.model, "the sizes of the model in flamingo.json", "no such file");
}

/// "80GiB", "512 MiB", "24GB": bytes.
std::size_t bytes_of(const std::string& text) {
  std::map<std::string, std::size_t> units{{"", 1}, {"B", 1}};
  std::size_t binary = 1, decimal = 1;
  for (const char* letter : {"K", "M", "G", "T"}) {
    units[cat(letter, "iB")] = binary *= 1024;
    units[cat(letter, "B")] = decimal *= 1000;
  }
  std::string value = text, unit;
  CLI::detail::rtrim(value);
  while (!value.empty() && std::isalpha(static_cast<unsigned char>(value.back())) != 0) {
    unit.insert(unit.begin(), value.back());
    value.pop_back();
  }
  CLI::detail::rtrim(value);
  double number = 0;
  const bool known = units.contains(unit) && checks::positive()(value).empty() &&
                     CLI::detail::lexical_cast(value, number);
  const double bytes = known ? number * static_cast<double>(units.at(unit)) : 0;
  if (!(bytes >= 1) || bytes > 1e18) checks::refuse("--memory", "a size like 80GiB or 24GB", text);
  return static_cast<std::size_t>(bytes);
}
std::size_t bytes_of_this_machine() {
  return static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
         static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void run(PlanOptions given) {
  const std::size_t available =
      given.memory.empty() ? bytes_of_this_machine() : bytes_of(given.memory);
  train::StepShape& shape = given.shape;
  if (shape.pairs.batch < 0) shape.pairs.batch = 2 * shape.documents.batch;
  shape.precision = given.precision == "fp32" ? Precision::fp32 : Precision::amp_bf16;
  for (const auto dial :
       {models::Recompute::none, models::Recompute::blocks, models::Recompute::layers})
    if (given.recompute == name(dial)) shape.recompute = dial;
  const auto model = shape_of(given);
  const index_t positions = model->lang_encoder->positions();
  const auto need = [&](const char* option, const train::StreamShape& stream) {
    if (stream.batch > 0 && stream.tokens > positions)
      checks::refuse(option,
                     cat("at most ", positions, " tokens, the positions of the language model"),
                     std::to_string(stream.tokens));
  };
  need("--tokens-documents", shape.documents);
  need("--tokens-pairs", shape.pairs);
  const train::MemoryPlan plan = train::memory_plan<float>(*model, shape);
  const bool fits = plan.peak <= available;
  const auto advice = fits ? std::vector<train::MemoryAdvice>()
                           : train::memory_advice<float>(*model, plan, available);
  if (given.json) {
    io::Json out = train::plan_json(plan);
    out.update({{"model", given.model},
                {"world", given.world},
                {"available", available},
                {"fits", fits},
                {"advice", io::Json::array()}});
    for (const auto& a : advice)
      out["advice"].push_back({{"text", a.text}, {"saves", a.saves}, {"peak", a.plan.peak}});
    std::cout << io::print_json(out, 2) << '\n';
    return;
  }
  train::print_plan(std::cout, plan);
  const auto text = nn::detail::size_text;
  std::cout << "\nA rank takes " << text(plan.peak) << " at the peak of a step";
  if (given.world > 1)
    std::cout << ", " << given.world << " ranks "
              << text(static_cast<std::size_t>(given.world) * plan.peak);
  std::cout << "; it has " << text(available) << ": it "
            << (!fits                                   ? "does not fit"
                : plan.peak > available - available / 8 ? "fits barely"
                                                        : "fits")
            << ".\nThat is what tensors take. The process takes an eighth more or so: slack of "
               "blocks, blocks "
               "kept for reuse,\nscratch of kernels, samples held ready.\n";
  if (!fits && advice.empty())
    std::cout << "Nothing that could be turned down would save memory.\n";
  if (!advice.empty()) std::cout << "\nWhat to turn down:\n";
  for (const auto& a : advice) std::cout << "  " << a.text << '\n';
}

}  // namespace

void add_plan(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("plan", "What a training step takes of memory; no weights are read");
  auto given = std::make_shared<PlanOptions>();
  PlanOptions& o = *given;
  o.shape.pairs.batch = -1;
  CLI::App& c = *command;
  c.add_option("--model", o.model,
               "A released model, or how only one of them begins: OpenFlamingo-9B; or a folder "
               "with vision/ and lm/, of which the configurations are read")
      ->required();
  c.add_option("--batch-documents", o.shape.documents.batch, "Documents of a micro-batch")
      ->transform(checks::integer(0, train::most_planned_tokens))
      ->capture_default_str();
  c.add_option("--batch-pairs", o.shape.pairs.batch,
               "Pairs of a micro-batch (default: two for each document)")
      ->transform(checks::integer(0, train::most_planned_tokens));
  c.add_option("--tokens-documents", o.shape.documents.tokens, "Tokens of a document")
      ->transform(checks::integer(1, train::most_planned_tokens))
      ->capture_default_str();
  c.add_option("--tokens-pairs", o.shape.pairs.tokens, "Tokens of a pair")
      ->transform(checks::integer(1, train::most_planned_tokens))
      ->capture_default_str();
  c.add_option("--images", o.shape.documents.images, "Pictures of a document")
      ->transform(checks::integer(0, 1024))
      ->capture_default_str();
  c.add_option("--micro-batches", o.shape.micro_batches, "Micro-batches of a step")
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  c.add_option("--precision", o.precision, "What matrix products are taken in")
      ->check(CLI::IsMember({"fp32", "amp_bf16"}))
      ->capture_default_str();
  c.add_option("--recompute", o.recompute, "What backward computes again instead of keeping it")
      ->check(CLI::IsMember({"none", "blocks", "layers"}))
      ->capture_default_str();
  c.add_flag("--bf16-frozen", o.shape.bf16_frozen, "Frozen matrices are held in bfloat16");
  c.add_flag("--freeze-embeddings", o.freeze_embeddings,
             "Do not train the rows of <image> and <|endofchunk|>");
  c.add_option("--world", o.world, "Ranks, each with batches of that size")
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  c.add_option("--memory", o.memory,
               "What a rank has: 80GiB, 24GB (default: the memory of this machine)");
  c.add_flag("--json", o.json, "For programs, in bytes");
  command->callback([given] { run(*given); });
}

}  // namespace flamingo
