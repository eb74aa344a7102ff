#pragma once
// Language models and vision encoders from the config files of hubs: the architecture is what the file says,
// and what this cannot build is refused by the name of the field.

#include "plume/io/json.hpp"
#include "plume/models/clip_vision.hpp"
#include "plume/models/gpt_neox.hpp"
#include "plume/models/llama.hpp"
#include "plume/models/load.hpp"
#include "plume/models/mpt.hpp"
#include "plume/models/opt.hpp"

namespace plume::models {

namespace detail {

/// Layers and sizes beyond these are a broken file, and building them would take for ever.
inline constexpr index_t most_layers = 1000;
inline constexpr index_t most_size = index_t{1} << 28;

/// A field of a config, or `otherwise` where it is missing. Throws FormatError where it has another type; an
/// index_t is a size, 1 at least.
template <class V>
V field(const std::string& file, const io::Json& config, const char* name, V otherwise) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null()) return otherwise;
  if constexpr (std::is_same_v<V, index_t>) {
    if (!found->is_number_integer() || *found < 1 || *found > most_size)
      fail<FormatError>(file, cat("an integer from 1 to ", most_size, " as ", name), found->dump());
  }
  try {
    return found->get<V>();
  } catch (const io::Json::exception&) {
    fail<FormatError>(file, cat("a value of the right type for ", name), found->dump());
  }
}
template <class V>
V required(const std::string& file, const io::Json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end() || found->is_null())
    fail<FormatError>(file, cat("the field ", name), "a config without it");
  return field<V>(file, config, name, V{});
}
/// The number of layers.
inline index_t layers(const std::string& file, const io::Json& config, const char* name) {
  const auto n = required<index_t>(file, config, name);
  if (n > most_layers) fail<FormatError>(file, cat(name, " of at most ", most_layers), n);
  return n;
}
/// A number of equal parts of `whole`: heads of a width.
inline index_t parts(const std::string& file, const io::Json& config, const char* name,
                     index_t whole) {
  const auto n = required<index_t>(file, config, name);
  if (whole % n != 0) fail<FormatError>(file, cat(name, " that divides ", whole), n);
  return n;
}
/// A number in (0, most].
inline double positive(const std::string& file, const io::Json& config, const char* name,
                       double otherwise, double most) {
  const auto x = field<double>(file, config, name, otherwise);
  if (!(x > 0 && x <= most)) fail<FormatError>(file, cat(name, " in (0, ", most, "]"), x);
  return x;
}
inline void require_field(const std::string& file, const io::Json& config, const char* name,
                          const io::Json& value) {
  const auto found = config.find(name);
  if (found != config.end() && !found->is_null() && *found != value) {
    fail<FormatError>(file,
                      cat(name, " = ", io::print_json(value), ", the only form there is here"),
                      found->dump());
  }
}

}  // namespace detail

/// The language model a Hugging Face config.json describes, with `vocabulary` rows in its tables (0: as many
/// as the config says).
template <Floating T>
std::unique_ptr<TextDecoder<T>> make_decoder(nn::Module& owner, std::string name,
                                             const std::string& file, const io::Json& c,
                                             index_t vocabulary = 0) {
  using detail::field;
  using detail::require_field;
  using detail::required;
  const auto type = required<std::string>(file, c, "model_type");
  const index_t rows = vocabulary > 0 ? vocabulary : required<index_t>(file, c, "vocab_size");
  if (type == "opt") {
    require_field(file, c, "do_layer_norm_before", true);
    require_field(file, c, "activation_function", "relu");
    const auto width = required<index_t>(file, c, "hidden_size");
    require_field(file, c, "word_embed_proj_dim", width);
    return std::make_unique<Opt<T>>(
        owner, std::move(name),
        OptSizes{rows, width, detail::layers(file, c, "num_hidden_layers"),
                 detail::parts(file, c, "num_attention_heads", width),
                 required<index_t>(file, c, "ffn_dim"),
                 required<index_t>(file, c, "max_position_embeddings")});
  }
  if (type == "gpt_neox") {
    require_field(file, c, "hidden_act", "gelu");
    require_field(file, c, "tie_word_embeddings", false);
    const auto width = required<index_t>(file, c, "hidden_size");
    return std::make_unique<GptNeox<T>>(
        owner, std::move(name),
        GptNeoxSizes{rows, width, detail::layers(file, c, "num_hidden_layers"),
                     detail::parts(file, c, "num_attention_heads", width),
                     required<index_t>(file, c, "intermediate_size"),
                     detail::positive(file, c, "rotary_pct", 0.25, 1),
                     field(file, c, "rotary_emb_base", 10000.0),
                     field(file, c, "use_parallel_residual", true),
                     field(file, c, "layer_norm_eps", 1e-5)});
  }
  if (type == "mosaic_gpt" || type == "mpt") {
    const bool old = type == "mosaic_gpt";
    const io::Json attention = old ? c : c.value("attn_config", io::Json::object());
    require_field(file, attention, "alibi", true);
    require_field(file, c, "no_bias", true);
    require_field(file, attention, old ? "attn_clip_qkv" : "clip_qkv", nullptr);
    require_field(file, attention, "prefix_lm", false);
    const auto width = required<index_t>(file, c, "d_model");
    return std::make_unique<Mpt<T>>(
        owner, std::move(name),
        MptSizes{old ? MptSizes::Names::mosaic_gpt : MptSizes::Names::mpt, rows, width,
                 detail::layers(file, c, "n_layers"), detail::parts(file, c, "n_heads", width),
                 field<index_t>(file, c, old ? "mlp_ratio" : "expansion_ratio", 4),
                 field(file, attention, "alibi_bias_max", 8.0),
                 field(file, attention, old ? "attn_qk_ln" : "qk_ln", false)});
  }
  if (type == "llama") {
    require_field(file, c, "hidden_act", "silu");
    require_field(file, c, "rope_scaling", nullptr);
    const auto width = required<index_t>(file, c, "hidden_size");
    const auto heads = detail::parts(file, c, "num_attention_heads", width);
    require_field(file, c, "num_key_value_heads", heads);
    return std::make_unique<Llama<T>>(
        owner, std::move(name),
        LlamaSizes{rows, width, detail::layers(file, c, "num_hidden_layers"), heads,
                   required<index_t>(file, c, "intermediate_size"),
                   field(file, c, "rope_theta", 10000.0), field(file, c, "rms_norm_eps", 1e-6)});
  }
  fail<FormatError>(file, "model_type opt, gpt_neox, mosaic_gpt, mpt or llama", type);
}

