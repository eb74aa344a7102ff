#pragma once
// What one looks at while a Flamingo trains: how far its gates are open, and where the gradient is.

#include <cmath>
#include <map>

#include "plume/io/json.hpp"
#include "plume/nn/module.hpp"
#include "plume/optim/clip.hpp"

namespace plume::train {

/// {"names": blocks, "attn": [tanh(attn_gate), ...], "ff": [tanh(ff_gate), ...]}: the mean where a gate is a vector.
/// Empty lists for a model without gates of these names.
template <Floating T>
io::Json gates_of(const nn::Module& model) {
  io::Json out{
      {"names", io::Json::array()}, {"attn", io::Json::array()}, {"ff", io::Json::array()}};
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    const bool attention = key.ends_with(".attn_gate");
    if ((!attention && !key.ends_with(".ff_gate")) || p.dtype() != dtype_of<T>) return;
    const Tensor<T> gate = static_cast<nn::Parameter<T>&>(p).value().to(cpu).contiguous();
    double sum = 0;
    for (index_t i = 0; i < gate.numel(); ++i)
      sum += std::tanh(static_cast<double>(gate.data()[i]));
    if (attention) out["names"].push_back(key.substr(0, key.rfind('.')));
    out[attention ? "attn" : "ff"].push_back(sum / static_cast<double>(gate.numel()));
  });
  return out;
}

/// The norm of the gradient by part: {"perceiver": .., "gated_cross_attn_layers.0": .., "embeddings": ..}.
template <Floating T>
io::Json gradient_norms_of(const nn::Module& model) {
  std::map<std::string, std::vector<Var<T>>> parts;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    if (!p.trainable() || p.dtype() != dtype_of<T>) return;
    std::string part = key.substr(0, key.find('.'));
    if (part == "gated_cross_attn_layers") part = key.substr(0, key.find('.', part.size() + 1));
    if (key.ends_with(".trainable_rows")) part = "embeddings";
    parts[part].push_back(static_cast<nn::Parameter<T>&>(p)());
  });
  io::Json out = io::Json::object();
  for (const auto& [part, parameters] : parts) out[part] = gradient_norm<T>(parameters);
  return out;
}

}  // namespace plume::train
