#pragma once
// Names of a state as the model itself has them. DistributedDataParallel, torch.compile, FSDP, DeepSpeed and activation
// checkpointing put parts of their own into the names of what they wrap, at the front or between others:
//
//   module._orig_mod.perceiver.latents   vision_encoder._fsdp_wrapped_module.conv1.weight

#include <algorithm>
#include <map>
#include <optional>

#include "plume/io/weights.hpp"

namespace plume::models {

inline constexpr std::string_view wrapper_parts[] = {
    "module",      "_orig_mod",   "_forward_module",           "_fsdp_wrapped_module",
    "_fpw_module", "_ddp_module", "_checkpoint_wrapped_module"};

/// A name without the parts of wrappers, and those parts: "module._orig_mod.".
struct CleanName {
  std::string name, dropped;
};

/// The last part of a name is never a wrapper's.
inline CleanName without_wrappers(std::string_view name) {
  CleanName out;
  for (std::size_t dot = name.find('.'); dot != name.npos; dot = name.find('.')) {
    const std::string_view part = name.substr(0, dot);
    const auto* known = std::find(std::begin(wrapper_parts), std::end(wrapper_parts), part);
    (known == std::end(wrapper_parts) ? out.name : out.dropped).append(part).append(".");
    name.remove_prefix(dot + 1);
  }
  out.name += name;
  return out;
}

/// `state` under names that `rename` gives. Throws FormatError where two become one.
template <class F>
io::StateDict renamed(const io::StateDict& state, F rename) {
  io::StateDict out;
  out.file = state.file;
  out.notes = state.notes;
  std::map<std::string, std::string> from;
  for (const auto& [name, tensor] : state) {
    std::string clean = rename(name);
    const auto [known, fresh] = from.try_emplace(clean, name);
    if (!fresh)
      fail<FormatError>(state.file, cat("one tensor for ", clean),
                        cat("two, ", known->second, " and ", name));
    out.add(std::move(clean), tensor);
  }
  return out;
}

/// `state` under names without the parts of wrappers; what was dropped is in its notes.
inline io::StateDict unwrapped(const io::StateDict& state) {
  std::map<std::string, index_t> dropped;
  io::StateDict out = renamed(state, [&](const std::string& name) {
    CleanName clean = without_wrappers(name);
    if (!clean.dropped.empty()) ++dropped[clean.dropped];
    return std::move(clean.name);
  });
  for (const auto& [parts, count] : dropped)
    out.notes.push_back(cat(count, " names without ", parts));
  return out;
}

/// The shortest text in front of `anchor` in a name of `state` that holds it as whole parts; nothing where none does.
inline std::optional<std::string> prefix_before(const io::StateDict& state,
                                                const std::string& anchor) {
  std::optional<std::string> out;
  for (const auto& [name, tensor] : state) {
    std::size_t at = name.find(anchor);
    while (at != name.npos && at > 0 && name[at - 1] != '.') at = name.find(anchor, at + 1);
    if (at != name.npos && (!out || at < out->size())) out = name.substr(0, at);
  }
  return out;
}

/// `state` without `prefix` in front of the names that have it (a model that was a member of another).
inline io::StateDict without_prefix(const io::StateDict& state, const std::string& prefix) {
  if (prefix.empty()) return state;
  index_t count = 0;
  io::StateDict out = renamed(state, [&](const std::string& name) {
    const bool has = name.starts_with(prefix);
    count += has ? 1 : 0;
    return has ? name.substr(prefix.size()) : name;
  });
  out.notes.push_back(cat(count, " names without ", prefix));
  return out;
}

}  // namespace plume::models
