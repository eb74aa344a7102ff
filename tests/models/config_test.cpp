#include "plume/models/config.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <tuple>

using namespace plume;

namespace {

io::Json mpt() { return io::read_json("tests/golden/models/mpt1b-every1/lm/config.json"); }
io::Json clip() {
  return io::read_json("tests/golden/models/mpt1b-every1/vision/open_clip_config.json");
}
void build(const io::Json& config) {
  nn::Module root;
  models::make_decoder<float>(root, "lm", "config.json", config);
}

// Each of these once built layers without end, divided by zero, or was an error of the JSON library.
TEST_CASE("config: sizes that no model has are refused by name") {
  CHECK_NOTHROW(build(mpt()));
  for (const char* name : {"d_model", "n_layers", "n_heads", "vocab_size", "mlp_ratio"}) {
    INFO(name);
    if (!mpt().contains(name)) continue;
    for (const io::Json& value :
         {io::Json(0), io::Json(-3), io::Json(1e300), io::Json(2.5), io::Json(true), io::Json("12"),
          io::Json(std::int64_t{1} << 60), io::Json(~std::uint64_t{0}), io::Json::object()}) {
      io::Json config = mpt();
      config[name] = value;
      CHECK_THROWS_WITH_AS(build(config), doctest::Contains(name), FormatError);
    }
  }
  for (const char* name : {"model_type", "d_model", "n_layers", "n_heads", "vocab_size"}) {
    io::Json config = mpt();
    config[name] = nullptr;
    CHECK_THROWS_WITH_AS(build(config), doctest::Contains(name), FormatError);
  }
  io::Json heads = mpt();
  heads["n_heads"] = heads["d_model"].get<index_t>() - 1;
  CHECK_THROWS_WITH_AS(build(heads), doctest::Contains("divides"), FormatError);
  for (const io::Json& whole : {io::Json::array(), io::Json(3), io::Json("opt"), io::Json()})
    CHECK_THROWS_AS(build(whole), FormatError);
  CHECK_THROWS_AS(build({{"model_type", "mpt"}, {"vocab_size", 8}, {"attn_config", 3}}),
                  FormatError);
}

TEST_CASE("config: of a vision encoder too") {
  CHECK_NOTHROW(models::clip_vision_sizes("c", clip()));
  for (const char* name :
       {"image_size", "patch_size", "width", "layers", "mlp_ratio", "head_width"}) {
    INFO(name);
    for (const io::Json& value : {io::Json(0), io::Json(-1), io::Json(1e300)}) {
      io::Json config = clip();
      config["vision_cfg"][name] = value;
      CHECK_THROWS_WITH_AS(models::clip_vision_sizes("c", config), doctest::Contains(name),
                           FormatError);
    }
  }
  io::Json config = clip();
  config["vision_cfg"]["patch_size"] = config["vision_cfg"]["image_size"].get<index_t>() + 1;
  CHECK_THROWS_AS(models::clip_vision_sizes("c", config), FormatError);
  config["vision_cfg"] = 7;
  CHECK_THROWS_AS(models::clip_vision_sizes("c", config), FormatError);
  CHECK_THROWS_AS(models::clip_vision_sizes("c", io::Json::array()), FormatError);
}

// ---- fields that change what is computed -----------------------------------------------------------

io::Json of_family(const std::string& name) {
  return io::read_json(cat("tests/golden/models/", name, "/lm/config.json"));
}
io::Json a_case(const std::string& name) {
  return io::read_json(cat("tests/cases/configs/", name, ".json"));
}
/// Logits of the tokens 0 .. 11 by a model of that config, filled from its seed.
Tensor<double> logits_of(const io::Json& config) {
  nn::Module root;
  const auto lm = models::make_decoder<double>(root, "lm", "config.json", config);
  initialize(*lm, 3);
  Tensor<std::int64_t> ids(Shape{1, 12});
  for (index_t i = 0; i < 12; ++i) ids(0, i) = (7 * i) % 50;
  const NoGrad scope;
  return (*lm)({ids}).value();
}
bool equal(const Tensor<double>& a, const Tensor<double>& b) {
  return std::equal(a.data(), a.data() + a.numel(), b.data());
}
/// Sets "a.b" of a config.
io::Json with(io::Json config, const std::string& path, const io::Json& value) {
  const std::size_t dot = path.find('.');
  if (dot == std::string::npos) {
    config[path] = value;
  } else {
    config[path.substr(0, dot)][path.substr(dot + 1)] = value;
  }
  return config;
}

TEST_CASE("config: one model, as transformers 4 and 5 write it") {
  const Tensor<double> four = logits_of(a_case("rp-v4-3h"));
  CHECK(equal(four, logits_of(a_case("rp-v5-3h"))));
  // A quarter of each head turned is another model, in either spelling.
  const Tensor<double> quarter = logits_of(with(a_case("rp-v4-3h"), "rotary_pct", 0.25));
  CHECK(!equal(four, quarter));
  CHECK(equal(quarter,
              logits_of(with(a_case("rp-v5-3h"), "rope_parameters.partial_rotary_factor", 0.25))));
  // transformers takes 0.25 where neither says anything.
  io::Json silent = a_case("rp-v5-3h");
  silent["rope_parameters"].erase("partial_rotary_factor");
  CHECK(equal(quarter, logits_of(silent)));
  const Tensor<double> base = logits_of(with(a_case("rp-v4-3h"), "rotary_emb_base", 500));
  CHECK(!equal(four, base));
  CHECK(equal(base, logits_of(with(a_case("rp-v5-3h"), "rope_parameters.rope_theta", 500.0))));
  CHECK_THROWS_WITH_AS(logits_of(with(a_case("rp-v5-3h"), "rotary_pct", 0.5)),
                       doctest::Contains("partial_rotary_factor"), FormatError);
}

TEST_CASE("config: linear scaling divides positions, in NeoX and LLaMA") {
  for (const char* family : {"redpajama-every2", "llama-every1"}) {
    INFO(family);
    io::Json config = of_family(family);
    const Tensor<double> plain = logits_of(config);
    const Tensor<double> four =
        logits_of(with(config, "rope_scaling", {{"type", "linear"}, {"factor", 4.0}}));
    CHECK(!equal(plain, four));
    CHECK(equal(
        four, logits_of(with(config, "rope_scaling", {{"rope_type", "linear"}, {"factor", 4.0}}))));
    CHECK(equal(plain, logits_of(with(config, "rope_scaling", {{"rope_type", "default"}}))));
    CHECK(equal(plain,
                logits_of(with(config, "rope_scaling", {{"rope_type", "linear"}, {"factor", 1}}))));
    for (const char* type : {"dynamic", "yarn", "llama3", "longrope"}) {
      CHECK_THROWS_WITH_AS(
          logits_of(with(config, "rope_scaling", {{"type", type}, {"factor", 2.0}})),
          doctest::Contains("rope_scaling.type"), FormatError);
    }
    CHECK_THROWS_WITH_AS(logits_of(with(config, "rope_scaling", {{"type", "linear"}})),
                         doctest::Contains("rope_scaling.factor"), FormatError);
    CHECK_THROWS_WITH_AS(logits_of(with(config, "rope_scaling",
                                        {{"type", "linear"}, {"factor", 2.0}, {"mscale", 1.5}})),
                         doctest::Contains("rope_scaling.mscale"), FormatError);
  }
  CHECK(!equal(logits_of(a_case("rp-rmscale")),
               logits_of(with(a_case("rp-rmscale"), "rope_scaling", nullptr))));
  // Position 8 of a table that is stretched by 4 is position 2 of one that is not.
  const RotaryTable stretched =
      rotary_table(arange<std::int64_t>(9), 8, 10000, RotaryAngle::float32, 4);
  const RotaryTable table = rotary_table(arange<std::int64_t>(9), 8, 10000, RotaryAngle::float32);
  for (index_t i = 0; i < 4; ++i) CHECK(stretched.cos(8, i) == table.cos(2, i));
}

TEST_CASE("config: MPT's softmax_scale takes the place of 1 / sqrt(width of a head)") {
  const io::Json config = mpt();
  const double usual = 1 / std::sqrt(48.0 / 4);
  CHECK(equal(logits_of(config), logits_of(with(config, "softmax_scale", usual))));
  CHECK(!equal(logits_of(config), logits_of(a_case("mpt-softmax-scale"))));
  const io::Json nested = a_case("mpt7b");
  CHECK(!equal(logits_of(nested), logits_of(with(nested, "attn_config.softmax_scale", 0.05))));
  for (const io::Json& wrong : {io::Json(0), io::Json(-1.0), io::Json("0.1"), io::Json(true)})
    CHECK_THROWS_WITH_AS(logits_of(with(config, "softmax_scale", wrong)),
                         doctest::Contains("softmax_scale"), FormatError);
}

TEST_CASE("config: a field that Plume has one form of is refused by name in any other") {
  const std::vector<std::tuple<std::string, std::string, io::Json>> rows{
      {"opt-all-previous-frozen-embeddings", "do_layer_norm_before", false},
      {"opt-all-previous-frozen-embeddings", "_remove_final_layer_norm", true},
      {"opt-all-previous-frozen-embeddings", "activation_function", "gelu"},
      {"opt-all-previous-frozen-embeddings", "word_embed_proj_dim", 16},
      {"opt-all-previous-frozen-embeddings", "enable_bias", false},
      {"opt-all-previous-frozen-embeddings", "layer_norm_elementwise_affine", false},
      {"opt-all-previous-frozen-embeddings", "tie_word_embeddings", false},
      {"redpajama-every2", "hidden_act", "gelu_new"},
      {"redpajama-every2", "attention_bias", false},
      {"redpajama-every2", "tie_word_embeddings", true},
      {"llama-every1", "hidden_act", "gelu"},
      {"llama-every1", "num_key_value_heads", 2},
      {"llama-every1", "head_dim", 8},
      {"llama-every1", "attention_bias", true},
      {"llama-every1", "mlp_bias", true},
      {"llama-every1", "tie_word_embeddings", true},
      {"llama-every1", "sliding_window", 64},
      {"llama-every1", "quantization_config", {{"bits", 4}}},
      {"mpt1b-every1", "alibi", false},
      {"mpt1b-every1", "attn_clip_qkv", 6},
      {"mpt1b-every1", "prefix_lm", true},
      {"mpt1b-every1", "attn_uses_sequence_id", true},
      {"mpt1b-every1", "no_bias", false},
      {"mpt1b-every1", "logit_scale", "inv_sqrt_d_model"},
      {"mpt1b-every1", "embedding_fraction", 0.5},
      {"mpt7b", "attn_config.alibi", false},
      {"mpt7b", "attn_config.clip_qkv", 8.0},
      {"mpt7b", "attn_config.prefix_lm", true},
      {"mpt7b", "attn_config.attn_type", "multiquery_attention"},
      {"mpt7b", "attn_config.rope", true},
      {"mpt7b", "attn_config.sliding_window_size", 64},
      {"mpt7b", "norm_type", "rmsnorm"},
      {"mpt7b", "layer_norm_epsilon", 1e-6},
      {"mpt7b", "no_bias", false},
      {"mpt7b", "logit_scale", 0.5},
      {"mpt7b", "ffn_config", {{"ffn_type", "mptglu"}}},
      {"opt-all-previous-frozen-embeddings", "add_cross_attention", true},
      {"opt-all-previous-frozen-embeddings", "repetition_penalty", 1.2},
      {"llama-every1", "do_sample", true},
      {"redpajama-every2", "no_such_field", 0},
      {"opt-all-previous-frozen-embeddings", "another", "x"}};
  for (const auto& row : rows) {
    const auto& family = std::get<0>(row);  // clang 14 captures no structured binding
    const auto& path = std::get<1>(row);
    const auto& value = std::get<2>(row);
    INFO(family << " " << path);
    const io::Json config =
        with(family == "mpt7b" ? a_case(family) : of_family(family), path, value);
    nn::Module root;
    CHECK_THROWS_WITH_AS(models::make_decoder<float>(root, "lm", "config.json", config),
                         doctest::Contains(path.c_str()), FormatError);
    // By its whole name, or by the last part of it, a field is passed over.
    nn::Module other;
    CHECK_NOTHROW(models::make_decoder<float>(other, "lm", "config.json", config, 0, {path}));
    nn::Module third;
    CHECK_NOTHROW(models::make_decoder<float>(third, "lm", "config.json", config, 0,
                                              {path.substr(path.find('.') + 1)}));
  }
  // What MosaicML's code means where its config says nothing of ALiBi and biases; transformers' MptConfig means the other.
  for (const char* absent : {"alibi", "no_bias"}) {
    io::Json old = mpt();
    old.erase(absent);
    CHECK_THROWS_WITH_AS(build(old), doctest::Contains(absent), FormatError);
  }
  io::Json native = a_case("mpt7b");
  native.erase("auto_map");
  native.erase("no_bias");
  native["attn_config"].erase("alibi");
  CHECK_NOTHROW(build(native));
}

TEST_CASE("config: configs as they were published open") {
  const io::Json common{{"transformers_version", "4.28.1"}, {"torch_dtype", "float16"}};
  io::Json first{{"architectures", {"LLaMAForCausalLM"}},
                 {"bos_token_id", 0},
                 {"eos_token_id", 1},
                 {"pad_token_id", -1},
                 {"hidden_act", "silu"},
                 {"hidden_size", 16},
                 {"intermediate_size", 24},
                 {"initializer_range", 0.02},
                 {"max_sequence_length", 2048},
                 {"model_type", "llama"},
                 {"num_attention_heads", 2},
                 {"num_hidden_layers", 1},
                 {"rms_norm_eps", 1e-06},
                 {"use_cache", true},
                 {"vocab_size", 32}};
  first.update(common);
  CHECK_NOTHROW(build(first));
  CHECK(models::context_length("c", first) == 2048);
  first["max_sequence_length"] = 512;
  CHECK(models::context_length("c", first) == 512);
  first.erase("max_sequence_length");
  CHECK(models::context_length("c", first) == 2048);
  CHECK_THROWS_WITH_AS(models::context_length("c", {{"model_type", "opt"}}),
                       doctest::Contains("max_position_embeddings"), FormatError);
  io::Json opt = of_family("opt-all-previous-frozen-embeddings");
  opt.update({{"dropout", 0.1},
              {"activation_dropout", 0.0},
              {"prefix", "</s>"},
              {"layerdrop", 0.0},
              {"_name_or_path", "facebook/opt-125m"}});
  CHECK_NOTHROW(build(opt));
}

TEST_CASE("config: the vision encoder in the layout of open_clip's hub") {
  const io::Json hub = a_case("clip-hub");
  const models::ClipVisionSizes sizes = models::clip_vision_sizes("c", hub);
  CHECK(sizes.width == 32);
  CHECK(sizes.activation == models::Activation::quick_gelu);
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(sizes.normalization.mean[c] == 0.5F);
    CHECK(sizes.normalization.deviation[c] == 0.5F);
    CHECK(models::clip_vision_sizes("c", clip()).normalization.mean[c] ==
          image::Normalization().mean[c]);
  }
  const auto refused = [](const io::Json& config, const char* words) {
    CHECK_THROWS_WITH_AS(models::clip_vision_sizes("c", config), doctest::Contains(words),
                         FormatError);
  };
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, io::Json>>{{"interpolation", "bilinear"},
                                                     {"resize_mode", "longest"},
                                                     {"mode", "L"},
                                                     {"size", 64},
                                                     {"size", {32, 48}},
                                                     {"mean", 0.5},
                                                     {"mean", {0.5, 0.5}},
                                                     {"std", {0.5, 0.0, 0.5}},
                                                     {"std", {1, 2, "3"}},
                                                     {"crop_pct", 0.9}}) {
    const std::string& name = field;  // clang 14 captures no structured binding
    INFO(name);
    refused(with(hub, "preprocess_cfg." + name, value), name.c_str());
  }
  CHECK_NOTHROW(models::clip_vision_sizes("c", with(hub, "preprocess_cfg.size", {32, 32})));
  CHECK_NOTHROW(models::clip_vision_sizes("c", with(hub, "preprocess_cfg.fill_color", 0)));
  for (const auto& [field, value] :
       std::vector<std::pair<std::string, io::Json>>{{"timm_model_name", "vit_base"},
                                                     {"ls_init_value", 0.1},
                                                     {"patch_dropout", 0.5},
                                                     {"input_patchnorm", true},
                                                     {"global_average_pool", true},
                                                     {"attentional_pool", true},
                                                     {"no_ln_pre", true},
                                                     {"pos_embed_type", "sin_cos_2d"},
                                                     {"final_ln_after_pool", true},
                                                     {"pool_type", "avg"},
                                                     {"act_kwargs", {{"approximate", "tanh"}}},
                                                     {"norm_kwargs", {{"eps", 1e-6}}},
                                                     {"layers", {3, 4, 6, 3}},
                                                     {"image_size", {32, 48}},
                                                     {"new_field", true}}) {
    const std::string& name = field;  // clang 14 captures no structured binding
    INFO(name);
    refused(with(clip(), "vision_cfg." + name, value), name.c_str());
  }
  refused(with(clip(), "multimodal_cfg", {{"width", 8}}), "multimodal_cfg");
  refused({{"model_type", "clip"}}, "vision_cfg");
  CHECK_NOTHROW(models::clip_vision_sizes("c", with(clip(), "vision_cfg.image_size", {32, 32})));
  CHECK_NOTHROW(models::clip_vision_sizes("c", with(clip(), "vision_cfg.ls_init_value", 0.1),
                                          {"ls_init_value"}));
}

}  // namespace
