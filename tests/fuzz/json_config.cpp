// seed: {"a":[NaN,-Infinity,1e999,"\\ud800",{"b":1,"b":2}],"":01}
// seeds: tests/golden/models/*/lm/config.json tests/golden/models/*/vision/open_clip_config.json tests/cases/configs/*.json
// runs: 15000
#include "plume/models/config.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  return fuzz::read_or_refuse([&] {
    const io::Json config = io::parse_json("fuzz", fuzz::text(data, size));
    fuzz::read_or_refuse([&] {
      nn::Module root;
      models::make_decoder<float>(root, "lm", "fuzz", config);
    });
    nn::Module root;
    models::ClipVision<float> vision(root, "vision", models::clip_vision_sizes("fuzz", config));
  });
}
