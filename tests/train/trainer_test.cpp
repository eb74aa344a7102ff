#include "plume/train/trainer.hpp"

#include <map>

#include "plume/data/tar_writer.hpp"
#include "plume/ops/dropout.hpp"
#include "tests/models/model_suite.hpp"
#include "tests/support/folder.hpp"

// Training as a whole, on shards made here: it learns; stopped or killed anywhere it goes on bit for bit; another
// configuration, and steps that are not finite, are handled as said.

using namespace plume;
using namespace plume::test;
using train::End;
using train::Recipe;
using train::Trainer;
using train::TrainerOptions;

namespace {

using Model = models::Flamingo<double>;
constexpr std::int64_t end_of_chunk = 18, pad = 0;

std::unique_ptr<Model> model() {
  return suite_model<Model>(resampler_of<nn::PerceiverResampler<double>>(suite_perceiver()));
}

/// `count` shards of nine records, each a text that is its number.
std::vector<std::string> make_shards(const Folder& folder, int count) {
  std::vector<std::string> out;
  for (int s = 0; s < count; ++s) {
    out.push_back(folder.file(cat("shard", s, ".tar")));
    data::TarWriter tar(out.back());
    for (int r = 0; r < 9; ++r) tar.add(cat("r", r, ".txt"), std::to_string(9 * s + r));
    tar.commit();
  }
  return out;
}

/// A picture's brightness tells the word that follows it. Every seventh record is dropped, and that of `broken` has a
/// picture of NaN.
data::Sample make(const data::Record& record, int pictures, int broken) {
  const std::string number(data::characters(*record.find("txt")));
  const int n = std::stoi(number);
  if (n % 7 == 3) throw data::Drop("seven");
  data::Sample out{record.shard, record.key, number};
  out.images = Tensor<float>(Shape{pictures, 3, suite_side, suite_side});
  for (int p = 0; p < pictures; ++p) {
    const int word = (n + p) % 4;
    out.images.select(0, p).fill(n == broken ? std::nanf("") : static_cast<float>(word) - 1.5F);
    if (p > 0) out.ids.push_back(end_of_chunk);
    out.ids.push_back(suite_image);
    for (int i = 0; i <= n % 3; ++i) out.ids.push_back(3 + word);
  }
  out.ids.push_back(end_of_chunk);
  return out;
}

/// All a run needs, from nothing.
struct Run {
  std::unique_ptr<Model> m = model();
  std::optional<data::Loader> pairs, documents;
  TrainerOptions options;
  Recipe recipe{.learning_rate = 1e-2, .micro_batches = 2, .schedule = Schedule::constant(3)};

