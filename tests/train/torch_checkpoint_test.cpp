#include "plume/train/torch_checkpoint.hpp"

#include <doctest/doctest.h>

#include "tests/support/compare.hpp"
#include "tests/support/folder.hpp"
#include "tests/train/small_model.hpp"

using namespace plume;
using namespace plume::test;
using io::PickleValue;
using io::TorchValue;
using train::Stepper;

namespace {

const std::string golden = "tests/golden/train/";

train::Recipe golden_recipe() {
  return {.learning_rate = 1e-2, .clip = 1e9, .schedule = Schedule::constant(2)};
}
std::string message_of(auto call) {
  try {
    call();
  } catch (const FormatError& error) {
    return error.what();
  }
  return "nothing";
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// The step of the golden checkpoint: see its README.
template <Floating T>
void golden_step(const models::Flamingo<T>& model, Stepper<T>& stepper) {
  index_t index = 0;
  for (const auto& group : train::detail::reference_groups<T>(model, stepper.optimizer().slots())) {
    for (const auto& named : group) {
      Tensor<T> gradient(named.slot->parameter.shape());
      for (index_t i = 0; i < gradient.numel(); ++i)
        gradient.data()[i] =
            static_cast<T>(std::sin(static_cast<double>(1 + i + 10 * index)) / 100);
      backward(mul(named.slot->parameter.var(), constant(ones<T>(gradient.shape()))), gradient);
      ++index;
    }
  }
  stepper.update();
}

template <Floating T>
void check_golden() {
  INFO(std::string(dtype_name<T>()));
  const auto model = small_model<T>();
  Stepper<T> stepper(*model, golden_recipe());
  advance(*model, stepper, 2);  // something else is in place before
  const train::TorchRun run = train::import_torch(golden + "torch-checkpoint.pt", *model, stepper);
  CHECK(run.epoch == 4);
  CHECK(run.step == 3);
  CHECK(stepper.step() == 3);
  CHECK(run.differences.empty());
  const auto slots = stepper.optimizer().slots();
  CHECK(std::all_of(slots.begin(), slots.end(), [](const auto& s) { return s.steps == 3; }));

  golden_step(*model, stepper);
  const io::StateDict next = io::read_weights(golden + "torch-next.pt");
  const io::StateDict ours = models::checkpoint_of<T>(*model);
  CHECK(ours.size() == next.size());
  for (const auto& [id, tensor] : next) {
    const std::string& name = id;  // clang 14 captures no structured binding
    const Comparison same =
        compare(ours.at(name).template to<T>(), tensor.template to<T>(), forward_float);
    CHECK_MESSAGE(same.ok, name, ": ", same.message);
  }
}

TEST_CASE("import_torch: PyTorch's checkpoint, and the step it takes next") {
  check_golden<float>();
  check_golden<double>();
}

TEST_CASE("import_torch: what export_torch wrote, bit for bit; the next steps too") {
  const Folder folder;
  const auto a = small_model<float>(), b = small_model<float>();
  Stepper<float> sa(*a, small_recipe()), sb(*b, small_recipe());
  advance(*a, sa, 3);
  train::export_torch(*a, sa, folder.file("checkpoint_7.pt"), 7);
  const train::TorchRun run = train::import_torch(folder.file("checkpoint_7.pt"), *b, sb);
  CHECK(run.epoch == 7);
  CHECK(run.step == 3);
  CHECK(run.differences.empty());
  CHECK(advance(*a, sa, 2) == advance(*b, sb, 2));
  const auto x = sa.optimizer().slots(), y = sb.optimizer().slots();
  std::size_t compared = 0;
  for (std::size_t i = 0; i < x.size(); ++i)
    compared += same_bits(x[i].parameter.value(), y[i].parameter.value()) &&
                same_bits(x[i].m, y[i].m) && same_bits(x[i].v, y[i].v) && x[i].steps == y[i].steps;
  CHECK(compared == x.size());
}

TEST_CASE("export_torch: the dictionary PyTorch's optimizer and scheduler take") {
  const Folder folder;
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, golden_recipe());
  train::import_torch(golden + "torch-checkpoint.pt", *model, stepper);
  train::export_torch(*model, stepper, folder.file("ours.pt"), 4);
  const io::TorchFile ours(io::Source::file(folder.file("ours.pt")));
  const io::TorchFile theirs(io::Source::file(golden + "torch-checkpoint.pt"));
  const auto keys = [](const PickleValue& of) {
    std::set<std::string> out;
    for (std::size_t i = 0; i < of.items.size(); i += 2)
      out.insert(of.items[i]->text + cat(of.items[i]->integer));
    return out;
  };
  CHECK(keys(ours.root()) == keys(theirs.root()));
  const PickleValue& a = *ours.root().find("optimizer_state_dict");
  const PickleValue& b = *theirs.root().find("optimizer_state_dict");
  REQUIRE(keys(*a.find("state")) == keys(*b.find("state")));
  // Every number and tensor, moments of the whole token table included.
  const io::StateDict x = ours.tensors(a), y = theirs.tensors(b);
  REQUIRE(x.size() == 26 * 3);
  CHECK(y.size() == x.size());
  for (const auto& [id, tensor] : y) {
    const std::string& name = id;  // clang 14 captures no structured binding
    INFO(name);
    CHECK(x.at(name).shape() == tensor.shape());
    CHECK(x.at(name).contiguous_bytes() == tensor.contiguous_bytes());
  }
  for (std::size_t g = 0; g < 2; ++g) {
    const PickleValue& group = *a.find("param_groups")->items[g];
    const PickleValue& other = *b.find("param_groups")->items[g];
    for (const char* number : {"lr", "initial_lr", "eps", "weight_decay"})
      CHECK(group.find(number)->real == other.find(number)->real);
    const auto indices = [](const PickleValue& of) {
      std::vector<index_t> out;
      for (const PickleValue* index : of.find("params")->items) out.push_back(index->integer);
      return out;
    };
    CHECK(indices(group) == indices(other));
  }
  CHECK(ours.root().find("lr_scheduler_state_dict")->find("last_epoch")->integer == 3);
  CHECK(ours.root().find("lr_scheduler_state_dict")->find("_step_count")->integer == 4);

  // A parameter that was never updated has no state, and comes back as such.
  stepper.optimizer().slots()[0].steps = 0;
  train::export_torch(*model, stepper, folder.file("fewer.pt"));
  train::import_torch(folder.file("fewer.pt"), *model, stepper);
  CHECK(stepper.optimizer().slots()[0].steps == 0);
  CHECK(same_bits(stepper.optimizer().slots()[0].m, zeros<float>({2, 8})));
  CHECK(stepper.optimizer().slots()[1].steps == 3);
}

TEST_CASE("import_torch: the order of parameters is that of the reference's own files") {
  for (const char* name : {"mpt1b-every1", "redpajama-every2"}) {
    INFO(name);
    std::vector<std::string> gated, resampler;
    for (const auto& [key, tensor] :
         io::read_weights(cat("tests/golden/models/", name, "/checkpoint.pt"))) {
      if (has(key, "gated_cross_attn")) gated.push_back(key.substr(key.find("_layer.") + 7));
      if (key.starts_with("perceiver.layers.0.")) resampler.push_back(key);
    }
    const auto model = small_model<float>();
    Stepper<float> stepper(*model, small_recipe());
    const auto groups = train::detail::reference_groups<float>(*model, stepper.optimizer().slots());
    REQUIRE(groups[0].size() == 11);
    for (std::size_t i = 0; i < 11; ++i)
      CHECK(groups[0][i].key == "gated_cross_attn_layers.0." + gated.at(i));
    REQUIRE(resampler.size() == 11);
    CHECK(groups[1].front().key == "perceiver.latents");
    for (std::size_t i = 0; i < 11; ++i) CHECK(groups[1][i + 1].key == resampler[i]);
    CHECK(groups[1].back().is_token_rows());
  }
}

TEST_CASE("import_torch: what does not fit is refused with names, and changes nothing") {
  const Folder folder;
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  advance(*model, stepper, 2);
  train::export_torch(*model, stepper, folder.file("good.pt"));
  const auto refusal = [&](const std::string& path, const SmallSizes& sizes) {
    const auto other = small_model<float>(sizes);
    Stepper<float> s(*other, small_recipe());
    const Tensor<float> latents = other->perceiver->latents().value().clone();
    const std::string message = message_of([&] { train::import_torch(path, *other, s); });
    CHECK(same_bits(latents, other->perceiver->latents().value()));
    CHECK(s.optimizer().slots()[0].steps == 0);
    CHECK(s.step() == 0);
    return message;
  };
  CHECK(has(refusal(folder.file("good.pt"), {.layers = 2}), "22 parameters in group 0, got 11"));
  const std::string wider = refusal(folder.file("good.pt"), {.text_width = 12});
  CHECK(
      has(wider, "gated_cross_attn_layers.0.attn.norm.weight.exp_avg: [8] in the file, [12] here"));
  CHECK(has(wider, "18 mismatched"));

  models::save_checkpoint<float>(*model, folder.file("bare.pt"));
  CHECK(has(refusal(folder.file("bare.pt"), {}), "optimizer_state_dict"));
  // The optimizer fits, a weight is missing.
  const io::StateDict weights = models::checkpoint_of<float>(*model);
  io::StateDict fewer;
  for (const auto& [name, tensor] : weights) {
    if (name != "perceiver.norm.bias") fewer.add(name, tensor);
  }
  const auto file = [&](const std::string& name, const io::StateDict& state, TorchValue optimizer) {
    io::write_torch(folder.file(name),
                    TorchValue::Dict{{"epoch", 0},
                                     {"model_state_dict", state},
                                     {"optimizer_state_dict", std::move(optimizer)}});
    return folder.file(name);
  };
  const auto group = [](index_t first, index_t last, TorchValue decay) {
    TorchValue::List indices;
    for (index_t i = first; i < last; ++i) indices.emplace_back(i);
    return TorchValue::Dict{{"lr", 1e-2},
                            {"betas", TorchValue::List{0.9, 0.999}},
                            {"eps", 1e-8},
                            {"weight_decay", std::move(decay)},
                            {"params", std::move(indices)}};
  };
  const auto optimizer = [&](TorchValue::Dict state, TorchValue decay = 0.1) {
    return TorchValue::Dict{
        {"state", std::move(state)},
        {"param_groups", TorchValue::List{group(0, 11, std::move(decay)), group(11, 26, 0)}}};
  };
  CHECK(has(refusal(file("fewer.pt", fewer, optimizer({})), {}), "perceiver.norm.bias"));
  CHECK(has(refusal(file("more.pt", weights, optimizer({{26, TorchValue::Dict{}}})), {}),
            "state of 0 parameters"));
  CHECK(has(refusal(file("empty.pt", weights, optimizer({{3, TorchValue::Dict{}}})), {}), "step"));
  CHECK(has(refusal(file("step.pt", weights, optimizer({{3, TorchValue::Dict{{"step", -1}}}})), {}),
            "natural number as step"));
  CHECK(has(refusal(file("decay.pt", weights, optimizer({}, "much")), {}), "weight decay"));
  CHECK(has(refusal(file("one.pt", weights,
                         TorchValue::Dict{{"state", TorchValue::Dict{}},
                                          {"param_groups", TorchValue::List{group(0, 26, 0.1)}}}),
                    {}),
            "two groups"));

  // What fits, but is not what Plume would do, is told.
  const io::StoredTensor full_moments(full<float>({20, 8}, 1.0F));
  const auto other = small_model<float>();
  Stepper<float> s(*other, small_recipe());
  const train::TorchRun run =
      train::import_torch(file("other.pt", weights,
                               optimizer({{25, TorchValue::Dict{{"step", 5},
                                                                {"exp_avg", full_moments},
                                                                {"exp_avg_sq", full_moments}}}},
                                         0.5)),
                          *other, s);
  CHECK(run.step == 5);
  REQUIRE(run.differences.size() == 3);
  CHECK(run.differences[0] == "weight decay of group 0: 0.5 in the file, 0.1 here");
  CHECK(has(run.differences[1], "trainable_rows.exp_avg: other rows of the file trained too"));
}

}  // namespace
