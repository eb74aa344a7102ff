#pragma once
// load: puts the tensors of a weight file into a module, and says what happened in four groups: loaded,
// expected absent, unexpected, mismatched. Strict: anything in the last two, or a parameter that is neither
// loaded nor waived, is an error that lists them.

#include <functional>
#include <set>

#include "plume/io/weights.hpp"
#include "plume/nn/module.hpp"

namespace plume::models {

struct LoadOptions {
  /// The name in the file for a parameter's key; identity unless given.
  std::function<std::string(const std::string& key)> name_of{};
  /// Parameters that may be missing (they come from elsewhere, or keep their first values).
  std::function<bool(const std::string& key)> may_be_absent{};
  /// Parameters of which the file may hold more rows than the model: the first ones are taken (a vocabulary
  /// that was padded).
  std::function<bool(const std::string& key)> may_have_more_rows{};
  /// Tensors of the file that are known and not wanted (buffers, another tower).
  std::function<bool(const std::string& name)> ignore{};
  /// What trains takes the numbers into the memory it has: an optimizer made before goes on with them.
  bool in_place = false;
};

struct LoadReport {
  std::vector<std::string> loaded;
  std::vector<std::string> expected_absent;
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> mismatched;  ///< with both shapes and, where there is one, a guess why

  [[nodiscard]] bool ok() const noexcept {
    return missing.empty() && unexpected.empty() && mismatched.empty();
  }
  /// The groups with their sizes, and up to `most` names of each that is a problem.
  [[nodiscard]] std::string text(std::size_t most = 8) const {
    std::string out = cat(loaded.size(), " loaded, ", expected_absent.size(), " expected absent, ",
                          missing.size(), " missing, ", unexpected.size(), " unexpected, ",
                          mismatched.size(), " mismatched");
    const auto list = [&](const char* title, const std::vector<std::string>& names) {
      for (std::size_t i = 0; i < names.size() && i < most; ++i) {
        out += cat("\n  ", title, "  ", names[i]);
      }
      if (names.size() > most)
        out += cat("\n  ", title, "  ... and ", names.size() - most, " more");
    };
    list("missing", missing);
    list("unexpected", unexpected);
    list("mismatched", mismatched);
    return out;
  }
};

namespace detail {

inline std::string guess_mismatch(const Shape& wanted, const Shape& got) {
  if (wanted.rank() == 2 && got.rank() == 2) {
    if (wanted[0] == got[1] && wanted[1] == got[0]) return "; transposed?";
    if (wanted[1] == got[1]) return "; another vocabulary or number of rows?";
  }
  if (wanted.numel() == got.numel())
    return "; the same number of elements, stored in another shape?";
  return "; the weights of a model of another size?";
}

}  // namespace detail

/// Fills `module` (of scalar T) from `state`. Nothing is changed unless everything fits.
/// Throws FormatError with the report where it does not.
template <Floating T>
LoadReport load(nn::Module& module, const io::StateDict& state, const LoadOptions& options = {}) {
  LoadReport report;
  std::set<std::string> used;
  std::vector<std::pair<nn::Parameter<T>*, io::StoredTensor>> plan;
  nn::for_each_parameter(module, [&](const std::string& key, nn::ParameterBase& parameter) {
    const std::string name = options.name_of ? options.name_of(key) : key;
    if (!state.contains(name)) {
      const bool waived = options.may_be_absent && options.may_be_absent(key);
      (waived ? report.expected_absent : report.missing).push_back(name);
      return;
    }
    used.insert(name);
    io::StoredTensor stored = state.at(name);
    const Shape& wanted = parameter.shape();
    if (options.may_have_more_rows && options.may_have_more_rows(key) &&
        stored.shape().rank() == wanted.rank() && stored.shape()[0] > wanted[0]) {
      stored = stored.first_rows(wanted[0]);
    }
    if (parameter.dtype() != dtype_of<T>) {
      fail<DtypeError>(key, cat("a parameter of ", dtype_name<T>()),
                       plume::name(parameter.dtype()));
    }
    if (!(stored.shape() == parameter.shape())) {
      report.mismatched.push_back(cat(name, ": model ", parameter.shape(), ", file ",
                                      stored.shape(),
                                      detail::guess_mismatch(parameter.shape(), stored.shape())));
      return;
    }
    plan.emplace_back(static_cast<nn::Parameter<T>*>(&parameter), std::move(stored));
    report.loaded.push_back(name);
  });
  for (const auto& [name, tensor] : state) {
    if (used.contains(name) || (options.ignore && options.ignore(name))) continue;
    report.unexpected.push_back(name);
  }
  if (!report.ok()) fail<FormatError>("load", "weights that fit the model", report.text());
  for (const auto& [parameter, stored] : plan) {
    if (options.in_place && parameter->trainable() && parameter->has_values()) {
      Tensor<T> values = parameter->value();
      values.copy_from(stored.template to<T>().to(values.device()));
    } else {
      parameter->set_value(stored.template to<T>());
    }
  }
  return report;
}

/// Buffers that files of GPT-NeoX and LLaMA hold and no model of Plume has: they follow from the sizes.
inline bool is_known_buffer(std::string_view name) {
  return name.ends_with(".attention.bias") || name.ends_with(".attention.masked_bias") ||
         name.ends_with(".rotary_emb.inv_freq");
}

}  // namespace plume::models
