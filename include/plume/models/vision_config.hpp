#pragma once
// Sizes of a CLIP vision encoder from open_clip's configs: a model config (`embed_dim`, `vision_cfg`), or what its hub has
// (`model_cfg` around the same, `preprocess_cfg` beside it).

#include "plume/models/clip_vision.hpp"
#include "plume/models/config_fields.hpp"

namespace plume::models {

namespace detail {

/// A size that is written as one number, or as two equal ones.
inline std::optional<index_t> square_size(ConfigFields& c, const io::Json& object,
                                          const char* name) {
  const auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return c.get<index_t>(name);
  c.harmless({name});
  if (found->size() != 2 || (*found)[0] != (*found)[1] || !(*found)[0].is_number_integer())
    fail<FormatError>(c.file(), cat("a square ", name), io::print_json(*found));
  const io::Json side{{name, (*found)[0]}};
  return ConfigFields(c.file(), side).require<index_t>(name);
}

/// Three numbers, one per channel.
inline void read_channels(ConfigFields& c, const io::Json& object, const char* name, bool positive,
                          std::array<float, 3>& out) {
  c.harmless({name});
  const auto found = object.find(name);
  if (found == object.end() || found->is_null()) return;
  bool fits = found->is_array() && found->size() == 3;
  for (std::size_t i = 0; fits && i < 3; ++i) {
    const io::Json& x = (*found)[i];
    fits = x.is_number() && std::abs(x.get<double>()) <= 1e6 && (!positive || x.get<double>() > 0);
    if (fits) out[i] = static_cast<float>(x.get<double>());
  }
  if (!fits) {
    fail<FormatError>(c.file(),
                      cat("three ", positive ? "positive numbers" : "numbers", " as ", name),
                      io::print_json(*found));
  }
}

/// open_clip's PreprocessCfg. Pictures are resized by their shorter side, bicubic, and cropped in the middle.
inline image::Normalization normalization_of(ConfigFields& c, const io::Json& object,
                                             index_t image) {
  image::Normalization out;
  const auto size = square_size(c, object, "size");
  if (size && *size != image)
    fail<FormatError>(c.file(), cat("preprocess_cfg.size = ", image, ", the image_size"), *size);
  c.only("mode", "RGB");
  c.only("interpolation", "bicubic");
  c.only("resize_mode", "shortest");
  c.harmless({"fill_color"});  // of borders, which this way of resizing does not make
  read_channels(c, object, "mean", false, out.mean);
  read_channels(c, object, "std", true, out.deviation);
  c.finish();
  return out;
}

}  // namespace detail

/// The vision encoder of an open_clip config. The activation is the config's quick_gelu unless given. Throws FormatError
/// naming `file` and the field that this cannot build.
inline ClipVisionSizes clip_vision_sizes(const std::string& file, const io::Json& config,
                                         const IgnoredFields& ignored = {}) {
  ConfigFields whole(file, config, ignored);
  const bool hub = whole.has("model_cfg");
  ConfigFields nested = whole.inside("model_cfg");
  ConfigFields& c = hub ? nested : whole;
  if (!c.has("vision_cfg")) {
    fail<FormatError>(file,
                      "the field vision_cfg, or model_cfg around it: open_clip's config of a model",
                      "a config without it");
  }
  const io::Json& json = (hub ? config["model_cfg"] : config)["vision_cfg"];
  ConfigFields v = c.inside("vision_cfg");
  v.only("timm_model_name", nullptr);
  v.only("ls_init_value", nullptr);
  v.only("patch_dropout", 0.0);
  v.only("input_patchnorm", false);
  v.only("global_average_pool", false);
  v.only("attentional_pool", false);
  v.only("no_ln_pre", false);
  v.only("pos_embed_type", "learnable");
  v.only("final_ln_after_pool", false);
  v.only("pool_type", "tok");
  v.only("act_kwargs", nullptr);
  v.only("norm_kwargs", nullptr);
  // Of parts that the fields above exclude, and of what the encoder hands out.
  v.harmless({"output_tokens", "n_queries", "attn_pooler_queries", "attn_pooler_heads",
              "timm_model_pretrained", "timm_pool", "timm_proj", "timm_proj_bias", "timm_drop",
              "timm_drop_path"});
  const auto image = detail::square_size(v, json, "image_size");
  if (!image) fail<FormatError>(file, "the field vision_cfg.image_size", "a config without it");
  const auto patch = v.require<index_t>("patch_size");
  const auto width = v.require<index_t>("width");
  const auto head_width = v.get<index_t>("head_width", 64);
  if (patch > *image) fail<FormatError>(file, cat("patch_size of at most ", *image), patch);
  if (width % head_width != 0)
    fail<FormatError>(file, cat("head_width that divides ", width), head_width);
  ClipVisionSizes out{*image,
                      patch,
                      width,
                      v.layers("layers"),
                      head_width,
                      c.require<index_t>("embed_dim"),
                      v.positive("mlp_ratio", v.get("mlp_ratio", 4.0), 1000),
                      c.get("quick_gelu", false) ? Activation::quick_gelu : Activation::gelu,
                      {}};
  v.finish();
  // The text tower is not read, nor what compares its features with those of pictures.
  c.harmless({"text_cfg", "custom_text", "init_logit_scale", "init_logit_bias", "cast_dtype",
              "nonscalar_logit_scale"});
  static const io::Json nothing = io::Json::object();
  const io::Json& preprocess = whole.has("preprocess_cfg") ? config["preprocess_cfg"] : nothing;
  ConfigFields p = whole.inside("preprocess_cfg");
  out.normalization = detail::normalization_of(p, preprocess, *image);
  if (hub) nested.finish();
  whole.finish();
  return out;
}

}  // namespace plume::models
