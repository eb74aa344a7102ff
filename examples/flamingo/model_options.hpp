#pragma once
// The options by which a command is told which model to open.

#include <CLI/CLI.hpp>
#include <filesystem>
#include <iostream>

#include "option_checks.hpp"
#include "plume/models/open.hpp"
#include "plume/models/released.hpp"
#include "plume/text/tokenizer.hpp"

namespace flamingo {

/// How a model is opened that is about to be trained.
struct Beginning {
  std::uint64_t seed = 0;          ///< of what trains, where there is no checkpoint
  bool freeze_embeddings = false;  ///< of <image> and <|endofchunk|>, whatever flamingo.json says
};

struct ModelOptions {
  plume::models::FlamingoFiles files;
  std::string model, tokenizer, clip;
  plume::index_t every = 1;
  bool gelu = false;

  /// `checkpoint` is the name of the option that says where the trainable part lies.
  void add_to(CLI::App& command, const std::string& checkpoint = "--checkpoint") {
    command.add_option(
        "--vision", files.vision,
        "Vision encoder: a folder with open_clip_config.json, or a weight file and --clip");
    command
        .add_option("--clip", clip,
                    "Shape of the vision encoder where no open_clip_config.json says it")
        ->check(CLI::IsMember({"ViT-B-32", "ViT-B-16", "ViT-L-14", "ViT-L-14-336", "ViT-H-14"}));
    command.add_flag("--gelu", gelu,
                     "With --clip: exact GELU (LAION's weights) in place of QuickGELU (OpenAI's)");
    command.add_option("--lm", files.language, "Language model: a Hugging Face folder");
    command.add_option("--tokenizer", tokenizer, "Tokenizer folder (default: that of --lm)");
    command.add_option(checkpoint, files.checkpoint,
                       "The trainable part: checkpoint.pt (default: that of --model)");
    command
        .add_option("--ignore-config-field", files.ignored,
                    "Go on although a model's config has this field, which Plume would refuse; "
                    "the model may then compute something else")
        ->allow_extra_args(false);
    command.add_option("--every", every, "A gated block before every k-th layer")
        ->transform(checks::integer(1))
        ->capture_default_str();
    command.add_option("--model", model,
                       "A folder with vision/, lm/, tokenizer/, checkpoint.pt and the sizes in "
                       "flamingo.json or case.json; or a released model, which sets --every and "
                       "--clip: OpenFlamingo-9B-vitl-mpt7b, ...");
  }

  /// What a model is opened from.
  struct Parts {
    plume::text::Tokenizer words;
    plume::models::FlamingoFiles files;
    plume::models::FlamingoSizes sizes;

    /// Without values; no weights are read.
    [[nodiscard]] std::unique_ptr<plume::models::Flamingo<float>> shape() const {
      auto out = plume::models::shape_flamingo<float>(files, sizes);
      if (sizes.train_embeddings)
        out->lang_encoder->tokens().train_rows({sizes.image_token, sizes.endofchunk_token});
      return out;
    }
  };

  /// A folder without a checkpoint.pt is refused when it is opened, unless it is to be trained: then what trains is
  /// initialised.
  [[nodiscard]] Parts parts(const std::optional<Beginning>& training = {}) const {
    namespace models = plume::models;
    if (!std::filesystem::is_directory(model)) {
      if (!model.empty()) (void)plume::models::released_model(model);
      require("--vision (or --model FOLDER)", files.vision);
      require("--lm", files.language);
      plume::text::Tokenizer words =
          plume::text::Tokenizer::load(tokenizer.empty() ? files.language : tokenizer);
      models::FlamingoSizes said = begun(sizes(words), training);
      return {std::move(words), files, said};
    }
    for (const char* name : {"/flamingo.json", "/case.json"}) {
      const std::string file = model + name;
      if (!std::filesystem::exists(file)) continue;
      models::FlamingoFiles below = models::files_below(model);
      below.ignored = files.ignored;
      if (training && !std::filesystem::exists(below.checkpoint)) below.checkpoint.clear();
      if (!files.checkpoint.empty()) below.checkpoint = files.checkpoint;
      const auto said = models::flamingo_sizes(file, plume::io::read_json(file));
      return {plume::text::Tokenizer::load(model + "/tokenizer"), below, begun(said, training)};
    }
    plume::fail<plume::FormatError>(model, "the sizes of the model in flamingo.json",
                                    "no such file");
  }

  /// The tokenizer, and the model it belongs to.
  template <plume::Floating T>
  std::pair<plume::text::Tokenizer, std::unique_ptr<plume::models::Flamingo<T>>> open(
      const std::optional<Beginning>& training = {}) const {
    Parts from = parts(training);
    if (!training)
      plume::models::require_default_generation(from.files.language, from.files.ignored);
    auto built = plume::models::open_flamingo<T>(from.files, from.sizes, tell_adapted);
    return {std::move(from.words), std::move(built)};
  }

  /// What a weight file had otherwise than the model.
  static void tell_adapted(const std::string& line) { std::cerr << line << "\n"; }

 private:
  static plume::models::FlamingoSizes begun(plume::models::FlamingoSizes sizes,
                                            const std::optional<Beginning>& training) {
    if (training) {
      sizes.seed = training->seed;
      if (training->freeze_embeddings) sizes.train_embeddings = false;
    }
    return sizes;
  }
  static void require(const char* option, const std::string& value) {
    if (value.empty()) plume::fail<plume::ValueError>("flamingo", option, "no such option");
  }
  /// Sizes the files do not say.
  [[nodiscard]] plume::models::FlamingoSizes sizes(const plume::text::Tokenizer& words) const {
    using plume::models::Activation;
    using plume::models::ClipVisionSizes;
    plume::models::FlamingoSizes s;
    s.every = every;
    std::string shape = clip;
    if (!model.empty()) {
      s.every = plume::models::released_model(model).every;
      shape = "ViT-L-14";
    }
    s.vocabulary = words.size();
    s.image_token = words.image().value();
    s.endofchunk_token = words.end_of_chunk().value();
    const Activation activation = gelu ? Activation::gelu : Activation::quick_gelu;
    if (shape == "ViT-B-32") s.vision = ClipVisionSizes::vit_b_32(activation);
    if (shape == "ViT-B-16") s.vision = ClipVisionSizes::vit_b_16(activation);
    if (shape == "ViT-L-14") s.vision = ClipVisionSizes::vit_l_14(activation);
    if (shape == "ViT-L-14-336") s.vision = ClipVisionSizes::vit_l_14_336(activation);
    if (shape == "ViT-H-14") s.vision = ClipVisionSizes::vit_h_14(activation);
    return s;
  }
};

}  // namespace flamingo
