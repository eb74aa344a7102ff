// flamingo train: the paper's recipe on shards of pairs and documents; stopped or killed, the same command goes on.

#include <unistd.h>  // isatty

#include <filesystem>
#include <iostream>

#include "commands.hpp"
#include "model_options.hpp"
#include "option_checks.hpp"
#include "pictures.hpp"
#include "plume/data/preflight.hpp"
#include "plume/data/shard_list.hpp"
#include "plume/generate/generate.hpp"
#include "plume/generate/prompt.hpp"
#include "plume/nn/hold_frozen.hpp"
#include "plume/train/report.hpp"
#include "plume/train/torch_checkpoint.hpp"
#include "plume/train/trainer.hpp"
#include "train_memory.hpp"

namespace flamingo {

namespace {

using namespace plume;
namespace fs = std::filesystem;

/// The options of a run, whatever their types, as JSON; what they are is asked when all are parsed.
class Told {
 public:
  /// An option of `command` that belongs to the configuration of a run.
  template <class V>
  CLI::Option* add(CLI::App& command, const std::string& name, V& value, const std::string& help) {
    configuration_.emplace_back(name.substr(2), [&value] { return recorded(value); });
    return command.add_option(name, value, help)->capture_default_str();
  }
  /// One that may be another when the run goes on.
  template <class V>
  CLI::Option* add_free(CLI::App& command, const std::string& name, V& value,
                        const std::string& help) {
    free_.emplace_back(name.substr(2), [&value] { return recorded(value); });
    return command.add_option(name, value, help)->capture_default_str();
  }
  CLI::Option* add_flag(CLI::App& command, const std::string& name, bool& value,
                        const std::string& help) {
    configuration_.emplace_back(name.substr(2), [&value] { return io::Json(value); });
    return command.add_flag(name, value, help);
  }
  [[nodiscard]] io::Json configuration() const { return json(configuration_); }
  [[nodiscard]] io::Json may_change() const { return json(free_); }

