#pragma once
// read_weights: the tensors of a weight file of any kind, told apart by content, or of a sharded set through
// its index.

#include <algorithm>
#include <filesystem>
#include <unordered_set>

#include "plume/io/safetensors.hpp"
#include "plume/io/torch_file.hpp"

namespace plume::io {

/// The dictionary of tensors inside a torch file, and the names it lies under.
struct ContainedState {
  const PickleValue* tensors = nullptr;
  std::string path{};  ///< "state_dict.model"; empty where the file is the dictionary itself
};

namespace detail {

/// Names under which training scripts save the state of a model, beside an epoch, an optimizer, ...
inline constexpr std::string_view state_names[] = {"model_state_dict", "state_dict", "model",
                                                   "module"};

/// The states that lie in `dict` under those names, `depth` names deep at most. One that is there under two names
/// counts once.
inline void find_states(const PickleValue& dict, const std::string& path, int depth,
                        std::unordered_set<const PickleValue*>& seen,
                        std::vector<ContainedState>& found) {
  bool tensors = false;
  std::vector<std::pair<std::string_view, const PickleValue*>> inner;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue &key = *dict.items[i], &value = *dict.items[i + 1];
    tensors = tensors || value.is(PickleValue::Kind::tensor);
    const auto* name = std::find(std::begin(state_names), std::end(state_names), key.text);
    if (key.is(PickleValue::Kind::text) && name != std::end(state_names) &&
        value.is(PickleValue::Kind::dict) && seen.insert(&value).second)
      inner.emplace_back(*name, &value);
  }
  const std::size_t before = found.size();
  for (const auto& [name, value] : inner) {
    if (depth > 0)
      find_states(*value, path.empty() ? std::string(name) : cat(path, ".", name), depth - 1, seen,
                  found);
  }
  if (tensors && found.size() == before && !path.empty()) found.push_back({&dict, path});
}

}  // namespace detail

/// The state of a model in a torch file: what lies under one of the names that training scripts use, or the file
/// itself. Throws FormatError where there are two; `name` is for the message.
inline ContainedState state_of(const PickleValue& root, const std::string& name) {
  std::vector<ContainedState> found;
  if (root.is(PickleValue::Kind::dict)) {
    std::unordered_set<const PickleValue*> seen{&root};
    detail::find_states(root, "", 3, seen, found);
  }
  if (found.size() > 1) {
    fail<FormatError>(name, "the state of one model; save the one that is meant alone",
                      cat("tensors under ", found[0].path, " and under ", found[1].path));
  }
  return found.empty() ? ContainedState{&root} : found[0];
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
  const ContainedState state = state_of(file.root(), source.name);
  StateDict out = file.tensors(*state.tensors);
  if (!state.path.empty()) out.notes.push_back(cat("the state under ", state.path));
  return out;
}

/// Every tensor of the shards an index names: {"weight_map": {tensor: file}}, files beside the index.
inline StateDict read_sharded(const std::string& index_path) {
  const Source text = Source::file(index_path);
  const Json index = parse_json(index_path, text.text(), JsonForm::strict);
  const auto map = index.find("weight_map");
  if (map == index.end() || !map->is_object())
    fail<FormatError>(index_path, "a weight_map object", "none");
  const std::filesystem::path folder = std::filesystem::path(index_path).parent_path();
  std::map<std::string, StateDict> shards;
  StateDict out;
  out.file = index_path;
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
      if (!std::filesystem::is_regular_file(folder / name))
        fail<FormatError>(index_path, cat("the shard ", name, " beside it"), "no such file");
      shard = shards.emplace(name, read_weights(Source::file((folder / name).string()))).first;
      for (const std::string& note : shard->second.notes) {
        if (std::find(out.notes.begin(), out.notes.end(), note) == out.notes.end())
          out.notes.push_back(note);
      }
    }
    if (!shard->second.contains(tensor))
      fail<FormatError>((folder / name).string(), cat("the tensor ", tensor), "none of that name");
    out.add(tensor, shard->second.at(tensor));
  }
  for (const auto& [name, shard] : shards) {
    for (const auto& [tensor, stored] : shard) {
      const auto listed = map->find(tensor);
      if (listed == map->end())
        fail<FormatError>(index_path, cat("a weight_map with every tensor of ", name), tensor);
      if (*listed != name)
        fail<FormatError>(
            index_path,
            cat("each tensor in one shard, ", tensor, " in ", listed->get<std::string>()),
            cat("another in ", name));
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
