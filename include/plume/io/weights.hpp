#pragma once
// read_weights: the tensors of a weight file of any kind, told apart by content, or of a sharded set through
// its index.

#include <filesystem>

#include "plume/io/safetensors.hpp"
#include "plume/io/torch_file.hpp"

namespace plume::io {

/// The dictionary of tensors inside a torch file: the file itself, or what it holds under one of the names
/// that training scripts use.
inline const PickleValue& state_of(const PickleValue& root) {
  for (const char* key : {"model_state_dict", "state_dict"}) {
    const PickleValue* inner = root.find(key);
    if (inner != nullptr && inner->is(PickleValue::Kind::dict)) return *inner;
  }
  return root;
}

inline StateDict read_weights(const Source& source) {
  if (looks_like_safetensors(source.bytes)) return read_safetensors(source).tensors;
  const bool torch = TorchFile::is_zip(source.bytes) || TorchFile::is_legacy(source.bytes);
  if (!torch) {
    // Broken safetensors files deserve the complaint of their own reader.
    const bool named = source.name.ends_with(".safetensors") && !source.bytes.empty();
    if (named) return read_safetensors(source).tensors;
    fail<FormatError>(source.name,
                      "a weight file (safetensors, torch zip, torch legacy or TorchScript)",
                      TorchFile::describe(source.bytes));
  }
  const TorchFile file(source);
  return file.tensors(state_of(file.root()));
}

/// Every tensor of the shards an index names: {"weight_map": {tensor: file}}, files beside the index.
inline StateDict read_sharded(const std::string& index_path) {
  const Json index = read_json(index_path);
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object())
    fail<FormatError>(index_path, "a weight_map object", "none");
  const std::filesystem::path folder = std::filesystem::path(index_path).parent_path();
  std::map<std::string, StateDict> shards;
  StateDict out;
  for (const auto& [tensor, file] : map->items()) {
    if (!file.is_string())
      fail<FormatError>(index_path, cat("a file name for ", tensor), file.type_name());
    const auto name = file.get<std::string>();
    if (name.empty() || name.find('/') != std::string::npos ||
        name.find('\\') != std::string::npos || name == "..") {
      fail<FormatError>(index_path, "file names in the folder of the index", name);
    }
    auto shard = shards.find(name);
    if (shard == shards.end()) {
      shard = shards.emplace(name, read_weights(Source::file((folder / name).string()))).first;
    }
    if (!shard->second.contains(tensor))
      fail<FormatError>((folder / name).string(), cat("the tensor ", tensor), "none of that name");
    out.add(tensor, shard->second.at(tensor));
  }
  for (const auto& [name, shard] : shards) {
    for (const auto& [tensor, stored] : shard) {
      if (!out.contains(tensor))
        fail<FormatError>(index_path, cat("a weight_map with every tensor of ", name), tensor);
    }
  }
  return out;
}

/// A file, an index (*.index.json), or a folder as hubs lay them out: model.safetensors, its index,
/// pytorch_model.bin, its index, in this order; open_clip_pytorch_model.bin for vision encoders.
inline StateDict read_weights(const std::string& path) {
  if (std::filesystem::is_directory(path)) {
    for (const char* name : {"model.safetensors", "model.safetensors.index.json",
                             "pytorch_model.bin", "pytorch_model.bin.index.json",
                             "open_clip_model.safetensors", "open_clip_pytorch_model.bin"}) {
      const std::filesystem::path file = std::filesystem::path(path) / name;
      if (std::filesystem::exists(file)) return read_weights(file.string());
    }
    fail<FormatError>(path, "model.safetensors, pytorch_model.bin or an index of shards",
                      "none of them");
  }
  if (path.ends_with(".index.json")) return read_sharded(path);
  return read_weights(Source::file(path));
}

}  // namespace plume::io