 private:
  using List = std::vector<std::pair<std::string, std::function<io::Json()>>>;
  static io::Json json(const List& list) {
    io::Json out = io::Json::object();
    for (const auto& [name, value] : list) out[name] = value();
    return out;
  }
  template <class V>
  static io::Json recorded(const V& value) {
    return value;
  }
  /// Names of files are bytes; as JSON has them they are compared with what is read back.
  static io::Json recorded(const std::string& value) { return io::json_text(value); }
  List configuration_, free_;
};

struct TrainOptions {
  ModelOptions model;
  Told told;
  std::string pairs, documents, sampling = "resampled", schedule = "constant";
  std::string precision = "fp32", recompute = "none";
  data::PairOptions pair;
  data::DocumentOptions document;
  index_t batch_documents = 32, batch_pairs = 0, steps = 0, warmup = 1875;
  train::Recipe recipe;
  train::TrainerOptions trainer;
  std::uint64_t seed = 0;
  std::size_t threads = 2, shuffle = 1000;
  double most_damage = data::LossLimits{}.most_damage;
  bool freeze_embeddings = false, fresh = false, no_flip = false;
  std::string run = "out/run", exported, torch_from, torch_to, prompt = "<image>";
  std::vector<std::string> samples;
};

/// What the run was told, with the model's options.
io::Json configuration_of(const TrainOptions& given) {
  io::Json out = given.told.configuration();
  if (given.schedule != "constant") out["steps"] = given.steps;  // where its curve ends
  if (!given.torch_from.empty()) out["from-torch"] = io::json_text(given.torch_from);
  const ModelOptions& m = given.model;
  if (!m.files.ignored.empty()) out["ignore-config-field"] = m.files.ignored;
  out.update({{"model", io::json_text(m.model)},
              {"vision", io::json_text(m.files.vision)},
              {"clip", m.clip},
              {"gelu", m.gelu},
              {"lm", io::json_text(m.files.language)},
              {"tokenizer", io::json_text(m.tokenizer)},
              {"every", m.every},
              {"from", io::json_text(m.files.checkpoint)}});
  return out;
}

io::Json versions() {
  io::Json out{{"compiler", __VERSION__}};
#ifdef PLUME_VERSION
  out["plume"] = PLUME_VERSION;
#endif
  return out;
}

data::SourceOptions source_of(const TrainOptions& given, const std::string& shards,
                              data::Stream stream) {
  data::SourceOptions out;
  out.shards = data::expand_shards(shards);
  out.sampling =
      given.sampling == "shuffled" ? data::Sampling::shuffled : data::Sampling::resampled;
  out.seed = given.seed;
  out.stream = stream == data::Stream::pairs ? 0 : 1;
  out.shuffle = given.shuffle;
  data::require_preflight(out);
  return out;
}

train::Recipe recipe_of(const TrainOptions& given) {
  train::Recipe out = given.recipe;
  out.schedule = given.schedule == "linear"   ? Schedule::linear(given.warmup, given.steps)
                 : given.schedule == "cosine" ? Schedule::cosine(given.warmup, given.steps)
                                              : Schedule::constant(given.warmup);
  out.precision = given.precision == "fp32" ? Precision::fp32 : Precision::amp_bf16;
  return out;
}

index_t pairs_of_a_batch(const TrainOptions& given) {
  return given.batch_pairs > 0 ? given.batch_pairs : 2 * given.batch_documents;
}

models::Recompute recompute_of(const TrainOptions& given) {
  using models::Recompute;
  for (const Recompute dial : {Recompute::blocks, Recompute::layers})
    if (given.recompute == name(dial)) return dial;
  return Recompute::none;
}

/// One step, as the memory plan wants it told.
train::StepShape step_shape_of(const TrainOptions& given, const train::Recipe& recipe) {
  train::StepShape out;
  if (!given.pairs.empty())
    out.pairs = {pairs_of_a_batch(given), static_cast<index_t>(given.pair.max_tokens), 1};
  if (!given.documents.empty())
    out.documents = {given.batch_documents, static_cast<index_t>(given.document.max_tokens),
                     static_cast<index_t>(given.document.max_images)};
  out.micro_batches = recipe.micro_batches;
  out.precision = recipe.precision;
  out.recompute = recompute_of(given);
  out.bf16_frozen = recipe.precision != Precision::fp32;
  return out;
}

/// Whether tokens attend to pictures other than the last, so that even those without a token matter.
template <class Model>
bool attends_to_all(const Model& model) {
  for (index_t i = 0; i < model.fusion.size(); ++i) {
    if (model.fusion.has(i)) return model.fusion[i].attn.mask != nn::MediaMask::immediate;
  }
  return false;
}

/// What the model says of held-out pictures, in the log and as lines for the terminal.
template <class Trainer>
std::string samples_of(const TrainOptions& given, const text::Tokenizer& words,
                       const models::Flamingo<float>& model, Trainer& trainer) {
  generate::Options options;
  generate::end_with_chunk(options, words);
  const models::TextInput prompt =
      generate::prompt_of(words, text::MarkedText().markup(given.prompt), 1);
  std::string out;
  for (const std::string& picture : given.samples) {
    const auto images = load_pictures<float>({picture}, model.vision_encoder->sizes);
    const auto result = generate::generate(model, images, prompt, options);
    const std::string text = words.decode(result.tokens.at(0), {.skip_special_tokens = true});
    out += picture + ": " + text + "\n";
    trainer.write("sample", {{"image", picture}, {"prompt", given.prompt}, {"text", text}});
  }
  return out;
}

/// Throws ValidationError where options do not go together.
void require_consistent(const TrainOptions& given) {
  if (given.pairs.empty() && given.documents.empty())
    fail<ValueError>("train", "--pairs SHARDS, --documents SHARDS or both", "neither");
  if (given.schedule != "constant" && given.steps < given.warmup)
    checks::refuse("--steps",
                   cat("at least the ", given.warmup, " steps of --warmup, as --schedule ",
                       given.schedule, " ends at --steps"),
                   std::to_string(given.steps));
  const bool weighs = (!given.pairs.empty() && given.trainer.pairs.weight > 0) ||
                      (!given.documents.empty() && given.trainer.documents.weight > 0);
  if (!weighs)
    checks::refuse("--pairs-weight, --documents-weight",
                   "a weight above 0 of a stream that is read", "0");
  if (!given.samples.empty()) {
    const std::string image = "<image>";
    const std::size_t first = given.prompt.find(image);
    if (first == std::string::npos || given.prompt.find(image, first + 1) != std::string::npos)
      checks::refuse("--sample-prompt", "a text with one <image>", given.prompt);
  }
  if (!given.exported.empty() && given.exported == given.torch_to)
    checks::refuse("--export-torch", "another file than that of --export", given.torch_to);
}

/// Throws ValidationError where samples, or the prompt of --sample, can be longer than what the language model reads.
void require_room(const TrainOptions& given, const models::Flamingo<float>& shape,
                  const text::Tokenizer& words) {
  const index_t positions = shape.lang_encoder->positions();
  const auto need = [&](const char* option, std::size_t tokens) {
    if (static_cast<index_t>(tokens) > positions)
      checks::refuse(option,
                     cat("at most ", positions, " tokens, the positions of the language model"),
                     std::to_string(tokens));
  };
  if (!given.pairs.empty()) need("--tokens-pairs", given.pair.max_tokens);
  if (!given.documents.empty()) need("--tokens-documents", given.document.max_tokens);
  if (!given.samples.empty()) need("--sample-prompt", words.encode(given.prompt).size());
}

void run(const TrainOptions& given) {
  require_consistent(given);
  const train::Recipe recipe = recipe_of(given);
  std::optional<data::SourceOptions> pairs, documents;
  if (!given.pairs.empty()) pairs = source_of(given, given.pairs, data::Stream::pairs);
  if (!given.documents.empty())
    documents = source_of(given, given.documents, data::Stream::documents);

  if (!given.fresh) train::require_same_run(given.run, configuration_of(given));

  const ModelOptions::Parts parts =
      given.model.parts(Beginning{given.seed, given.freeze_embeddings});
  const text::Tokenizer& words = parts.words;
  {
    const auto shape = parts.shape();
    require_room(given, *shape, words);
    tell_memory(std::cerr, *shape, step_shape_of(given, recipe));
    for (const std::string& picture : given.samples)  // whether it is one
      (void)load_pictures<float>({picture}, shape->vision_encoder->sizes);
  }
  const auto model =
      models::open_flamingo<float>(parts.files, parts.sizes, ModelOptions::tell_adapted);
  model->plan.recompute = recompute_of(given);
  if (given.precision == "amp_bf16") (void)nn::hold_frozen_in_bf16(*model);
  train::TrainerOptions options = given.trainer;
  options.configuration = configuration_of(given);
  const train::RunFolder folder(given.run, options.configuration, given.told.may_change(),
                                versions(), given.fresh);
  options.run = folder.path();
  options.steps = given.steps;
  options.specials = data::Specials::of(words);
  options.every_slot = attends_to_all(*model);
  options.documents.batch = given.batch_documents;
  options.documents.slots = static_cast<index_t>(given.document.max_images);
  options.pairs.batch = pairs_of_a_batch(given);

  data::LoaderOptions loading{.threads = given.threads,
                              .image_size = model->vision_encoder->sizes.image,
                              .normalization = model->vision_encoder->sizes.normalization};
  loading.flip = !given.no_flip;
  loading.limits.most_damage = given.most_damage;
  std::optional<data::Loader> pair_loader, document_loader;
  if (pairs) pair_loader.emplace(*pairs, data::pair_maker(words, given.pair), loading);
  if (documents)
    document_loader.emplace(*documents, data::document_maker(words, given.document), loading);
  options.pairs.loader = pair_loader ? &*pair_loader : nullptr;
  options.documents.loader = document_loader ? &*document_loader : nullptr;
  train::Progress progress(std::cerr, isatty(STDERR_FILENO) != 0);
  options.progress = &progress;

  train::Trainer<float> trainer(*model, recipe, options);
  const bool resumed = trainer.resume();
  if (!resumed && !given.torch_from.empty()) {
    const train::TorchRun from = train::import_torch(given.torch_from, *model, trainer.stepper());
    for (const std::string& what : from.differences)
      progress.say(cat(given.torch_from, ": ", what));
    progress.say(cat(given.torch_from, ": from step ", from.step, ", epoch ", from.epoch));
  }
  index_t trained = 0;
  for (const auto* p : nn::trainable_parameters<float>(*model)) trained += p->shape().numel();
  std::cerr << given.run << ": "
            << (resumed ? cat("goes on after step ", trainer.stepper().step(), " of ")
                        : std::string("begins, "))
            << given.steps << " steps; " << trained << " of " << nn::parameter_count(*model)
            << " parameters train\n";
  {
    const train::Interrupt interrupt;
    const train::End end = trainer.run();
    if (end == train::End::skipped) {
      train::write_report(given.run);
      std::cerr << "flamingo: [train] expected a last step that is finite, got one that was "
                   "skipped; checkpoint.pt is not written\n";
      exit_code = command_line::status::skipped;
      return;
    }
    if (end == train::End::interrupted) {
      progress.say(cat("stopped after step ", trainer.stepper().step(), " of ", given.steps,
                       ", saved in ", given.run, "; the same command goes on from there"));
      train::write_report(given.run);
      exit_code = command_line::status::interrupted;
      return;
    }
  }
  const std::string checkpoint = given.run + "/checkpoint.pt";
  models::save_checkpoint<float>(*model, checkpoint);
  if (!given.exported.empty()) models::save_checkpoint<float>(*model, given.exported);
  if (!given.torch_to.empty())
    train::export_torch<float>(*model, trainer.stepper(), given.torch_to);
  const std::string samples = samples_of(given, words, *model, trainer);
  train::write_report(given.run);
  progress.say(cat(given.steps, " steps taken: ", checkpoint, ", ", given.run, "/report.html"));
  std::cout << samples << std::flush;  // last of all: where that fails, nothing else is lost
}

}  // namespace

void add_train(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "train", "Train the resampler, the gated blocks and two embeddings; go on where it stopped");
  auto given = std::make_shared<TrainOptions>();
  TrainOptions& o = *given;
  Told& told = o.told;
  CLI::App& c = *command;
  o.model.add_to(c, "--from");
  told.add(c, "--pairs", o.pairs, "Shards of pictures with captions: {000..099}.tar, *, ::");
  told.add(c, "--documents", o.documents, "Shards of interleaved documents (MMC4's json)");
  told.add_free(c, "--steps", o.steps, "Steps of the whole run")
      ->required()
      ->transform(checks::integer(1));
  told.add(c, "--batch-documents", o.batch_documents, "Documents of a micro-batch")
      ->transform(checks::integer(1, train::most_planned_tokens));
  told.add(c, "--batch-pairs", o.batch_pairs, "Pairs of a micro-batch; 0: two for each document")
      ->transform(checks::integer(0, train::most_planned_tokens));
  told.add(c, "--micro-batches", o.recipe.micro_batches, "Micro-batches of a step")
      ->transform(checks::integer(1, 1 << 20));
  told.add(c, "--tokens-pairs", o.pair.max_tokens, "Most tokens of a pair")
      ->transform(checks::integer(2, train::most_planned_tokens));
  told.add(c, "--tokens-documents", o.document.max_tokens, "Most tokens of a document")
      ->transform(checks::integer(2, train::most_planned_tokens));
  told.add(c, "--max-images", o.document.max_images, "Most pictures of a document")
      ->transform(checks::integer(1, 1024));
  told.add(c, "--similarity-threshold", o.document.similarity_threshold,
           "Least similarity of a picture and its sentence")
      ->transform(checks::finite());
  told.add_flag(c, "--reference-bugs", o.document.reference_bugs,
                "Order the pictures of documents as the reference does, which may mix them up");
  told.add(c, "--pairs-weight", o.trainer.pairs.weight, "Of the loss of pairs")
      ->transform(checks::non_negative());
  told.add(c, "--documents-weight", o.trainer.documents.weight, "Of the loss of documents")
      ->transform(checks::non_negative());
  told.add(c, "--lr", o.recipe.learning_rate, "Learning rate after the warm-up")
      ->transform(checks::non_negative());
  told.add(c, "--warmup", o.warmup, "Steps over which it rises from 0")
      ->transform(checks::integer(0));
  told.add(c, "--schedule", o.schedule, "After the warm-up; linear and cosine end at --steps")
      ->check(CLI::IsMember({"constant", "linear", "cosine"}));
  told.add(c, "--weight-decay", o.recipe.weight_decay, "Of the gated blocks")
      ->transform(checks::non_negative());
  told.add(c, "--clip-norm", o.recipe.clip, "Largest norm of the gradient")
      ->transform(checks::positive());
  told.add_flag(c, "--freeze-embeddings", o.freeze_embeddings,
                "Do not train the rows of <image> and <|endofchunk|>");
  told.add_flag(c, "--no-flip", o.no_flip,
                "Do not mirror half of the pictures: for data where left and right are told apart");
  told.add(c, "--seed", o.seed, "Of what is initialised and of the order of samples")
      ->transform(checks::integer(0, checks::any_seed));
  told.add(c, "--sampling", o.sampling, "Shards with replacement, or all once an epoch")
      ->check(CLI::IsMember({"resampled", "shuffled"}));
  told.add(c, "--shuffle", o.shuffle, "Samples that are shuffled together; 1: none")
      ->transform(checks::integer(1, 100'000'000));
  told.add(c, "--max-damage", o.most_damage, "Share of damaged records that stops the run")
      ->transform(checks::between_0_and_1());
  told.add_free(c, "--max-skipped", o.trainer.most_skipped,
                "Steps in a row without a finite loss that stop the run")
      ->transform(checks::integer(1));
  told.add(c, "--precision", o.precision,
           "What matrix products are taken in; amp_bf16 holds frozen matrices in bfloat16, too")
      ->check(CLI::IsMember({"fp32", "amp_bf16"}));
  told.add_free(c, "--recompute", o.recompute, "What backward computes again instead of keeping it")
      ->check(CLI::IsMember({"none", "blocks", "layers"}));
  told.add_free(c, "--threads", o.threads, "Threads that make the samples of each stream")
      ->transform(checks::integer(0, 1024));
  told.add_free(c, "--save-every", o.trainer.save_every, "Steps between checkpoints")
      ->transform(checks::integer(1));
  told.add_free(c, "--keep", o.trainer.keep, "Checkpoints that are kept")
      ->transform(checks::integer(1));
  told.add_free(c, "--log-every", o.trainer.log_every, "Steps between two looks at the gates")
      ->transform(checks::integer(1));
  c.add_option("--run", o.run, "Folder of the run; one that is there goes on")
      ->check(checks::writable_folder())
      ->capture_default_str();
  c.add_flag("--fresh", o.fresh, "Remove the run of that folder first");
  told.add_free(c, "--export", o.exported, "Where else checkpoint.pt is written at the end")
      ->check(checks::writable_file());
  c.add_option("--from-torch", o.torch_from,
               "A training checkpoint of PyTorch, of which the run takes weights, moments and step")
      ->check(checks::readable_file())
      ->excludes("--from");
  told.add_free(c, "--export-torch", o.torch_to, "Where such a checkpoint is written at the end")
      ->check(checks::writable_file());
  told.add_free(c, "--sample", o.samples, "Pictures that are described at the end")
      ->check(checks::readable_file());
  told.add_free(c, "--sample-prompt", o.prompt, "What is continued for each");
  app.set_config("--config", "", "Options from a file: [train], then lines like lr = 1e-4")
      ->check(checks::readable_file());
  app.allow_config_extras(CLI::config_extras_mode::error);
  command->fallthrough();
  command->callback([given] { run(*given); });
}

}  // namespace flamingo