  explicit Run(const std::vector<std::string>& shards, std::string folder = {},
               std::size_t threads = 1, int broken = -1) {
    for (const int pictures : {1, 2}) {
      data::SourceOptions source;
      source.shards = shards;
      source.seed = 7;
      source.stream = static_cast<std::uint64_t>(pictures);
      source.shuffle = 5;
      (pictures == 1 ? pairs : documents)
          .emplace(
              source, [=](data::Record record, double) { return make(record, pictures, broken); },
              data::LoaderOptions{.threads = threads, .ahead = 3, .limits = {.most_damage = 1}});
    }
    options.pairs.loader = &*pairs;
    options.pairs.batch = 4;
    options.documents.loader = &*documents;
    options.documents.batch = 2;
    options.documents.slots = 3;
    options.specials = {suite_image, end_of_chunk, pad};
    options.steps = 12;
    options.run = std::move(folder);
    options.save_every = 5;
    options.log_every = 4;
    options.configuration = {{"lr", 1e-2}, {"seed", 7}};
    options.stop = [] { return false; };
  }
  Trainer<double> trainer() { return {*m, recipe, options}; }
};

/// Weights and moments, by name.
std::map<std::string, Tensor<double>> state(const Run& run, const Trainer<double>& trainer) {
  std::map<std::string, Tensor<double>> out;
  nn::for_each_parameter(*run.m, [&](const std::string& key, nn::ParameterBase& p) {
    out[key] = static_cast<nn::Parameter<double>&>(p)().value().clone();
  });
  int i = 0;
  for (const auto& slot : trainer.stepper().optimizer().slots()) {
    out[cat("m", i)] = slot.m.clone();
    out[cat("v", i++)] = slot.v.clone();
  }
  return out;
}
void check_same(const std::map<std::string, Tensor<double>>& a,
                const std::map<std::string, Tensor<double>>& b) {
  REQUIRE(a.size() == b.size());
  for (const auto& [name, value] : a) {
    const std::string& key = name;  // clang 14 captures no structured binding
    CHECK_MESSAGE(same_bits(value, b.at(key)), key);
  }
}

/// The steps and gates of a log, without what depends on the clock.
std::vector<io::Json> events(const std::string& run) {
  std::vector<io::Json> out;
  for (io::Json& line : io::read_json_lines(run + "/log.jsonl")) {
    if (line.at("event") != "step" && line.at("event") != "gates") continue;
    for (const char* timed : {"time", "seconds", "tokens_per_s", "images_per_s", "data_wait"})
      line.erase(timed);
    out.push_back(line);
  }
  return out;
}

struct Killed {};

TEST_CASE("trainer: the losses fall, and the log says what happened") {
  const Folder folder;
  Run run(make_shards(folder, 6), folder.file("run"));
  run.options.steps = 60;
  Trainer<double> trainer = run.trainer();
  CHECK_FALSE(trainer.resume());
  CHECK(trainer.run() == End::finished);
  const std::vector<io::Json> log = io::read_json_lines(folder.file("run/log.jsonl"));
  CHECK(log.front().at("event") == "start");
  CHECK(log.back().at("event") == "end");
  const io::Json& pairs = log.back().at("data").at("pairs");
  CHECK(pairs.at("seen") == pairs.at("emitted").get<int>() + pairs.at("dropped").get<int>());
  CHECK(pairs.at("emitted") == 60 * 2 * 4);
  std::vector<io::Json> steps, gates;
  for (const io::Json& line : log) {
    if (line.at("event") == "step") steps.push_back(line);
    if (line.at("event") == "gates") gates.push_back(line);
  }
  REQUIRE(steps.size() == 60);
  REQUIRE(gates.size() == 1 + 60 / 4);
  for (const char* stream : {"pairs", "documents"}) {
    const auto loss = [&](std::size_t step) {
      return steps[step].at("loss").at(stream).get<double>();
    };
    CHECK(loss(59) + loss(58) < 0.5 * (loss(0) + loss(1)));
  }
  CHECK(steps[0].at("step") == 1);
  CHECK(steps[0].at("learning_rate") == 0.0);
  CHECK(steps[3].at("learning_rate") == 1e-2);
  CHECK(steps[0].at("skipped") == false);
  CHECK(gates.back().at("names").size() == 2);
  CHECK(gates.back().at("attn").size() == 2);
  CHECK(gates.back().at("gradient_norms").contains("perceiver"));
  CHECK(gates.back().at("gradient_norms").contains("gated_cross_attn_layers.1"));
  CHECK(!std::filesystem::is_empty(folder.file("run/events")));
}

TEST_CASE("trainer: one stream alone; the rate follows the weights of both") {
  const Folder folder;
  const auto shards = make_shards(folder, 3);
  Run run(shards);
  run.options.documents.loader = nullptr;
  Trainer<double> trainer = run.trainer();
  const auto report = trainer.step();
  CHECK(report.pairs);
  CHECK_FALSE(report.documents);
  CHECK(report.images == 2 * 4);
  run.options.pairs.loader = nullptr;
  CHECK_THROWS_AS(run.trainer(), ValueError);
  // Twice the weight of a loss is twice its gradient.
  Run once(shards), twice(shards);
  once.options.documents.loader = twice.options.documents.loader = nullptr;
  twice.options.pairs.weight = 2 * once.options.pairs.weight;
  const double a = once.trainer().step().result.gradient_norm;
  const double b = twice.trainer().step().result.gradient_norm;
  CHECK(std::abs(b - 2 * a) <= 1e-12 * b);
}

TEST_CASE("trainer: rows with every picture slot learn what rows without learn") {
  const Folder folder;
  const auto shards = make_shards(folder, 3);
  Run some(shards), every(shards);
  every.options.every_slot = true;
  const auto a = some.trainer().step();
  const auto b = every.trainer().step();
  CHECK(*a.documents == *b.documents);
  CHECK(std::abs(a.result.gradient_norm - b.result.gradient_norm) <=
        1e-12 * a.result.gradient_norm);
}

TEST_CASE("trainer: stopped or killed after any step and resumed, it is the run that was not") {
  const Folder folder;
  const auto shards = make_shards(folder, 5);
  Run whole(shards, folder.file("whole"));
  Trainer<double> uninterrupted = whole.trainer();
  uninterrupted.run();
  const auto expected = state(whole, uninterrupted);
  const auto log = events(folder.file("whole"));
  for (const bool killed : {false, true}) {
    for (index_t at = 1; at < 12; ++at) {
      INFO((killed ? "killed" : "stopped"), " after step ", at);
      const std::string name = folder.file(cat(killed, "-", at));
      {
        Run first(shards, name);
        index_t left = at;
        first.options.stop = [&] {
          if (--left > 0) return false;
          if (killed) throw Killed();
          return true;
        };
        Trainer<double> trainer = first.trainer();
        if (killed) {
          CHECK_THROWS_AS(trainer.run(), Killed);
        } else {
          CHECK(trainer.run() == End::interrupted);
        }
      }
      Run second(shards, name, 3);
      Trainer<double> trainer = second.trainer();
      CHECK(trainer.resume() == (!killed || at > 5));
      CHECK(trainer.stepper().step() == (killed ? (at - 1) / 5 * 5 : at));
      CHECK(trainer.run() == End::finished);
      check_same(state(second, trainer), expected);
      CHECK(events(name) == log);
    }
  }
}

TEST_CASE("trainer: the losses do not depend on the threads of the loaders") {
  const Folder folder;
  const auto shards = make_shards(folder, 5);
  std::vector<double> expected;
  for (const std::size_t threads : {0U, 1U, 2U, 4U}) {
    Run run(shards, {}, threads);
    Trainer<double> trainer = run.trainer();
    std::vector<double> losses;
    for (int i = 0; i < 6; ++i) {
      const auto report = trainer.step();
      losses.insert(losses.end(), {*report.pairs, *report.documents, report.result.gradient_norm});
    }
    if (threads == 0) expected = losses;
    CHECK(losses == expected);
  }
}

TEST_CASE("trainer: another configuration is refused, and what differs is named") {
  const Folder folder;
  const auto shards = make_shards(folder, 2);
  const std::string name = folder.file("run");
  const auto enter = [&](const io::Json& configuration, bool fresh = false) {
    (void)train::RunFolder(name, configuration, {{"steps", 2}}, {}, fresh);
  };
  // A run that has come to nothing may begin with another.
  CHECK_NOTHROW(enter({{"lr", 5}}));
  const auto complaint = [](const auto& f) {
    try {
      f();
    } catch (const ValueError& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  {
    Run run(shards, name);
    run.options.steps = 2;
    enter(run.options.configuration);
    run.trainer().run();
  }
  Run other(shards, name);
  other.options.configuration["lr"] = 2e-2;
  Trainer<double> trainer = other.trainer();
  const std::string differs = "lr 0.01, now 0.02";
  CHECK(complaint([&] { trainer.resume(); }).ends_with(differs));
  CHECK(complaint([&] { enter(other.options.configuration); }).ends_with(differs));
  CHECK_NOTHROW(enter({{"lr", 1e-2}, {"seed", 7}}));
  CHECK(io::read_json(name + "/config.json").at("may_change").at("steps") == 2);
  {
    const train::RunFolder mine(name, other.options.configuration, {}, {}, true);
    CHECK(complaint([&] { enter(other.options.configuration, true); }).ends_with("at work"));
  }
  folder.put("run/mine.txt", "not of the run");
  folder.put("run/checkpoints/x", "");
  enter(other.options.configuration, true);
  CHECK(!std::filesystem::exists(name + "/checkpoints"));
  CHECK(!std::filesystem::exists(name + "/log.jsonl"));
  CHECK(std::filesystem::exists(name + "/mine.txt"));
  CHECK_FALSE(trainer.resume());
}

TEST_CASE(
    "trainer: a step that is not finite is skipped and logged; too many stop the run, and harm no "
    "checkpoint") {
  const Folder folder;
  const auto shards = make_shards(folder, 3);
  {
    Run run(shards, folder.file("some"), 1, 11);
    run.options.steps = 20;
    run.trainer().run();
    int skipped = 0;
    for (const io::Json& line : events(folder.file("some"))) {
      if (line.at("event") != "step") continue;
      const bool finite =
          line["loss"]["pairs"].is_number() && line["loss"]["documents"].is_number();
      CHECK(line.at("skipped") != finite);
      CHECK(line.contains("why") != finite);
      skipped += finite ? 0 : 1;
    }
    CHECK(skipped > 2);
    CHECK(skipped < 18);
  }
  const std::string name = folder.file("none");
  Run good(shards, name);
  good.options.steps = 6;
  good.trainer().run();
  const auto before = io::read_json(name + "/checkpoints/step-00000006/manifest.json");
  Run bad(shards, name);
  bad.options.steps = 40;
  // The weights are broken, not the data: no step is finite any more.
  Trainer<double> trainer = bad.trainer();
  REQUIRE(trainer.resume());
  nn::for_each_parameter(*bad.m->vision_encoder, [](const std::string&, nn::ParameterBase& p) {
    static_cast<nn::Parameter<double>&>(p).set_value(full<double>(p.shape(), std::nan("")));
  });
  CHECK_THROWS_AS(trainer.run(), NumericalError);
  CHECK(trainer.stepper().step() == 16);
  std::vector<std::string> damaged;
  CHECK(train::Checkpoints(name + "/checkpoints", 2).latest(damaged)->ends_with("step-00000006"));
  CHECK(io::read_json(name + "/checkpoints/step-00000006/manifest.json") == before);
}

TEST_CASE("trainer: a run that ends in skipped steps says so and saves none of them") {
  const Folder folder;
  const auto shards = make_shards(folder, 3);
  const std::string name = folder.file("run");
  const auto latest = [&] {
    std::vector<std::string> damaged;
    const auto found = train::Checkpoints(name + "/checkpoints", 2).latest(damaged);
    CHECK(damaged.empty());
    return found ? std::filesystem::path(*found).filename().string() : std::string("none");
  };
  {
    Run run(shards, name);
    run.recipe.learning_rate = 1e300;
    run.recipe.schedule = Schedule::constant(0);
    run.options.steps = 6;
    Trainer<double> trainer = run.trainer();
    CHECK(trainer.run() == End::skipped);
    CHECK(trainer.stepper().step() == 6);
    CHECK(latest() == "none");
    const auto log = io::read_json_lines(name + "/log.jsonl");
    CHECK(log.back().at("event") == "end");
    CHECK(log.back().at("skipped_in_a_row") == 5);
  }
  // The good part of a run stays what it was, and one that is asked to stop waits for a step that is taken.
  std::filesystem::remove_all(name);
  {
    Run run(shards, name);
    run.options.steps = 5;
    CHECK(run.trainer().run() == End::finished);
    CHECK(latest() == "step-00000005");
  }
  Run run(shards, name);
  run.options.steps = 9;
  Trainer<double> trainer = run.trainer();
  REQUIRE(trainer.resume());
  int asked = 0;
  run.m->fusion[0].attn_gate.set_value(full<double>({1}, std::nan("")));
  run.options.stop = [&] { return ++asked > 0; };
  CHECK(trainer.run() == End::skipped);
  CHECK(latest() == "step-00000005");
}

TEST_CASE("trainer: weights that are not finite are never saved") {
  const Folder folder;
  Run run(make_shards(folder, 3), folder.file("run"));
  run.options.steps = 1;
  run.recipe.learning_rate = 1e308;
  run.recipe.weight_decay = 1e300;
  run.recipe.schedule = Schedule::constant(0);
  Trainer<double> trainer = run.trainer();
  CHECK_THROWS_AS(trainer.run(), NumericalError);
  CHECK(!std::filesystem::exists(folder.file("run/checkpoints/LATEST")));
}

/// A resampler that drops half of what it makes, in training.
struct Dropping : nn::PerceiverResampler<double> {
  using PerceiverResampler::PerceiverResampler;
  Var<double> operator()(const Var<double>& x) const {
    return dropout(PerceiverResampler::operator()(x), 0.5, training());
  }
};
using DroppingModel =
    models::VisionLanguageModel<double, models::ClipVision<double>, Dropping,
                                nn::GatedCrossAttention<double>, models::TextDecoder<double>>;

TEST_CASE("trainer: with dropout, too, a run that was stopped is the run that was not") {
  const Folder folder;
  const auto shards = make_shards(folder, 3);
  struct DroppingRun : Run {
    std::unique_ptr<DroppingModel> d =
        suite_model<DroppingModel>(resampler_of<Dropping>(suite_perceiver()));
    using Run::Run;
    Trainer<double, DroppingModel> trainer_of() { return {*d, recipe, options}; }
    std::vector<Tensor<double>> weights() const {
      std::vector<Tensor<double>> out;
      for (const auto* p : nn::trainable_parameters<double>(*d)) out.push_back(p->value().clone());
      return out;
    }
  };
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](const auto& x, const auto& y) { return same_bits(x, y); });
  };
  for (const auto recompute : {models::Recompute::none, models::Recompute::layers}) {
    INFO(std::string(name(recompute)));
    const std::string mark = folder.file(std::string(name(recompute)));
    DroppingRun whole(shards, mark + "whole");
    whole.options.steps = 6;
    whole.options.save_every = 3;
    whole.d->plan.recompute = recompute;
    default_generator().set_state({3, 0});
    auto uninterrupted = whole.trainer_of();
    CHECK(uninterrupted.run() == End::finished);
    CHECK(uninterrupted.stepper().random().stream >= 6 * 4);
    CHECK(default_generator().state() == RandomState{3, 0});
    {
      DroppingRun first(shards, mark);
      first.options.steps = 6;
      first.options.save_every = 3;
      first.d->plan.recompute = recompute;
      index_t left = 4;  // killed after a step that was not saved
      first.options.stop = [&]() -> bool {
        (void)default_generator().bits();  // others draw, too
        if (--left == 0) throw Killed();
        return false;
      };
      auto trainer = first.trainer_of();
      CHECK_THROWS_AS(trainer.run(), Killed);
    }
    default_generator().set_state({99, 7});  // another process
    DroppingRun second(shards, mark);
    second.options.steps = 6;
    second.d->plan.recompute = recompute;
    auto trainer = second.trainer_of();
    REQUIRE(trainer.resume());
    CHECK(trainer.stepper().step() == 3);
    CHECK(trainer.run() == End::finished);
    CHECK(same(second.weights(), whole.weights()));
    CHECK(events(mark) == events(mark + "whole"));
  }
  // A checkpoint of earlier versions has no random state: it will do where nothing is drawn.
  DroppingRun old(shards);
  auto trainer = old.trainer_of();
  trainer.stepper().set_random({});
  CHECK_THROWS_AS(trainer.step(), ValueError);
  old.d->set_training(false);
  CHECK_NOTHROW(trainer.step());
}

TEST_CASE("trainer: numbers out of their range") {
  const Folder folder;
  const auto shards = make_shards(folder, 1);
  const auto refused = [&](auto change) {
    Run run(shards);
    change(run.options);
    CHECK_THROWS_AS(run.trainer(), ValueError);
  };
  refused([](TrainerOptions& o) { o.steps = 0; });
  refused([](TrainerOptions& o) { o.save_every = 0; });
  refused([](TrainerOptions& o) { o.log_every = 0; });
  refused([](TrainerOptions& o) { o.most_skipped = 0; });
  refused([](TrainerOptions& o) { o.pairs.batch = 0; });
  refused([](TrainerOptions& o) { o.documents.slots = 0; });
  refused([](TrainerOptions& o) { o.keep = 0; });
  refused([](TrainerOptions& o) { o.pairs.weight = std::nan(""); });
  refused([](TrainerOptions& o) { o.pairs.weight = -1; });
  refused([](TrainerOptions& o) { o.documents.weight = HUGE_VAL; });
}

}  // namespace
