#pragma once
// Training checkpoints of the PyTorch reference, checkpoint_N.pt, written and read:
//
//   epoch                    the last one that was finished
//   model_state_dict         models/checkpoint.hpp
//   optimizer_state_dict     torch.optim.AdamW: {state: {index: {step, exp_avg, exp_avg_sq}}, param_groups}
//   lr_scheduler_state_dict  LambdaLR: last_epoch is the number of steps
//
// The indices count first what has weight decay, the blocks in their order, then the resampler and the token table;
// within a module as PyTorch's named_parameters. There the token table trains as a whole, its gradient masked to the
// rows that Plume trains: its moments are [V, d], zero elsewhere.

#include "plume/io/torch_file.hpp"
#include "plume/io/torch_writer.hpp"
#include "plume/models/checkpoint.hpp"
#include "plume/train/checkpoint.hpp"

namespace plume::train {

namespace detail {

template <class Slot>
struct NamedSlot {
  std::string key;
  Slot* slot;
  [[nodiscard]] bool is_token_rows() const { return key.ends_with(".trainable_rows"); }
};

/// The slots by the reference's two groups, in its order.
template <Floating T, class Slot>
std::array<std::vector<NamedSlot<Slot>>, 2> reference_groups(const nn::Module& model,
                                                             std::span<Slot> slots) {
  std::array<std::vector<NamedSlot<Slot>>, 2> out;
  for_each_slot<T>(model, slots, [&](const std::string& key, Slot& slot) {
    out[key.find("gated_cross_attn") == std::string::npos].push_back({key, &slot});
  });
  return out;
}

/// The rows that train of a table [V, d], and whether any other is not zero.
template <class A, class Tokens>
std::pair<Tensor<A>, bool> rows_of_table(const Tokens& tokens, const Tensor<A>& table) {
  const std::vector<std::int64_t>& ids = tokens.overlay_ids();
  const index_t d = table.size(1);
  Tensor<A> rows({static_cast<index_t>(ids.size()), d});
  for (std::size_t k = 0; k < ids.size(); ++k)
    rows.select(0, static_cast<index_t>(k)).copy_from(table.select(0, ids[k]));
  bool rest = false;
  for (index_t row = 0; row < table.size(0); ++row) {
    if (std::find(ids.begin(), ids.end(), row) != ids.end()) continue;
    const A* at = table.data() + row * d;
    rest = rest || std::any_of(at, at + d, [](A x) { return x != A{}; });
  }
  return {rows, rest};
}

/// [V, d], zero but for the rows that train.
template <class A, class Tokens>
Tensor<A> table_of_rows(const Tokens& tokens, const Tensor<A>& rows) {
  Tensor<A> out = zeros<A>({tokens.vocabulary(), rows.size(1)});
  for (std::size_t k = 0; k < tokens.overlay_ids().size(); ++k)
    out.select(0, tokens.overlay_ids()[k])
        .copy_from(rows.to(cpu).select(0, static_cast<index_t>(k)));
  return out;
}

}  // namespace detail

/// Writes the state between two steps, so that torch.load (weights_only too) and the reference's resume take it; it goes
/// on with `epoch` + 1. Throws std::system_error.
template <Floating T, class Model>
void export_torch(const Model& model, const Stepper<T, Model>& stepper, const std::string& path,
                  index_t epoch = 0) {
  using io::TorchValue;
  require_finite<T>(model, stepper);
  const Recipe& recipe = stepper.recipe();
  const double rate = recipe.learning_rate * recipe.schedule(stepper.step());
  TorchValue::Dict state;
  TorchValue::List groups;
  index_t index = 0;
  for (const auto& group : detail::reference_groups<T>(model, stepper.optimizer().slots())) {
    TorchValue::List indices;
    for (const auto& named : group) {
      indices.emplace_back(index);
      const auto moment = [&](const Tensor<accumulate_t<T>>& m) {
        return io::StoredTensor(
            named.is_token_rows() ? detail::table_of_rows(model.lang_encoder->tokens(), m) : m);
      };
      // PyTorch has no entry for a parameter that was never updated.
      if (named.slot->steps > 0) {
        const io::StoredTensor steps(full<float>({}, static_cast<float>(named.slot->steps)));
        state.emplace_back(index, TorchValue::Dict{{"step", steps},
                                                   {"exp_avg", moment(named.slot->m)},
                                                   {"exp_avg_sq", moment(named.slot->v)}});
      }
      ++index;
    }
    groups.emplace_back(
        TorchValue::Dict{{"weight_decay", groups.empty() ? recipe.weight_decay : 0.0},
                         {"lr", rate},
                         {"betas", TorchValue::Tuple{{recipe.beta1, recipe.beta2}}},
                         {"eps", recipe.eps},
                         {"amsgrad", false},
                         {"foreach", {}},
                         {"maximize", false},
                         {"capturable", false},
                         {"differentiable", false},
                         {"fused", {}},
                         {"initial_lr", recipe.learning_rate},
                         {"params", std::move(indices)}});
  }
  const TorchValue::List rates{rate, rate};
  const TorchValue::Dict scheduler{
      {"base_lrs", TorchValue::List{recipe.learning_rate, recipe.learning_rate}},
      {"last_epoch", stepper.step()},
      {"_step_count", stepper.step() + 1},
      {"_get_lr_called_within_step", false},
      {"_last_lr", rates},
      {"lr_lambdas", TorchValue::List{{}, {}}}};
  io::write_torch(path,
                  TorchValue::Dict{{"epoch", epoch},
                                   {"model_state_dict", models::checkpoint_of<T>(model)},
                                   {"optimizer_state_dict",
                                    TorchValue::Dict{{"state", state}, {"param_groups", groups}}},
                                   {"lr_scheduler_state_dict", scheduler}});
}

/// What a file says of its run beyond weights and moments.
struct TorchRun {
  index_t epoch = 0;  ///< the last one that was finished
  index_t step = 0;   ///< steps taken
  /// Where Plume goes on otherwise than PyTorch would: its recipe is another, something in the file has no place here.
  std::vector<std::string> differences;
};

namespace detail {

/// Reads the optimizer's part of a file; `name` is for messages.
class TorchOptimizer {
 public:
  using Value = io::PickleValue;
  using Kind = Value::Kind;

