#pragma once
// Sizes of language models from the config.json of a hub, as transformers 4.28 to 5 and MosaicML's own code write it.
//
// What a field means, and what its absence means, is taken from the configuration classes of those libraries. Dropout is
// known and not applied: the language model is frozen, and Plume trains around it without dropout (docs/training.md).

#include <array>
#include <filesystem>

#include "plume/models/config_fields.hpp"
#include "plume/models/gpt_neox.hpp"
#include "plume/models/llama.hpp"
#include "plume/models/mpt.hpp"
#include "plume/models/opt.hpp"

namespace plume::models {

namespace detail {

/// Fields that any config.json may have and that change nothing of a causal model's scores: bookkeeping, token ids (the
/// tokenizer says them), first values, dropout, where and how it once ran.
inline constexpr std::array known_fields{"_attn_implementation",
                                         "_attn_implementation_autoset",
                                         "_commit_hash",
                                         "_name_or_path",
                                         "architectures",
                                         "attention_dropout",
                                         "attn_implementation",
                                         "auto_map",
                                         "begin_suppress_tokens",
                                         "bos_token_id",
                                         "chunk_size_feed_forward",
                                         "classifier_dropout",
                                         "custom_pipelines",
                                         "decoder_start_token_id",
                                         "dtype",
                                         "eos_token_id",
                                         "finetuning_task",
                                         "gradient_checkpointing",
                                         "hidden_dropout",
                                         "id2label",
                                         "init_device",
                                         "init_std",
                                         "initializer_range",
                                         "is_decoder",
                                         "label2id",
                                         "layerdrop",
                                         "max_position_embeddings",
                                         "max_seq_len",
                                         "max_sequence_length",
                                         "model_type",
                                         "num_labels",
                                         "output_attentions",
                                         "output_hidden_states",
                                         "output_scores",
                                         "pad_token_id",
                                         "prefix",
                                         "pretraining_tp",
                                         "problem_type",
                                         "return_dict",
                                         "return_dict_in_generate",
                                         "sep_token_id",
                                         "task_specific_params",
                                         "tf_legacy_loss",
                                         "tokenizer_class",
                                         "torch_dtype",
                                         "torchscript",
                                         "transformers_version",
                                         "use_bfloat16",
                                         "use_cache",
                                         "use_return_dict",
                                         "vocab_size"};

/// How texts are generated, where transformers reads it from a model's config: what it means when it is not said.
inline void only_default_generation(ConfigFields& c) {
  c.only("do_sample", false);
  c.only("num_beam_groups", 1);
  c.only("diversity_penalty", 0.0);
  c.harmless({"temperature", "top_k", "top_p", "typical_p"});  // of sampling
  c.only("repetition_penalty", 1.0);
  c.only("encoder_no_repeat_ngram_size", 0);
  c.only("no_repeat_ngram_size", 0);
  c.only("early_stopping", false);
  c.only("min_length", 0);
  c.only("num_return_sequences", 1);
  c.only("remove_invalid_values", false);
  c.only("renormalize_logits", false);
  for (const char* name : {"bad_words_ids", "forced_bos_token_id", "forced_eos_token_id",
                           "exponential_decay_length_penalty", "suppress_tokens"})
    c.only(name, nullptr);
  c.harmless({"max_length"});  // commands say how long texts may be
}

inline void finish_decoder(ConfigFields& c) {
  c.harmless_all(known_fields);
  // Of generation: what commands have options for, and always say.
  c.harmless({"num_beams", "length_penalty"});
  only_default_generation(c);
  c.only("is_encoder_decoder", false);
  c.only("add_cross_attention", false);
  c.only("tie_encoder_decoder", false);
  c.finish();
}

/// Rotary positions, in the spellings of transformers 4 (`rope_scaling` beside fields of their own) and 5
/// (`rope_parameters`).
struct RotaryFields {
  double base, part, stretch;
};
inline RotaryFields rotary_fields(ConfigFields& c, std::initializer_list<const char*> bases,
                                  std::initializer_list<const char*> parts, double part) {
  auto base = c.any_of<double>(bases);
  auto share = c.any_of<double>(parts);
  double stretch = 1;
  for (const char* object : {"rope_scaling", "rope_parameters"}) {
    if (!c.has(object)) {
      c.harmless({object});
      continue;
    }
    ConfigFields r = c.inside(object);
    const auto type = r.any_of<std::string>({"rope_type", "type"}).value_or("default");
    if (type == "linear") {
      stretch = r.positive("factor", r.require<double>("factor"), 1e6);
    } else {
      r.only(r.has("rope_type") ? "rope_type" : "type", "default");
      r.harmless({"factor"});
    }
    for (const auto& [outer, name] :
         {std::pair(&base, "rope_theta"), std::pair(&share, "partial_rotary_factor")}) {
      const auto found = r.get<double>(name);
      if (found && *outer && **outer != *found)
        fail<FormatError>(c.file(), cat("one value of ", name), cat(**outer, " and ", *found));
      if (found) *outer = found;
    }
    r.finish();
  }
  return {c.positive(*bases.begin(), base.value_or(10000), 1e12),
          c.positive(*parts.begin(), share.value_or(part), 1), stretch};
}

}  // namespace detail

/// transformers' OPTConfig. `rows` is the size of the vocabulary in all of these.
inline OptSizes opt_sizes(ConfigFields& c, index_t rows) {
  c.only("do_layer_norm_before", true);
  c.only("_remove_final_layer_norm", false);
  c.only("activation_function", "relu");
  c.only("enable_bias", true);
  c.only("layer_norm_elementwise_affine", true);
  c.only("tie_word_embeddings", true);
  c.harmless({"dropout", "activation_dropout"});
  const auto width = c.require<index_t>("hidden_size");
  c.only("word_embed_proj_dim", width);
  return {rows,
          width,
          c.layers("num_hidden_layers"),
          c.parts("num_attention_heads", width),
          c.require<index_t>("ffn_dim"),
          c.require<index_t>("max_position_embeddings")};
}

/// transformers' GPTNeoXConfig.
inline GptNeoxSizes gpt_neox_sizes(ConfigFields& c, index_t rows) {
  c.only("hidden_act", "gelu");
  c.only("tie_word_embeddings", false);
  c.only("attention_bias", true);
  const auto width = c.require<index_t>("hidden_size");
  const auto rotary = detail::rotary_fields(c, {"rotary_emb_base", "rope_theta"},
                                            {"rotary_pct", "partial_rotary_factor"}, 0.25);
  return {rows,
          width,
          c.layers("num_hidden_layers"),
          c.parts("num_attention_heads", width),
          c.require<index_t>("intermediate_size"),
          rotary.part,
          rotary.base,
          c.get("use_parallel_residual", true),
          c.positive("layer_norm_eps", c.get("layer_norm_eps", 1e-5), 1),
          rotary.stretch};
}

/// MosaicML's MosaicGPTConfig (MPT-1B), whose fields of attention lie beside the others, its MPTConfig (with `auto_map`),
/// and transformers' MptConfig, which differ in what the absence of a field means.
inline MptSizes mpt_sizes(ConfigFields& c, index_t rows) {
  const bool old = c.require<std::string>("model_type") == "mosaic_gpt";
  const bool native = !old && !c.has("auto_map");
  ConfigFields nested = c.inside("attn_config");
  ConfigFields& a = old ? c : nested;
  a.only("alibi", true, native);
  a.only("prefix_lm", false);
  a.only("attn_uses_sequence_id", false);
  a.only(old ? "attn_clip_qkv" : "clip_qkv", nullptr);
  a.only("attn_type", "multihead_attention");
  a.harmless({"attn_impl", "attn_pdrop"});
  c.only("no_bias", true, native);
  c.only("logit_scale", nullptr);
  c.only("embedding_fraction", 1.0);
  c.only("tie_word_embeddings", true);
  c.only("layer_norm_epsilon", 1e-5);
  if (c.get<std::string>("norm_type") != "layernorm")
    c.only("norm_type", "low_precision_layernorm");
  // With ALiBi there are no learnt positions, whatever this says.
  c.harmless({"learned_pos_emb", "low_precision_layernorm", "emb_pdrop", "resid_pdrop", "verbose"});
  c.harmless({"init_config", "param_init_fn", "emb_init_std", "emb_init_uniform_lim", "fan_mode",
              "init_div_is_residual", "init_gain", "init_nonlinearity"});
  const auto width = c.require<index_t>("d_model");
  MptSizes out{old ? MptSizes::Names::mosaic_gpt : MptSizes::Names::mpt,
               rows,
               width,
               c.layers("n_layers"),
               c.parts("n_heads", width),
               c.get<index_t>(old ? "mlp_ratio" : "expansion_ratio", 4),
               a.positive("alibi_bias_max", a.get("alibi_bias_max", 8.0), 1e6),
               a.get(old ? "attn_qk_ln" : "qk_ln", false),
               a.get<double>("softmax_scale")};
  if (out.softmax_scale) (void)a.positive("softmax_scale", *out.softmax_scale, 1e6);
  nested.finish();
  return out;
}

/// transformers' LlamaConfig, and what the first conversions of LLaMA wrote.
inline LlamaSizes llama_sizes(ConfigFields& c, index_t rows) {
  c.only("hidden_act", "silu");
  c.only("tie_word_embeddings", false);
  c.only("attention_bias", false);
  c.only("mlp_bias", false);
  const auto width = c.require<index_t>("hidden_size");
  const auto heads = c.parts("num_attention_heads", width);
  c.only("num_key_value_heads", heads);
  c.only("head_dim", width / heads);
  const auto rotary = detail::rotary_fields(c, {"rope_theta"}, {"partial_rotary_factor"}, 1);
  if (rotary.part != 1)
    fail<FormatError>(c.file(), "partial_rotary_factor = 1, the only form there is here",
                      rotary.part);
  return {rows,
          width,
          c.layers("num_hidden_layers"),
          heads,
          c.require<index_t>("intermediate_size"),
          rotary.base,
          c.positive("rms_norm_eps", c.get("rms_norm_eps", 1e-6), 1),
          rotary.stretch};
}

/// The language model a Hugging Face config.json describes, with `vocabulary` rows in its tables (0: as many
/// as the config says). Throws FormatError naming `file` and the field that this cannot build.
template <Floating T>
std::unique_ptr<TextDecoder<T>> make_decoder(nn::Module& owner, std::string name,
                                             const std::string& file, const io::Json& config,
                                             index_t vocabulary = 0,
                                             const IgnoredFields& ignored = {}) {
  ConfigFields c(file, config, ignored);
  const auto type = c.require<std::string>("model_type");
  const index_t rows = vocabulary > 0 ? vocabulary : c.require<index_t>("vocab_size");
  const auto make = [&]<class Model>(std::type_identity<Model>, const auto& sizes) {
    detail::finish_decoder(c);
    return std::make_unique<Model>(owner, std::move(name), sizes);
  };
  if (type == "opt") return make(std::type_identity<Opt<T>>{}, opt_sizes(c, rows));
  if (type == "gpt_neox") return make(std::type_identity<GptNeox<T>>{}, gpt_neox_sizes(c, rows));
  if (type == "mosaic_gpt" || type == "mpt")
    return make(std::type_identity<Mpt<T>>{}, mpt_sizes(c, rows));
  if (type == "llama") return make(std::type_identity<Llama<T>>{}, llama_sizes(c, rows));
  fail<FormatError>(file, "model_type opt, gpt_neox, mosaic_gpt, mpt or llama", type);
}

/// The standard deviation of that model's first values, with which new rows of its tables begin.
inline double initial_deviation(const std::string& file, const io::Json& config) {
  ConfigFields c(file, config);
  const auto said = c.get<double>("init_std");
  return c.positive("initializer_range", said.value_or(c.get("initializer_range", 0.02)), 1);
}

/// How many tokens a text of that model may have, prompt and continuation together: what the config says, under one of
/// the names that it has had; LLaMA's first conversions may say nothing, which means 2048.
inline index_t context_length(const std::string& file, const io::Json& config) {
  ConfigFields c(file, config);
  const auto said =
      c.any_of<index_t>({"max_position_embeddings", "max_seq_len", "max_sequence_length"});
  if (said) return *said;
  if (c.get<std::string>("model_type") == "llama") return 2048;
  fail<FormatError>(file, "max_position_embeddings or max_seq_len", "a config without them");
}

/// Throws FormatError where `folder` has a generation_config.json that asks for another way of generating than the one that
/// commands state with their options: transformers would take from it what its caller does not say.
inline void require_default_generation(const std::string& folder,
                                       const IgnoredFields& ignored = {}) {
  const std::string file = folder + "/generation_config.json";
  if (!std::filesystem::exists(file)) return;
  const io::Json json = io::read_json(file);
  ConfigFields c(file, json, ignored);
  // What commands have options for, and always say.
  c.harmless(
      {"num_beams", "length_penalty", "max_new_tokens", "min_new_tokens", "_from_model_config"});
  c.harmless_all(detail::known_fields);
  detail::only_default_generation(c);
  c.finish();
}

}  // namespace plume::models
