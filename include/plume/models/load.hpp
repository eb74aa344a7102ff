#pragma once
// load: puts the tensors of a weight file into a module, and says what happened in groups: loaded, expected absent,
// missing, unexpected, mismatched. Strict: anything in the last three is an error that lists them. What was adapted
// on the way (prefixes of wrappers, rows of token tables) is listed as well.

#include <functional>
#include <set>

#include "plume/core/random.hpp"
#include "plume/models/wrappers.hpp"
#include "plume/nn/module.hpp"

namespace plume::models {

struct LoadOptions {
  /// The name in the file for a parameter's key; identity unless given.
  std::function<std::string(const std::string& key)> name_of{};
  /// Parameters that may be missing (they come from elsewhere, or keep their first values).
  std::function<bool(const std::string& key)> may_be_absent{};
  /// Token tables: of more rows in the file than in the model (a vocabulary that was padded) the first ones are taken;
  /// rows that the file lacks (tokens that were added) are drawn: normal, mean 0.
  std::function<bool(const std::string& key)> may_have_other_rows{};
  std::uint64_t seed = 0;   ///< of the rows that are drawn
  double deviation = 0.02;  ///< and their standard deviation
  /// Tensors of the file that are known and not wanted (buffers, another tower).
  std::function<bool(const std::string& name)> ignore{};
  /// What trains takes the numbers into the memory it has: an optimizer made before goes on with them.
  bool in_place = false;
};

/// A token table of which the file holds fewer rows than the model.
struct GrownTable {
  std::string name;
  nn::ParameterBase* table = nullptr;
  index_t rows_in_file = 0;
};

struct LoadReport {
  std::string file;
  std::vector<std::string> loaded;
  std::vector<std::string> expected_absent;
  std::vector<std::string> missing;
  std::vector<std::string> unexpected;
  std::vector<std::string> mismatched;  ///< with both shapes and, where there is one, a guess why
  std::vector<std::string> adapted;     ///< what the file had otherwise than the model
  std::vector<GrownTable> grown;

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
    list("adapted", adapted);
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

/// The rows of `stored`, and below them rows of number `stream` of the options' seed.
template <Floating T>
io::StoredTensor with_new_rows(const io::StoredTensor& stored, const Shape& wanted,
                               const LoadOptions& options, std::uint64_t stream) {
  const index_t rows = stored.shape()[0];
  Generator generator(options.seed);
  generator.set_state(
      {options.seed, stream + (std::uint64_t{1} << 32)});  // not those of initialize()
  Tensor<T> out(wanted);
  out.slice(0, 0, rows).copy_from(stored.to<T>());
  out.slice(0, rows, wanted[0])
      .copy_from(normal<T>(Shape{wanted[0] - rows, wanted[1]}, generator, 0, options.deviation));
  return io::StoredTensor(out);
}

}  // namespace detail

/// Fills `module` (of scalar T) from `given`, whose names may have parts that wrappers put in (models/wrappers.hpp).
/// Nothing is changed unless everything fits. Throws FormatError with the file and the report where it does not.
template <Floating T>
LoadReport load(nn::Module& module, const io::StateDict& given, const LoadOptions& options = {}) {
  bool plain = true;
  nn::for_each_parameter(module, [&](const std::string& key, nn::ParameterBase&) {
    plain = plain && without_wrappers(key).name == key;
  });
  const io::StateDict state = plain ? unwrapped(given) : given;
  LoadReport report;
  report.file = state.file;
  report.adapted = state.notes;
  std::set<std::string> used;
  std::vector<std::pair<nn::Parameter<T>*, io::StoredTensor>> plan;
  std::uint64_t stream = 0;  // one per parameter, as initialize() has it
  nn::for_each_parameter(module, [&](const std::string& key, nn::ParameterBase& parameter) {
    const std::string name = options.name_of ? options.name_of(key) : key;
    const std::uint64_t numbers = stream++;
    if (!state.contains(name)) {
      const bool waived = options.may_be_absent && options.may_be_absent(key);
      (waived ? report.expected_absent : report.missing).push_back(name);
      return;
    }
    used.insert(name);
    io::StoredTensor stored = state.at(name);
    const Shape& wanted = parameter.shape();
    if (options.may_have_other_rows && options.may_have_other_rows(key) &&
        stored.shape().rank() == 2 && wanted.rank() == 2 && stored.shape()[1] == wanted[1]) {
      const index_t rows = stored.shape()[0];
      if (rows > wanted[0]) {
        report.adapted.push_back(cat(name, ": the first ", wanted[0], " of its ", rows, " rows"));
        stored = stored.first_rows(wanted[0]);
      } else if (rows > 0 && rows < wanted[0]) {
        report.adapted.push_back(cat(name, ": ", rows, " rows, and ", wanted[0] - rows,
                                     " new ones drawn from seed ", options.seed));
        report.grown.push_back({name, &parameter, rows});
        stored = detail::with_new_rows<T>(stored, wanted, options, numbers);
      }
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
  if (!report.ok()) fail<FormatError>(report.file, "weights that fit the model", report.text());
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
