#include "plume/models/config.hpp"

#include <doctest/doctest.h>

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

}  // namespace
