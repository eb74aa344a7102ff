#pragma once
// Weights and JSON of a small model as files, whole or not at all.

#include <filesystem>

#include "plume/io/safetensors.hpp"
#include "plume/nn/module.hpp"

namespace world {

/// Writes every parameter under its key.
inline void save_weights(const plume::nn::Module& module, const std::filesystem::path& path) {
  plume::io::StateDict out;
  plume::nn::for_each_parameter(module, [&](const std::string& key,
                                            plume::nn::ParameterBase& parameter) {
    out.add(key,
            plume::io::StoredTensor(static_cast<plume::nn::Parameter<float>&>(parameter).value()));
  });
  plume::io::write_safetensors(path.string(), out);
}

inline void save_json(const plume::io::Json& json, const std::filesystem::path& path) {
  plume::write_whole(path.string(), plume::io::print_json(json, 2) + "\n");
}

}  // namespace world
