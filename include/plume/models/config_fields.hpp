#pragma once
// ConfigFields: a config file of a hub, of which no field is passed over. A reader takes the fields it uses, names those
// that change nothing, and states the one value of those it has no other form of; finish() refuses what is left.
//
//   ConfigFields c("lm/config.json", json, ignored);
//   const auto width = c.require<index_t>("hidden_size");
//   c.only("hidden_act", "gelu");                   // another value is refused by name
//   c.harmless({"torch_dtype", "use_cache"});
//   c.finish();                                     // an unknown field is refused by name
//
// A field that is null counts as absent, as in the libraries that write these files.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plume/core/dtype.hpp"
#include "plume/io/json.hpp"

namespace plume::models {

/// Names of fields that are passed over whatever they say: "softmax_scale", or with the objects it lies in:
/// "attn_config.softmax_scale".
using IgnoredFields = std::vector<std::string>;

class ConfigFields {
 public:
  /// Layers and sizes beyond these are a broken file, and building them would take for ever.
  static constexpr index_t most_layers = 1000;
  static constexpr index_t most_size = index_t{1} << 28;

  /// `config` must outlive this. Throws FormatError where it is no object.
  ConfigFields(std::string file, const io::Json& config, IgnoredFields ignored = {},
               std::string path = {})
      : file_(std::move(file)),
        config_(&config),
        ignored_(std::move(ignored)),
        path_(std::move(path)) {
    if (!config.is_object())
      fail<FormatError>(file_, path_.empty() ? "a JSON object" : cat("an object as ", path_),
                        text_of(config));
  }

  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  /// Whether the field is there and not null.
  [[nodiscard]] bool has(const char* name) const { return find(name) != nullptr; }

  /// The field, or nothing. Throws FormatError where it has another type; an index_t is a size, 1 at least.
  template <class V>
  std::optional<V> get(const char* name) {
    known_.insert(name);
    const io::Json* found = find(name);
    if (found == nullptr) return std::nullopt;
    if constexpr (std::is_same_v<V, index_t>) {
      if (!found->is_number_integer() || *found < 1 || *found > most_size)
        fail<FormatError>(file_, cat("an integer from 1 to ", most_size, " as ", full(name)),
                          text_of(*found));
    } else if constexpr (std::is_same_v<V, bool>) {
      require_type(name, found->is_boolean(), "true or false");
    } else if constexpr (std::is_floating_point_v<V>) {
      require_type(name, found->is_number(), "a number");
    } else {
      require_type(name, found->is_string(), "a string");
    }
    return found->get<V>();
  }
  template <class V>
  V get(const char* name, V otherwise) {
    return get<V>(name).value_or(otherwise);
  }
  template <class V>
  V require(const char* name) {
    if (const auto found = get<V>(name)) return *found;
    fail<FormatError>(file_, cat("the field ", full(name)), "a config without it");
  }
  /// A field that has had several names. Where the file has more than one of them, they must agree.
  template <class V>
  std::optional<V> any_of(std::initializer_list<const char*> names) {
    std::optional<V> out;
    const char* first = nullptr;
    for (const char* name : names) {
      const auto found = get<V>(name);
      if (!found) continue;
      if (out && *out != *found) {
        fail<FormatError>(file_, cat("one value as ", full(first), " and ", full(name)),
                          cat(*out, " and ", *found));
      }
      if (!out) first = name;
      out = found;
    }
    return out;
  }
  /// The number of layers.
  index_t layers(const char* name) {
    const auto n = require<index_t>(name);
    if (n > most_layers) fail<FormatError>(file_, cat(full(name), " of at most ", most_layers), n);
    return n;
  }
  /// A number of equal parts of `whole`: heads of a width.
  index_t parts(const char* name, index_t whole) {
    const auto n = require<index_t>(name);
    if (whole % n != 0) fail<FormatError>(file_, cat(full(name), " that divides ", whole), n);
    return n;
  }
  /// `x`, which must lie in (0, most]; `name` says what it is.
  double positive(const char* name, double x, double most) const {
    if (!(x > 0 && x <= most)) fail<FormatError>(file_, cat(full(name), " in (0, ", most, "]"), x);
    return x;
  }

  /// The field changes what is computed, and there is one form of it here: `value`, which is also what its absence means.
  /// Throws FormatError naming the field where the file says otherwise.
  void only(const char* name, const io::Json& value) {
    known_.insert(name);
    const io::Json* found = find(name);
    if (found == nullptr || *found == value || ignored(name)) return;
    fail<FormatError>(file_,
                      cat(full(name), " = ", text_of(value), ", the only form there is here"),
                      cat(text_of(*found), advice(name)));
  }
  /// The same where the absence of the field means `absent`, another value.
  void only(const char* name, const io::Json& value, const io::Json& absent) {
    if (!has(name) && absent != value && !ignored(name)) {
      fail<FormatError>(file_,
                        cat(full(name), " = ", text_of(value), ", the only form there is here"),
                        cat("no such field, which means ", text_of(absent), advice(name)));
    }
    only(name, value);
  }
  /// These change nothing that is computed here.
  void harmless(std::initializer_list<const char*> names) {
    known_.insert(names.begin(), names.end());
  }
  template <class Names>
  void harmless_all(const Names& names) {
    for (const auto& name : names) known_.emplace(name);
  }

  /// An object inside of this one; an empty one where the field is absent or ignored. Call finish() on it, too.
  ConfigFields inside(const char* name) {
    static const io::Json nothing = io::Json::object();
    known_.insert(name);
    const io::Json* found = find(name);
    return {file_, found == nullptr || ignored(name) ? nothing : *found, ignored_, full(name)};
  }

  /// Throws FormatError naming every field that is neither null nor empty, and that nobody has asked for.
  void finish() const {
    std::string unknown, first;
    for (const auto& [name, value] : config_->items()) {
      const bool empty =
          value.is_null() || ((value.is_object() || value.is_array()) && value.empty());
      if (empty || known_.contains(name) || ignored(name)) continue;
      if (first.empty()) first = name;
      unknown += cat(unknown.empty() ? "" : ", ", full(name), " = ", text_of(value));
    }
    if (unknown.empty()) return;
    fail<FormatError>(
        file_, "fields that are known here, since an unknown one may change what is computed",
        cat(unknown, advice(first)));
  }

 private:
  [[nodiscard]] const io::Json* find(std::string_view name) const {
    const auto found = config_->find(name);
    return found == config_->end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] std::string full(std::string_view name) const {
    return path_.empty() ? std::string(name) : cat(path_, ".", name);
  }
  [[nodiscard]] bool ignored(std::string_view name) const {
    for (const std::string& entry : ignored_)
      if (entry == name || entry == full(name)) return true;
    return false;
  }
  [[nodiscard]] std::string advice(std::string_view name) const {
    return cat(" (to go on without it: --ignore-config-field ", full(name), ")");
  }
  void require_type(const char* name, bool fits, const char* type) const {
    if (!fits) fail<FormatError>(file_, cat(type, " as ", full(name)), text_of(*find(name)));
  }
  static std::string text_of(const io::Json& value) {
    std::string text = io::print_json(value);
    if (text.size() > 60) text = text.substr(0, 60) + " ...";
    return text;
  }

  std::string file_;
  const io::Json* config_;
  IgnoredFields ignored_;
  std::string path_;
  std::set<std::string, std::less<>> known_;
};

}  // namespace plume::models
