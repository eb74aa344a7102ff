#pragma once
// Checkpoints of a training run, from which it goes on bit for bit. In the folder of one:
//
//   weights.safetensors    what trains, under the model's own keys and in its own scalar type; of a token table the
//                          rows that train
//   moments.safetensors    KEY.m, KEY.v (AdamW's, in float or double), KEY.steps (updates of that parameter)
//   state.json             the step, the recipe, the random state, and whatever else the run must remember
//   manifest.json          see checkpoint_folder.hpp
//
// Frozen weights are not in it: they come from their own files again.

#include <map>

#include "plume/models/load.hpp"
#include "plume/train/checkpoint_folder.hpp"
#include "plume/train/step.hpp"

namespace plume::train {

inline io::Json json_of(const Recipe& recipe) {
  const char* shapes[] = {"constant", "linear", "cosine"};
  const Schedule& s = recipe.schedule;
  return {{"learning_rate", recipe.learning_rate},
          {"beta1", recipe.beta1},
          {"beta2", recipe.beta2},
          {"eps", recipe.eps},
          {"weight_decay", recipe.weight_decay},
          {"clip", recipe.clip},
          {"micro_batches", recipe.micro_batches},
          {"precision", name(recipe.precision)},
          {"schedule",
           {{"shape", shapes[static_cast<int>(s.shape())]},
            {"warmup", s.warmup()},
            {"total", s.total()}}}};
}

/// Calls f(key, slot) for each slot of an optimizer of `model`. Throws ValueError for a slot whose parameter the model
/// does not hold.
template <Floating T, class Slots, class F>
void for_each_slot(const nn::Module& model, Slots slots, F f) {
  std::map<const void*, std::string> keys;
  nn::for_each_parameter(model,
                         [&](const std::string& key, nn::ParameterBase& p) { keys[&p] = key; });
  for (auto& slot : slots) {
    const auto key = keys.find(static_cast<const nn::ParameterBase*>(slot.parameter.parameter()));
    if (key == keys.end())
      fail<ValueError>("checkpoint", "an optimizer of the model's parameters",
                       cat("one of shape ", slot.parameter.shape(), " that is not in the model"));
    f(key->second, slot);
  }
}

/// Throws NumericalError naming the first value of an optimizer of `model` that is NaN or infinite: no such state is
/// written.
template <Floating T, class Model>
void require_finite(const Model& model, const Stepper<T, Model>& stepper) {
  for_each_slot<T>(
      model, stepper.optimizer().slots(), [&](const std::string& key, const auto& slot) {
        if (!plume::detail::all_finite(slot.parameter.value()))
          fail<NumericalError>("train", cat("finite weights after step ", stepper.step()),
                               cat("NaN or infinity in ", key,
                                   "; nothing is saved of it (a smaller learning rate helps)"));
      });
}

namespace detail {

/// The ids of the token rows that train; null for a model without such.
template <class Model>
io::Json trained_tokens(const Model& model) {
  if constexpr (requires { model.lang_encoder->tokens().overlay_ids(); })
    return model.lang_encoder->tokens().overlay_ids();
  return {};
}

/// "recipe/clip: 1.0 in the checkpoint, 2.0 here" for every entry that differs.
inline std::vector<std::string> differences(const io::Json& there, const io::Json& here) {
  const io::Json a = there.flatten(), b = here.flatten();
  const auto at = [](const io::Json& of, const std::string& entry) {
    return of.contains(entry) ? io::print_json(of.at(entry)) : std::string("nothing");
  };
  std::set<std::string> entries;
  for (const io::Json* side : {&a, &b}) {
    for (const auto& [entry, value] : side->items()) entries.insert(entry);
  }
  std::vector<std::string> out;
  for (const std::string& entry : entries) {
    if (at(a, entry) != at(b, entry))
      out.push_back(
          cat(entry.substr(1), ": ", at(a, entry), " in the checkpoint, ", at(b, entry), " here"));
  }
  return out;
}

/// None where an earlier version wrote the checkpoint.
inline std::optional<RandomState> random_of(const std::string& path, const io::Json& state) {
  if (!state.contains("random")) return {};
  const io::Json& random = state.at("random");
  RandomState out;
  for (const auto& [name, to] : {std::pair("seed", &out.seed), std::pair("stream", &out.stream)}) {
    if (!random.is_object() || !random.contains(name) || !random.at(name).is_number_unsigned())
      fail<FormatError>(path, "random: {seed, stream}, integers >= 0", io::print_json(random));
    *to = random.at(name).get<std::uint64_t>();
  }
  return out;
}

}  // namespace detail

class Checkpoints {
 public:
  /// Below `root`, of which the newest `keep` stay.
  Checkpoints(std::string root, index_t keep) : folders_(std::move(root), keep) {}

