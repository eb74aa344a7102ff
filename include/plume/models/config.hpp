#pragma once
// Language models and vision encoders from the files of hubs. The architecture is what the config says (decoder_config.hpp,
// vision_config.hpp), and what Plume cannot build is refused by the name of the field.

#include "plume/models/decoder_config.hpp"
#include "plume/models/load.hpp"
#include "plume/models/vision_config.hpp"

namespace plume::models {

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