/// The vision encoder of an open_clip config. The activation is the config's quick_gelu unless given.
inline ClipVisionSizes clip_vision_sizes(const std::string& file, const io::Json& c) {
  using detail::field;
  using detail::required;
  if (!c.contains("vision_cfg"))
    fail<FormatError>(file, "the field vision_cfg", "a config without it");
  const io::Json& v = c["vision_cfg"];
  detail::require_field(file, v, "timm_model_name", nullptr);
  const auto image = required<index_t>(file, v, "image_size");
  const auto patch = required<index_t>(file, v, "patch_size");
  const auto width = required<index_t>(file, v, "width");
  const auto head_width = field<index_t>(file, v, "head_width", 64);
  if (patch > image) fail<FormatError>(file, cat("patch_size of at most ", image), patch);
  if (width % head_width != 0)
    fail<FormatError>(file, cat("head_width that divides ", width), head_width);
  return {image,
          patch,
          width,
          detail::layers(file, v, "layers"),
          head_width,
          required<index_t>(file, c, "embed_dim"),
          detail::positive(file, v, "mlp_ratio", 4, 1000),
          field(file, c, "quick_gelu", false) ? Activation::quick_gelu : Activation::gelu};
}

/// Fills a decoder from the files of its family: known buffers and the copies of tied matrices are left aside,
/// prefixes that older files lack are understood. Token tables get as many rows as the model has: padding is cut, and
/// rows that the file lacks are drawn from `seed`, normal with `deviation`.
template <Floating T>
LoadReport load_decoder(TextDecoder<T>& decoder, const io::StateDict& file, std::uint64_t seed = 0,
                        double deviation = 0.02) {
  const auto ends = [](const std::string& text, std::string_view end) {
    return text.ends_with(end);
  };
  const std::string path = decoder.layer_path();
  const io::StateDict clean = unwrapped(file);
  const io::StateDict state =
      without_prefix(clean, prefix_before(clean, path + ".0.").value_or(""));
  // The prefix under which this file stores its first layer.
  std::string cut = path;
  while (!cut.empty()) {
    bool found = false;
    for (const auto& [name, tensor] : state) found = found || name.rfind(cut + ".0.", 0) == 0;
    if (found) break;
    const std::size_t dot = cut.find('.');
    cut = dot == std::string::npos ? std::string{} : cut.substr(dot + 1);
  }
  const std::size_t dropped = path.size() - cut.size();
  LoadOptions options;
  options.name_of = [&, dropped](const std::string& key) {
    return path.compare(0, dropped, key, 0, dropped) == 0 ? key.substr(dropped) : key;
  };
  options.may_be_absent = [&](const std::string& key) { return ends(key, ".trainable_rows"); };
  options.seed = seed;
  options.deviation = deviation;
  options.may_have_other_rows = [&](const std::string& key) {
    return ends(key, "embed_tokens.weight") || ends(key, "wte.weight") ||
           ends(key, "embed_in.weight") || key == "embed_out.weight" || key == "lm_head.weight";
  };
  options.ignore = [&](const std::string& name) {
    return is_known_buffer(name) || (decoder.tied() && ends(name, "lm_head.weight"));
  };
  LoadReport report = load<T>(decoder, state, options);
  std::vector<nn::ParameterBase*> grown;
  for (const GrownTable& table : report.grown) grown.push_back(table.table);
  decoder.set_grown(grown);
  decoder.tokens().refresh_overlay();
  return report;
}

/// Fills a vision encoder from an open_clip or OpenAI state, or from one that holds such a part: what lies beside its
/// first matrix and below; the rest (a text tower) is left aside.
template <Floating T>
LoadReport load_vision(ClipVision<T>& encoder, const io::StateDict& file) {
  const io::StateDict state = unwrapped(file);
  const std::string prefix = prefix_before(state, "conv1.weight").value_or("");
  LoadOptions options;
  options.name_of = [&](const std::string& key) { return prefix + key; };
  options.ignore = [&](const std::string& name) { return !name.starts_with(prefix); };
  return load<T>(encoder, state, options);
}

}  // namespace plume::models
