#pragma once
// The five released OpenFlamingo models (arXiv 2308.01390, table 1) as data, and how to build each. Building one
// takes no memory: its parameters are shapes until they are initialised or loaded.

#include <array>

#include "plume/models/flamingo.hpp"
#include "plume/models/gpt_neox.hpp"
#include "plume/models/mpt.hpp"

namespace plume::models {

struct ReleasedModel {
  enum class Language { mpt_1b, redpajama_3b, mpt_7b };

  std::string_view name;            ///< of the hub repository, below openflamingo/
  std::string_view language_model;  ///< hub repository of weights and tokenizer
  Language language;
  index_t every;  ///< a gated block before every k-th layer
};

/// Rows of the token tables after <|endofchunk|>, <image> and <PAD> were added, and their ids.
inline constexpr index_t released_vocabulary = 50280;
inline constexpr std::int64_t released_endofchunk = 50277;
inline constexpr std::int64_t released_image = 50278;
inline constexpr std::int64_t released_pad = 50279;

inline constexpr std::array<ReleasedModel, 5> released_models{{
    {"OpenFlamingo-3B-vitl-mpt1b", "anas-awadalla/mpt-1b-redpajama-200b",
     ReleasedModel::Language::mpt_1b, 1},
    {"OpenFlamingo-3B-vitl-mpt1b-langinstruct", "anas-awadalla/mpt-1b-redpajama-200b-dolly",
     ReleasedModel::Language::mpt_1b, 1},
    {"OpenFlamingo-4B-vitl-rpj3b", "togethercomputer/RedPajama-INCITE-Base-3B-v1",
     ReleasedModel::Language::redpajama_3b, 2},
    {"OpenFlamingo-4B-vitl-rpj3b-langinstruct", "togethercomputer/RedPajama-INCITE-Instruct-3B-v1",
     ReleasedModel::Language::redpajama_3b, 2},
    {"OpenFlamingo-9B-vitl-mpt7b", "anas-awadalla/mpt-7b", ReleasedModel::Language::mpt_7b, 4},
}};

/// The entry of that name, with or without "openflamingo/", or the only one whose name begins so. Throws ValueError
/// listing the names.
inline const ReleasedModel& released_model(std::string_view name) {
  const std::string_view owner = "openflamingo/";
  if (name.substr(0, owner.size()) == owner) name.remove_prefix(owner.size());
  std::string known;
  const ReleasedModel* begins = nullptr;
  int count = 0;
  for (const ReleasedModel& model : released_models) {
    if (model.name == name) return model;
    if (model.name.substr(0, name.size()) == name) {
      begins = &model;
      ++count;
    }
    known += cat(known.empty() ? "" : ", ", model.name);
  }
  if (count == 1) return *begins;
  fail<ValueError>("released_model", cat("one of ", known),
                   count > 1 ? cat(name, ", how ", count, " of them begin") : std::string(name));
}

inline MptSizes mpt_1b_sizes(index_t vocabulary) {
  return {MptSizes::Names::mosaic_gpt, vocabulary, 2048, 24, 16, 4, 8, true};
}
inline MptSizes mpt_7b_sizes(index_t vocabulary) {
  return {MptSizes::Names::mpt, vocabulary, 4096, 32, 32, 4, 8, false};
}
inline GptNeoxSizes redpajama_3b_sizes(index_t vocabulary) {
  return {vocabulary, 2560, 32, 32, 10240, 1, 10000, false, 1e-5};
}

/// The model with ViT-L/14 (OpenAI's, QuickGELU), its parameters still without values.
template <Floating T>
std::unique_ptr<Flamingo<T>> build(const ReleasedModel& model) {
  using Language = ReleasedModel::Language;
  const ClipVisionSizes vision = ClipVisionSizes::vit_l_14(Activation::quick_gelu);
  const index_t V = released_vocabulary;
  const auto language = [&](nn::Module& owner,
                            const char* name) -> std::unique_ptr<TextDecoder<T>> {
    switch (model.language) {
      case Language::mpt_1b:
        return std::make_unique<Mpt<T>>(owner, name, mpt_1b_sizes(V));
      case Language::mpt_7b:
        return std::make_unique<Mpt<T>>(owner, name, mpt_7b_sizes(V));
      case Language::redpajama_3b:
        return std::make_unique<GptNeox<T>>(owner, name, redpajama_3b_sizes(V));
    }
    fail<ValueError>("build", "a known language model", model.language_model);
  };
  const index_t text_width = model.language == Language::mpt_1b   ? 2048
                             : model.language == Language::mpt_7b ? 4096
                                                                  : 2560;
  return std::make_unique<Flamingo<T>>(
      FusionPlan{model.every, released_image},
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<ClipVision<T>>(owner, name, vision);
      },
      [&](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<T>>(
            owner, name, nn::ResamplerSizes{.width = vision.width});
      },
      language, nn::GatedBlockSizes{.text_width = text_width, .visual_width = vision.width});
}

}  // namespace plume::models