  TorchOptimizer(const io::TorchFile& file, std::string name)
      : file_(file), name_(std::move(name)) {
    const Value& optimizer = member(file.root(), "optimizer_state_dict");
    const Value& state = member(optimizer, "state");
    for (std::size_t i = 0; i + 1 < state.items.size(); i += 2)
      state_[integer(*state.items[i], "an index of state")] = state.items[i + 1];
    for (const Value* group : member(optimizer, "param_groups").items) groups_.push_back(group);
  }

  /// Throws FormatError where `value` is no dictionary with that key.
  [[nodiscard]] const Value& member(const Value& value, const char* key) const {
    const Value* found = value.find(key);
    if (found == nullptr)
      fail<FormatError>(name_, cat(key, " as a training checkpoint of PyTorch has"), "none");
    return *found;
  }
  [[nodiscard]] index_t integer(const Value& value, std::string_view what) const {
    if (!value.is(Kind::integer) || value.integer < 0)
      fail<FormatError>(name_, cat("a natural number as ", what), "another value");
    return value.integer;
  }
  /// A number of Python's, or a tensor of one element.
  [[nodiscard]] double number(const Value& value, std::string_view what) const {
    if (value.is(Kind::real)) return value.real;
    if (value.is(Kind::integer)) return static_cast<double>(value.integer);
    if (!value.is(Kind::tensor))
      fail<FormatError>(name_, cat("a number as ", what), "another value");
    const io::StoredTensor stored = file_.tensor(value);
    if (stored.shape().numel() != 1)
      fail<FormatError>(name_, cat("one number as ", what), stored.shape());
    return stored.to<double>().reshape({}).item();
  }
  [[nodiscard]] index_t count(const Value& value, std::string_view what) const {
    const double out = number(value, what);
    if (!(out >= 0 && out < 0x1p53 && out == std::floor(out)))
      fail<FormatError>(name_, cat("a natural number as ", what), out);
    return static_cast<index_t>(out);
  }
  [[nodiscard]] io::StoredTensor tensor(const Value& of, const char* key) const {
    const Value& value = member(of, key);
    if (!value.is(Kind::tensor))
      fail<FormatError>(name_, cat("a tensor as ", key), "another value");
    return file_.tensor(value);
  }

  [[nodiscard]] const std::vector<const Value*>& groups() const noexcept { return groups_; }
  /// Null where that parameter was never updated.
  [[nodiscard]] const Value* state(index_t index) const {
    const auto found = state_.find(index);
    return found == state_.end() ? nullptr : found->second;
  }
  [[nodiscard]] std::size_t size() const noexcept { return state_.size(); }