  /// Saves the state between two steps; `extra` is what else the run must remember (its position in the data). Returns
  /// the folder. Throws std::system_error where it cannot be written, NumericalError where a weight is not finite; then
  /// those from before remain.
  template <Floating T, class Model>
  std::string save(const Model& model, const Stepper<T, Model>& stepper,
                   const io::Json& extra) const {
    require_finite<T>(model, stepper);
    io::StateDict weights, moments;
    for_each_slot<T>(
        model, stepper.optimizer().slots(), [&](const std::string& key, const auto& s) {
          weights.add(key, io::StoredTensor(s.parameter.value()));
          moments.add(key + ".m", io::StoredTensor(s.m));
          moments.add(key + ".v", io::StoredTensor(s.v));
          moments.add(key + ".steps", io::StoredTensor(full<std::int64_t>({}, s.steps)));
        });
    const io::Json state{
        {"step", stepper.step()},
        {"recipe", json_of(stepper.recipe())},
        {"random", {{"seed", stepper.random().seed}, {"stream", stepper.random().stream}}},
        {"trained_tokens", detail::trained_tokens(model)},
        {"extra", extra}};
    std::uintmax_t bytes = 1U << 16;  // names and sizes
    for (const io::StateDict* file : {&weights, &moments}) {
      for (const auto& [name, tensor] : *file)
        bytes += static_cast<std::uintmax_t>(tensor.shape().numel() * tensor.element_bytes());
    }
    return folders_.add(stepper.step(), bytes, [&](const std::string& folder) {
      io::write_safetensors(folder + "/weights.safetensors", weights);
      io::write_safetensors(folder + "/moments.safetensors", moments);
      write_whole(folder + "/state.json", io::print_json(state, 1) + "\n");
    });
  }

  /// The folder of the newest checkpoint that is whole; see CheckpointFolders.
  [[nodiscard]] std::optional<std::string> latest(std::vector<std::string>& problems) const {
    return folders_.latest(problems);
  }

 private:
  CheckpointFolders folders_;
};

/// Whether a run may go on by another recipe than the one it began with.
enum class OtherRecipe { refuse, accept };

/// restore() of a checkpoint that latest() found whole, without reading all of it once more to see that it is.
template <Floating T, class Model>
io::Json restore_whole(const std::string& folder, Model& model, Stepper<T, Model>& stepper,
                       OtherRecipe other = OtherRecipe::refuse) {
  const std::string state_path = folder + "/state.json";
  const io::Json state = io::read_json(state_path);
  const io::StateDict weights = io::read_weights(folder + "/weights.safetensors");
  const io::StateDict moments = io::read_weights(folder + "/moments.safetensors");
  for (const char* entry : {"step", "recipe", "trained_tokens", "extra"}) {
    if (!state.is_object() || !state.contains(entry))
      fail<FormatError>(state_path, cat("an entry ", entry), "none");
  }
  const index_t step = io::detail::natural(state_path, state.at("step"), "step");
  const std::optional<RandomState> random = detail::random_of(state_path, state);

  models::LoadReport report;
  report.mismatched = detail::differences(
      {{"trained_tokens", state.at("trained_tokens")}, {"recipe", state.at("recipe")}},
      {{"trained_tokens", detail::trained_tokens(model)},
       {"recipe", other == OtherRecipe::accept ? state.at("recipe") : json_of(stepper.recipe())}});
  std::set<std::string> used;
  const auto expect = [&](const io::StateDict& file, const std::string& name, io::FileType type,
                          const Shape& shape) {
    if (!file.contains(name)) return report.missing.push_back(name);
    used.insert(name);
    const io::StoredTensor& tensor = file.at(name);
    if (tensor.type() == type && tensor.shape() == shape) return report.loaded.push_back(name);
    report.mismatched.push_back(cat(name, ": ", io::info(tensor.type()).torch, " ", tensor.shape(),
                                    " in the checkpoint, ", io::info(type).torch, " ", shape,
                                    " here"));
  };
  const auto slots = stepper.optimizer().slots();
  for_each_slot<T>(model, slots, [&](const std::string& key, const auto& slot) {
    const Shape& shape = slot.parameter.shape();
    expect(weights, key, io::file_type_of<T>(), shape);
    expect(moments, key + ".m", io::file_type_of<accumulate_t<T>>(), shape);
    expect(moments, key + ".v", io::file_type_of<accumulate_t<T>>(), shape);
    expect(moments, key + ".steps", io::FileType::i64, {});
  });
  for (const io::StateDict* file : {&weights, &moments}) {
    for (const auto& [name, tensor] : *file) {
      if (!used.contains(name)) report.unexpected.push_back(name);
    }
  }
  if (!report.ok()) fail<FormatError>(folder, "a checkpoint of this run", report.text());

  for_each_slot<T>(model, slots, [&](const std::string& key, auto& slot) {
    const auto fill = [](auto& tensor, const io::StoredTensor& stored) {
      using E = std::remove_pointer_t<decltype(tensor.data())>;
      tensor.copy_from(stored.to<E>().to(tensor.device()));
    };
    slot.parameter.assign(weights.at(key).to<T>().to(slot.m.device()));
    fill(slot.m, moments.at(key + ".m"));
    fill(slot.v, moments.at(key + ".v"));
    slot.steps = moments.at(key + ".steps").to<std::int64_t>().item();
  });
  stepper.optimizer().zero_grad();
  stepper.set_step(step);
  stepper.set_random(random);
  return state.at("extra");
}

/// Puts model and stepper in the state they were saved in; returns `extra`. Their numbers change in place. Throws
/// FormatError, and changes nothing, where the checkpoint is damaged or of another model, scalar type or recipe; the
/// message names what differs.
template <Floating T, class Model>
io::Json restore(const std::string& folder, Model& model, Stepper<T, Model>& stepper,
                 OtherRecipe other = OtherRecipe::refuse) {
  check_manifest(folder);
  return restore_whole<T>(folder, model, stepper, other);
}

}  // namespace plume::train
