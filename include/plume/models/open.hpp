#pragma once
// open_flamingo: a Flamingo from its files: a vision encoder, a language model, the trainable part.

#include <cmath>

#include "plume/models/checkpoint.hpp"
#include "plume/models/config.hpp"

namespace plume::models {

/// Where the weights of a Flamingo lie.
struct FlamingoFiles {
  std::string vision;    ///< a folder with open_clip_config.json and weights, or a weight file
  std::string language;  ///< a Hugging Face folder: config.json and weights
  std::string
      checkpoint;  ///< the trainable part (checkpoint.pt); empty: as initialised from `seed`
  IgnoredFields ignored{};  ///< fields of the configs that are passed over whatever they say
};

/// What the files do not say. The defaults are those of the released models.
struct FlamingoSizes {
  index_t every = 1;                        ///< a gated block before every k-th layer
  index_t vocabulary = 0;                   ///< rows of the token tables, added tokens included
  std::int64_t image_token = -1;            ///< id of <image>
  std::int64_t endofchunk_token = -1;       ///< id of <|endofchunk|>
  bool train_embeddings = true;             ///< of the two tokens above
  std::optional<ClipVisionSizes> vision{};  ///< where there is no open_clip_config.json
  nn::ResamplerSizes resampler{};           ///< `width` is taken from the vision encoder
  nn::GatedBlockSizes gated_block{};        ///< the widths are taken from the two models
  std::uint64_t seed = 0;
};

/// A folder that holds all of a model: vision/, lm/, checkpoint.pt (and tokenizer/).
inline FlamingoFiles files_below(const std::string& folder) {
  return {folder + "/vision", folder + "/lm", folder + "/checkpoint.pt", {}};
}

/// Sizes as JSON gives them, under these names:
///
///   {"cross_attn_every_n_layers": 1, "vocabulary": 50280, "image_token": 50278, "endofchunk_token": 50277,
///    "freeze_lm_embeddings": false,
///    "resampler": {"depth": 6, "num_latents": 64, "heads": 8, "dim_head": 64, "ff_mult": 4},
///    "gated_block": {"heads": 8, "dim_head": 64, "ff_mult": 4, "only_attend_immediate_media": true}}
///
/// Throws FormatError naming `file` and what is missing, or known to nobody.
inline FlamingoSizes flamingo_sizes(const std::string& file, const io::Json& json) {
  ConfigFields c(file, json);
  ConfigFields r = c.inside("resampler");
  ConfigFields g = c.inside("gated_block");
  const auto token = [&](const char* name) {
    const auto id = c.require<double>(name);
    if (!(id >= 0 && id < 1e9 && id == std::floor(id)))
      fail<FormatError>(file, cat("the id of a token as ", name), id);
    return static_cast<std::int64_t>(id);
  };
  FlamingoSizes s;
  s.every = c.require<index_t>("cross_attn_every_n_layers");
  s.vocabulary = c.require<index_t>("vocabulary");
  s.image_token = token("image_token");
  s.endofchunk_token = token("endofchunk_token");
  s.train_embeddings = !c.require<bool>("freeze_lm_embeddings");
  s.resampler.depth = r.layers("depth");
  s.resampler.latents = r.require<index_t>("num_latents");
  s.resampler.heads = {r.require<index_t>("heads"), r.require<index_t>("dim_head")};
  s.resampler.multiple = r.require<index_t>("ff_mult");
  s.gated_block.heads = {g.require<index_t>("heads"), g.require<index_t>("dim_head")};
  s.gated_block.multiple = g.require<index_t>("ff_mult");
  s.gated_block.mask = g.require<bool>("only_attend_immediate_media") ? nn::MediaMask::immediate
                                                                      : nn::MediaMask::all_previous;
  r.finish();
  g.finish();
  // A golden case has all that it holds in one file.
  if (!file.ends_with("case.json")) c.finish();
  return s;
}

/// The model as its configurations say, without values: no weights are read. Of its embeddings nothing trains yet.
/// Throws FormatError naming the file and what is wrong with it.
template <Floating T>
std::unique_ptr<Flamingo<T>> shape_flamingo(const FlamingoFiles& files,
                                            const FlamingoSizes& sizes) {
  const std::string language_config = files.language + "/config.json";
  const std::string vision_config = files.vision + "/open_clip_config.json";
  const io::Json lm = io::read_json(language_config);
  const ClipVisionSizes vision =
      sizes.vision ? *sizes.vision
                   : clip_vision_sizes(vision_config, io::read_json(vision_config), files.ignored);
  nn::ResamplerSizes resampler = sizes.resampler;
  resampler.width = vision.width;
  nn::GatedBlockSizes block = sizes.gated_block;
  block.visual_width = vision.width;
  block.text_width =
      ConfigFields(language_config, lm).any_of<index_t>({"d_model", "hidden_size"}).value_or(0);
  return std::make_unique<Flamingo<T>>(
      FusionPlan{sizes.every, sizes.image_token},
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<ClipVision<T>>(owner, name, vision);
      },
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<T>>(owner, name, resampler);
      },
      [&](nn::Module& owner, const char* name) {
        return make_decoder<T>(owner, name, language_config, lm, sizes.vocabulary, files.ignored);
      },
      block);
}

/// What was adapted in a file on the way into the model, a line each; `inside` are the tables that another file
/// filled afterwards.
inline std::vector<std::string> adaptations(const LoadReport& report,
                                            const LoadReport& inside = {}) {
  std::vector<std::string> out;
  for (const std::string& line : report.adapted) out.push_back(cat(report.file, ": ", line));
  for (const GrownTable& table : report.grown) {
    const std::string name = "lang_encoder." + table.name;
    if (std::find(inside.loaded.begin(), inside.loaded.end(), name) != inside.loaded.end())
      out.push_back(cat(inside.file, ": has the new rows of ", table.name));
  }
  return out;
}

/// Builds the model and fills it; tells `say` a line of what was adapted: wrappers taken off, token tables that grew or
/// were cut. Throws FormatError naming the file and what is wrong with it.
template <Floating T>
std::unique_ptr<Flamingo<T>> open_flamingo(
    const FlamingoFiles& files, const FlamingoSizes& sizes,
    const std::function<void(const std::string& line)>& say = {}) {
  auto model = shape_flamingo<T>(files, sizes);
  const LoadReport vision = load_vision<T>(*model->vision_encoder, io::read_weights(files.vision));
  const std::string config = files.language + "/config.json";
  const double deviation = initial_deviation(config, io::read_json(config));
  const LoadReport language = load_decoder<T>(
      *model->lang_encoder, io::read_weights(files.language), sizes.seed, deviation);
  LoadReport trained;
  if (files.checkpoint.empty()) {
    initialize(*model->perceiver, sizes.seed);
    initialize(model->fusion, sizes.seed + 1);
  } else {
    trained = load_checkpoint<T>(*model, io::read_weights(files.checkpoint));
  }
  if (say) {
    for (const auto& lines :
         {adaptations(vision), adaptations(language, trained), adaptations(trained)}) {
      for (const std::string& line : lines) say(line);
    }
  }
  if (sizes.train_embeddings)
    model->lang_encoder->tokens().train_rows({sizes.image_token, sizes.endofchunk_token});
  return model;
}

}  // namespace plume::models