 private:
  const io::TorchFile& file_;
  std::string name_;
  std::map<index_t, const Value*> state_;
  std::vector<const Value*> groups_;
};

}  // namespace detail

/// Takes weights, moments and the step from a training checkpoint of PyTorch; numbers change in place. The recipe stays
/// the stepper's. The language model and the vision encoder must be loaded before. Throws FormatError, and changes
/// nothing, where the file has no optimizer's state (models::load_checkpoint reads such) or does not fit the model.
template <Floating T, class Model>
TorchRun import_torch(const std::string& path, Model& model, Stepper<T, Model>& stepper) {
  using A = accumulate_t<T>;
  const io::TorchFile file(io::Source::file(path));
  const detail::TorchOptimizer optimizer(file, path);
  const auto ours = detail::reference_groups<T>(model, stepper.optimizer().slots());
  if (optimizer.groups().size() != ours.size())
    fail<FormatError>(path, "two groups of parameters, with decay and without",
                      optimizer.groups().size());

  TorchRun run;
  const Recipe& recipe = stepper.recipe();
  struct Plan {
    typename AdamW<T>::Slot* slot;
    Tensor<A> m, v;
    index_t steps;
  };
  std::vector<Plan> plan;
  std::vector<std::string> misfits;
  std::size_t used = 0;
  for (std::size_t g = 0; g < ours.size(); ++g) {
    const io::PickleValue& group = *optimizer.groups()[g];
    const auto note = [&](const char* what, const io::PickleValue& there, double here) {
      const double value = optimizer.number(there, what);
      if (value != here)
        run.differences.push_back(cat(what, " of group ", g, ": ", io::print_json(io::Json(value)),
                                      " in the file, ", io::print_json(io::Json(here)), " here"));
    };
    const bool scheduled = group.find("initial_lr") != nullptr;
    note("learning rate", optimizer.member(group, scheduled ? "initial_lr" : "lr"),
         recipe.learning_rate);
    const io::PickleValue& betas = optimizer.member(group, "betas");
    if (betas.items.size() != 2) fail<FormatError>(path, "two betas", betas.items.size());
    note("beta1", *betas.items[0], recipe.beta1);
    note("beta2", *betas.items[1], recipe.beta2);
    note("eps", optimizer.member(group, "eps"), recipe.eps);
    note("weight decay", optimizer.member(group, "weight_decay"), g == 0 ? recipe.weight_decay : 0);

    const std::vector<io::PickleValue*>& indices = optimizer.member(group, "params").items;
    if (indices.size() != ours[g].size())
      fail<FormatError>(path, cat(ours[g].size(), " parameters in group ", g), indices.size());
    for (std::size_t i = 0; i < indices.size(); ++i) {
      const detail::NamedSlot<typename AdamW<T>::Slot>& named = ours[g][i];
      const Shape& shape = named.slot->parameter.shape();
      const io::PickleValue* state =
          optimizer.state(optimizer.integer(*indices[i], "an index of params"));
      if (state == nullptr) {
        plan.push_back({named.slot, zeros<A>(shape), zeros<A>(shape), 0});
        continue;
      }
      ++used;
      const index_t steps = optimizer.count(optimizer.member(*state, "step"), "step");
      const auto moment = [&](const char* key) {
        const io::StoredTensor stored = optimizer.tensor(*state, key);
        const Shape wanted = named.is_token_rows()
                                 ? Shape{model.lang_encoder->tokens().vocabulary(), shape[1]}
                                 : shape;
        if (!(stored.shape() == wanted)) {
          misfits.push_back(
              cat(named.key, ".", key, ": ", stored.shape(), " in the file, ", wanted, " here"));
          return Tensor<A>();
        }
        const Tensor<A> whole = stored.to<A>();
        if (!named.is_token_rows()) return whole;
        const auto [rows, rest] = detail::rows_of_table(model.lang_encoder->tokens(), whole);
        if (rest)
          run.differences.push_back(
              cat(named.key, ".", key, ": other rows of the file trained too"));
        return rows;
      };
      plan.push_back({named.slot, moment("exp_avg"), moment("exp_avg_sq"), steps});
    }
  }
  if (used != optimizer.size())
    fail<FormatError>(path, cat("state of ", used, " parameters, as the groups say"),
                      optimizer.size());
  if (!misfits.empty()) {
    models::LoadReport report;
    report.mismatched = std::move(misfits);
    fail<FormatError>(path, "moments that fit the model", report.text());
  }
  run.epoch = optimizer.integer(optimizer.member(file.root(), "epoch"), "epoch");
  for (const Plan& p : plan) run.step = std::max(run.step, p.steps);
  if (const io::PickleValue* scheduler = file.root().find("lr_scheduler_state_dict"))
    run.step = optimizer.integer(optimizer.member(*scheduler, "last_epoch"), "last_epoch");

  models::load_checkpoint<T>(model, file.tensors(*io::state_of(file.root(), path).tensors), true);
  for (Plan& p : plan) {
    p.slot->m.copy_from(p.m.to(p.slot->m.device()));
    p.slot->v.copy_from(p.v.to(p.slot->v.device()));
    p.slot->steps = p.steps;
  }
  stepper.optimizer().zero_grad();
  stepper.set_step(run.step);
  return run;
}

}  // namespace plume::train
