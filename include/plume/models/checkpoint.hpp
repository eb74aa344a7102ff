#pragma once
// The reference's checkpoint.pt: the trainable part of a Flamingo under the reference's names.
//
//   perceiver.*                                          the resampler
//   lang_encoder.<layers>.<i>.gated_cross_attn_layer.*   the block before layer i
//   lang_encoder.<table>                                 input embeddings, resized (and the output matrix)

#include "plume/io/torch_writer.hpp"
#include "plume/models/flamingo.hpp"
#include "plume/models/load.hpp"

namespace plume::models {

/// The reference's name for a key of a Flamingo whose layers lie at `layer_path` of its language model.
inline std::string reference_name(const std::string& key, const std::string& layer_path) {
  const std::string ours = "gated_cross_attn_layers.";
  if (key.rfind(ours, 0) != 0) return key;
  const std::size_t dot = key.find('.', ours.size());
  return cat("lang_encoder.", layer_path, ".", key.substr(ours.size(), dot - ours.size()),
             ".gated_cross_attn_layer", key.substr(dot));
}

/// Fills the trainable part from a checkpoint. The language model and the vision encoder must be loaded before:
/// tables of the checkpoint lie over theirs. Throws FormatError where a tensor of the resampler or of a block is
/// missing, or where the file has anything unknown. `in_place`: see LoadOptions.
template <Floating T, class Model>
LoadReport load_checkpoint(Model& model, const io::StateDict& file, bool in_place = false) {
  const std::string layers = model.lang_encoder->layer_path();
  const io::StateDict clean = unwrapped(file);
  const io::StateDict named =
      without_prefix(clean, prefix_before(clean, "perceiver.latents").value_or(""));
  io::StateDict state;
  state.file = named.file;
  state.notes = named.notes;
  // The first release has each block under two names.
  for (const auto& [name, tensor] : named) {
    const bool alias = name.starts_with("lang_encoder.gated_cross_attn_layers.");
    std::string known = alias ? reference_name(name.substr(13), layers) : name;
    if (!state.contains(known)) state.add(std::move(known), tensor);
  }
  LoadOptions options;
  options.in_place = in_place;
  options.name_of = [&](const std::string& key) { return reference_name(key, layers); };
  options.may_be_absent = [&](const std::string& key) {
    return key.rfind("vision_encoder.", 0) == 0 || key.rfind("lang_encoder.", 0) == 0;
  };
  options.ignore = [&](const std::string& name) {
    return name.rfind("vision_encoder.", 0) == 0 ||
           name.rfind("lang_encoder.old_decoder_blocks.", 0) == 0 || is_known_buffer(name) ||
           (model.lang_encoder->tied() && name == "lang_encoder.lm_head.weight");
  };
  LoadReport report = load<T>(model, state, options);
  model.lang_encoder->tokens().refresh_overlay();
  return report;
}

/// The tensors of a checkpoint of `model` under the reference's names: what trains, token tables whole with the
/// rows that train in their places, whatever of the language model has "embed" in its name, and tables that grew:
/// their new rows are in no other file.
template <Floating T, class Model>
io::StateDict checkpoint_of(const Model& model) {
  const std::string layers = model.lang_encoder->layer_path();
  const nn::TokenEmbedding<T>& tokens = model.lang_encoder->tokens();
  io::StateDict out;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    const std::string name = reference_name(key, layers);
    const bool table = &p == &tokens.weight;
    const bool kept = p.trainable() || (table && tokens.overlay) || model.lang_encoder->grew(p) ||
                      (name.starts_with("lang_encoder.") && name.find("embed") != name.npos);
    const bool is_overlay = tokens.overlay && &p == &*tokens.overlay;
    if (!kept || is_overlay || name.starts_with("vision_encoder.")) return;
    if (p.dtype() != dtype_of<T>)
      fail<DtypeError>(key, cat("a parameter of ", dtype_name<T>()), plume::name(p.dtype()));
    const io::StoredTensor stored(table ? tokens.table()
                                        : static_cast<const nn::Parameter<T>&>(p).value());
    out.add(name, stored);
    // OPT's class names its tied output matrix too.
    if (table && model.lang_encoder->tied() && layers == "model.decoder.layers")
      out.add("lang_encoder.lm_head.weight", stored);
  });
  return out;
}

/// Writes a checkpoint.pt that load_checkpoint and the reference load. It appears whole or not at all.
template <Floating T, class Model>
void save_checkpoint(const Model& model, const std::string& path) {
  io::write_torch(path, checkpoint_of<T>(model));
}

/// The parameter behind what the reference calls `name`; of a token table, the rows that train. Null if nothing of
/// that name trains.
template <Floating T, class Model>
nn::Parameter<T>* trained_parameter(const Model& model, const std::string& name) {
  nn::Parameter<T>* out = nullptr;
  const std::string layers = model.lang_encoder->layer_path();
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    const bool overlay = key.ends_with(".trainable_rows");
    std::string reference = reference_name(key, layers);
    if (overlay) reference.replace(reference.size() - 14, 14, "weight");
    const bool tied =
        overlay && model.lang_encoder->tied() && name == "lang_encoder.lm_head.weight";
    if ((reference == name && p.trainable()) || tied) out = static_cast<nn::Parameter<T>*>(&p);
  });
  return out;
}

/// Its gradient; undefined if there is none.
template <Floating T, class Model>
Tensor<T> gradient_of(const Model& model, const std::string& name) {
  const nn::Parameter<T>* p = trained_parameter<T>(model, name);
  return p == nullptr ? Tensor<T>() : (*p)().grad();
}

}  // namespace plume::models
