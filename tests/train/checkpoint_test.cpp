#include "plume/train/checkpoint.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>

#include <csignal>
#include <fstream>

#include "tests/support/compare.hpp"
#include "tests/support/folder.hpp"
#include "tests/train/small_model.hpp"

using namespace plume;
using namespace plume::test;
using durable::Operation;
using train::Checkpoints;
using train::Stepper;

namespace {

namespace fs = std::filesystem;

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}
bool same_files(const std::string& a, const std::string& b) {
  bool same = durable::names_in(a) == durable::names_in(b);
  for (const std::string& name : durable::names_in(a))
    same = same && bytes_of(cat(a, "/", name)) == bytes_of(cat(b, "/", name));
  return same;
}
/// Saves at step `n`, without training.
template <Floating T>
std::string save_at(const Checkpoints& to, index_t n, const models::Flamingo<T>& model,
                    Stepper<T>& stepper) {
  stepper.set_step(n);
  return to.save(model, stepper, {{"seen", n}});
}
std::string latest_of(const Checkpoints& checkpoints) {
  std::vector<std::string> problems;
  const auto found = checkpoints.latest(problems);
  for (const std::string& problem : problems) FAIL_CHECK(problem);
  return found ? fs::path(*found).filename().string() : "none";
}
/// What latest() says of a damaged root.
struct Look {
  std::string found;
  std::string problems;
};
Look look(const Checkpoints& checkpoints) {
  std::vector<std::string> problems;
  const auto found = checkpoints.latest(problems);
  Look out{found ? fs::path(*found).filename().string() : "none", ""};
  for (const std::string& problem : problems) out.problems += problem + "\n";
  return out;
}
std::string message_of(auto call) {
  try {
    call();
  } catch (const std::exception& error) {
    return error.what();
  }
  return "nothing";
}
bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Watches the operations on files, and makes the N-th fail: it alone, or with all that follow, as if the process had
/// died there.
struct Watch {
  struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
  };
  static inline int count, fails_at;
  static inline bool dies;
  static inline std::vector<std::pair<Operation, std::string>> seen;

  explicit Watch(int at = 0, bool died = false) {
    count = 0;
    fails_at = at;
    dies = died;
    seen.clear();
    durable::before_operation = [](Operation operation, const std::string& path) {
      ++count;
      if (fails_at > 0 && (count == fails_at || (dies && count > fails_at)))
        throw Failure("as asked");
      seen.emplace_back(operation, path);
    };
  }
  ~Watch() { durable::before_operation = nullptr; }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;
};

template <Floating T>
void check_round_trip() {
  INFO(std::string(dtype_name<T>()));
  const Folder root;
  const Checkpoints checkpoints(root.file("run"), 2);
  const auto a = small_model<T>(), b = small_model<T>();
  Stepper<T> sa(*a, small_recipe()), sb(*b, small_recipe());
  advance(*a, sa, 3);
  const std::string folder = checkpoints.save(*a, sa, {{"cursor", {1, 2.5, "three"}}});
  advance(*b, sb, 1);  // something else is in place before
  const io::Json extra = train::restore(folder, *b, sb);
  CHECK(extra == io::Json{{"cursor", {1, 2.5, "three"}}});
  CHECK(sb.step() == 3);
  CHECK(advance(*a, sa, 3) == advance(*b, sb, 3));
  std::size_t compared = 0;
  for (std::size_t i = 0; i < sa.optimizer().slots().size(); ++i) {
    const auto& x = sa.optimizer().slots()[i];
    const auto& y = sb.optimizer().slots()[i];
    compared += same_bits(x.parameter.value(), y.parameter.value()) && same_bits(x.m, y.m) &&
                same_bits(x.v, y.v) && x.steps == 6 && y.steps == 6;
  }
  CHECK(compared == 26);  // 14 of the resampler, 11 of the block, the token rows
  CHECK(compared == sa.optimizer().slots().size());
  CHECK(same_bits(a->lang_encoder->tokens().table(), b->lang_encoder->tokens().table()));
}

TEST_CASE("checkpoint: a run goes on from it bit for bit") {
  check_round_trip<double>();
  check_round_trip<float>();
  check_round_trip<bfloat16>();
}

TEST_CASE(
    "checkpoint: whichever operation of a save fails, the one before or the new one is whole") {
  const auto model = small_model<float>();
  freeze(*model->perceiver);
  freeze(model->fusion);
  model->fusion[0].attn_gate.set_trainable(true);
  Stepper<float> stepper(*model, small_recipe());
  advance(*model, stepper, 1);
  const Folder before, whole;
  save_at(Checkpoints(before.path, 1), 1, *model, stepper);
  advance(*model, stepper, 1);
  const std::string after = save_at(Checkpoints(whole.path, 1), 2, *model, stepper);
  for (const bool dies : {false, true}) {
    bool failed = true;
    int n = 1;
    int kept_old = 0, got_new = 0;
    for (; failed; ++n) {
      const Folder root(before.path);
      const Checkpoints checkpoints(root.path, 1);
      {
        const Watch watch(n, dies);
        failed = has(message_of([&] { save_at(checkpoints, 2, *model, stepper); }), "as asked");
      }
      INFO("operation ", n, dies ? " and all after it" : "");
      const Look found = look(checkpoints);
      if (found.found == "step-00000001") {
        ++kept_old;
        CHECK(same_files(root.file(found.found), before.file(found.found)));
      } else {
        ++got_new;
        REQUIRE(found.found == "step-00000002");
        CHECK(same_files(root.file(found.found), after));
      }
      CHECK(found.problems == "");
      save_at(checkpoints, 3, *model, stepper);
      CHECK(durable::names_in(root.path) == std::vector<std::string>{"LATEST", "step-00000003"});
      CHECK(latest_of(checkpoints) == "step-00000003");
    }
    CHECK(n > 35);
    CHECK(kept_old > 25);
    CHECK(got_new >= 8);  // LATEST flushed; the old one, file by file; no failure at all
  }
}

TEST_CASE("checkpoint: each file is on the disk before a name says that it is there") {
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  const Folder root;
  const Checkpoints checkpoints(root.path, 1);
  save_at(checkpoints, 1, *model, stepper);
  const Watch watch;
  save_at(checkpoints, 2, *model, stepper);
  const auto place = [](Operation operation, const std::string& part) {
    for (std::size_t i = 0; i < Watch::seen.size(); ++i) {
      if (Watch::seen[i].first == operation && has(Watch::seen[i].second, part))
        return static_cast<int>(i);
    }
    FAIL_CHECK(part);
    return -1;
  };
  const std::string written = root.file(".tmp-step-00000002");
  std::vector<int> order{place(Operation::make_folder, written)};
  for (const char* name :
       {"weights.safetensors", "moments.safetensors", "state.json", "manifest.json"}) {
    for (const Operation o : {Operation::create, Operation::write, Operation::flush})
      order.push_back(place(o, cat(written, "/", name, ".partial")));
    order.push_back(place(Operation::rename, cat(written, "/", name)));
  }
  const auto last = [&] { return order.back() + 1; };
  order.push_back(place(Operation::flush, written + "/manifest.json") + 2);  // the folder
  CHECK(Watch::seen[static_cast<std::size_t>(order.back())] ==
        std::pair(Operation::flush, written));
  order.push_back(place(Operation::rename, root.file("step-00000002")));
  order.push_back(last());
  CHECK(Watch::seen[static_cast<std::size_t>(order.back())] ==
        std::pair(Operation::flush, root.path.string()));
  order.push_back(place(Operation::flush, root.file("LATEST.partial")));
  order.push_back(place(Operation::rename, root.file("LATEST")));
  order.push_back(last());
  CHECK(Watch::seen[static_cast<std::size_t>(order.back())] ==
        std::pair(Operation::flush, root.path.string()));
  order.push_back(place(Operation::rename, root.file(".tmp-old-step-00000001")));
  order.push_back(place(Operation::remove, root.file(".tmp-old-step-00000001/")));
  CHECK(std::is_sorted(order.begin(), order.end()));
  CHECK(std::adjacent_find(order.begin(), order.end()) == order.end());
}

TEST_CASE("checkpoint: damage to any file is found, reported, and the one before is taken") {
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  const Folder root;
  const Checkpoints checkpoints(root.path, 3);
  for (const index_t n : {1, 2}) save_at(checkpoints, n, *model, stepper);
  const fs::path newest = root.path / "step-00000002";
  const auto names = durable::names_in(newest);
  REQUIRE(names == std::vector<std::string>{"manifest.json", "moments.safetensors", "state.json",
                                            "weights.safetensors"});
  const auto damaged = [&](const std::string& file, const std::string& with) {
    const std::string good = bytes_of(file);
    std::ofstream(file, std::ios::binary) << with;
    const Look found = look(checkpoints);
    CHECK(found.found == "step-00000001");
    // A manifest can be wrong about another file.
    CHECK(has(found.problems, file.ends_with("manifest.json") ? newest.string() : file));
    CHECK_THROWS_AS(train::restore(newest.string(), *model, stepper), FormatError);
    std::ofstream(file, std::ios::binary) << good;
  };
  for (const std::string& name : names) {
    INFO(name);
    const std::string file = (newest / name).string();
    const std::string good = bytes_of(file);
    const std::size_t stride = name == "manifest.json" ? 1 : good.size() / 16;
    for (std::size_t at = 0; at < good.size(); at += stride) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ 1);
      damaged(file, bad);
    }
    for (const std::size_t length : {std::size_t{0}, good.size() / 2, good.size() - 1}) {
      if (name == "manifest.json" && length == good.size() - 1)
        continue;  // without its last newline
      damaged(file, good.substr(0, length));
    }
    damaged(file, good + "x");
    fs::rename(file, root.file("away"));
    const Look missing = look(checkpoints);
    CHECK(missing.found == "step-00000001");
    CHECK(has(missing.problems, file));
    fs::rename(root.file("away"), file);
  }
  CHECK(latest_of(checkpoints) == "step-00000002");
  fs::remove_all(root.path / "step-00000001");
  fs::remove(newest / "state.json");
  CHECK(look(checkpoints).found == "none");
}

TEST_CASE("checkpoint: LATEST missing or wrong") {
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  const Folder root;
  const Checkpoints checkpoints(root.path, 3);
  CHECK(latest_of(checkpoints) == "none");
  CHECK(latest_of(Checkpoints(root.file("nowhere"), 1)) == "none");
  for (const index_t n : {1, 2, 3}) save_at(checkpoints, n, *model, stepper);
  for (const char* text : {"", "step-3", "step-00000009", "../run", "step-00000003x"}) {
    INFO(text);
    root.put("LATEST", text);
    const Look found = look(checkpoints);
    CHECK(found.found == "step-00000003");
    CHECK(has(found.problems, "LATEST"));
  }
  fs::remove(root.path / "LATEST");
  CHECK(look(checkpoints).found == "step-00000003");
  CHECK(has(look(checkpoints).problems, "LATEST"));
  // LATEST decides, even if there is a newer one; that comes after the older ones.
  root.put("LATEST", "step-00000002\n");
  CHECK(latest_of(checkpoints) == "step-00000002");
  fs::remove(root.path / "step-00000002" / "state.json");
  CHECK(look(checkpoints).found == "step-00000001");
  fs::remove(root.path / "step-00000001" / "state.json");
  CHECK(look(checkpoints).found == "step-00000003");
}

TEST_CASE("checkpoint: the newest few stay; what else lies there is left alone") {
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  const Folder root;
  root.put("log.jsonl", "{}");
  root.put("step-notes", "mine");
  root.put(".tmp-step-00000001/weights.safetensors", "killed");
  root.put("LATEST.partial77", "killed");
  const Checkpoints checkpoints(root.path, 2);
  const auto there = [&](std::vector<std::string> steps) {
    steps.insert(steps.begin(), {"LATEST", "log.jsonl"});
    steps.emplace_back("step-notes");
    CHECK(durable::names_in(root.path) == steps);
  };
  for (const index_t n : {99'999'998, 99'999'999, 100'000'000})
    save_at(checkpoints, n, *model, stepper);
  there({"step-100000000", "step-99999999"});
  CHECK(latest_of(checkpoints) == "step-100000000");
  // The same step again: beside the first, which then goes.
  save_at(checkpoints, 100'000'000, *model, stepper);
  there({"step-100000000-2", "step-99999999"});
  CHECK(latest_of(checkpoints) == "step-100000000-2");
  // Set back: newer ones are not counted, and make room when their step comes.
  save_at(checkpoints, 50, *model, stepper);
  there({"step-00000050", "step-100000000-2", "step-99999999"});
  save_at(checkpoints, 60, *model, stepper);
  save_at(checkpoints, 99'999'999, *model, stepper);
  there({"step-00000060", "step-100000000-2", "step-99999999"});
  CHECK(latest_of(checkpoints) == "step-99999999");
  CHECK_THROWS_AS(Checkpoints(root.path, 0), ValueError);
}

TEST_CASE("checkpoint: of another run it is refused, with names, and changes nothing") {
  const Folder root;
  const Checkpoints checkpoints(root.path, 1);
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  advance(*model, stepper, 2);
  const std::string folder = checkpoints.save(*model, stepper, nullptr);
  const auto refusal = [&]<Floating T>(T, const SmallSizes& sizes, const train::Recipe& recipe) {
    const auto other = small_model<T>(sizes);
    Stepper<T> s(*other, recipe);
    const Tensor<T> latents = other->perceiver->latents().value().clone();
    const std::string message = message_of([&] { train::restore(folder, *other, s); });
    CHECK(same_bits(latents, other->perceiver->latents().value()));
    CHECK(s.step() == 0);
    return message;
  };
  const std::string blocks = refusal(0.0F, {.layers = 2}, small_recipe());
  CHECK(has(blocks, "44 missing"));
  CHECK(has(blocks, "missing  gated_cross_attn_layers.1.attn_gate"));
  const std::string wider = refusal(0.0F, {.text_width = 12}, small_recipe());
  CHECK(has(wider,
            "gated_cross_attn_layers.0.attn.norm.weight: float32 [8] in the checkpoint, "
            "float32 [12] here"));
  const std::string scalar = refusal(0.0, {}, small_recipe());
  CHECK(has(scalar, "perceiver.latents: float32 [2, 8] in the checkpoint, float64 [2, 8] here"));
  const std::string tokens = refusal(0.0F, {.trained_tokens = {17, 19}}, small_recipe());
  CHECK(has(tokens, "trained_tokens/0: 18 in the checkpoint, 17 here"));

  train::Recipe changed = small_recipe();
  changed.clip = 2;
  changed.schedule = Schedule::cosine(2, 50);
  const std::string recipe = refusal(0.0F, {}, changed);
  CHECK(has(recipe, "recipe/clip: 1.0 in the checkpoint, 2.0 here"));
  CHECK(has(recipe, "recipe/schedule/shape: \"linear\" in the checkpoint, \"cosine\" here"));
  CHECK(has(recipe, "recipe/schedule/total: 100 in the checkpoint, 50 here"));
  CHECK(has(recipe, "3 mismatched"));
  Stepper<float> on(*model, changed);
  train::restore(folder, *model, on, train::OtherRecipe::accept);
  CHECK(on.step() == 2);

  // Something more trained then.
  const auto fewer = small_model<float>();
  freeze(*fewer->perceiver);
  Stepper<float> gates(*fewer, small_recipe());
  CHECK(has(message_of([&] { train::restore(folder, *fewer, gates); }),
            "unexpected  perceiver.latents"));
  // An optimizer of another model's parameters.
  CHECK_THROWS_AS(checkpoints.save(*fewer, stepper, nullptr), ValueError);
  CHECK_THROWS_AS(train::restore(folder, *fewer, stepper), ValueError);
}

TEST_CASE("checkpoint: parameters that were set or frozen meanwhile are saved and restored") {
  const Folder root;
  const Checkpoints checkpoints(root.path, 1);
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  advance(*model, stepper, 2);
  const Tensor<float> before = model->perceiver->latents.value().clone();
  model->perceiver->latents.set_value(before.clone());
  freeze(model->fusion);
  const std::string folder = checkpoints.save(*model, stepper, nullptr);
  model->perceiver->latents.set_value(zeros<float>({2, 8}));
  freeze(model->fusion, false);
  train::restore(folder, *model, stepper);
  CHECK(same_bits(model->perceiver->latents.value(), before));
  // Random state that is damaged is refused; none at all is what earlier versions wrote.
  default_generator().set_state({5, 9});
  Stepper<float> other(*model, small_recipe());
  default_generator().set_state({});
  const std::string second = checkpoints.save(*model, other, nullptr);
  train::restore(second, *model, stepper);
  CHECK(stepper.random() == RandomState{5, 9});
  io::Json state = io::read_json(second + "/state.json");
  const auto rewrite = [&] {
    write_whole(second + "/state.json", state.dump());
    fs::remove(second + "/manifest.json");
    train::write_manifest(second);
  };
  state["random"]["seed"] = -1;
  rewrite();
  CHECK(has(message_of([&] { train::restore_whole<float>(second, *model, stepper); }), "random"));
  state.erase("random");
  rewrite();
  train::restore_whole<float>(second, *model, stepper);
  CHECK_NOTHROW(advance(*model, stepper, 1));
  // Numbers that are not finite are never written.
  model->perceiver->latents.set_value(full<float>({2, 8}, std::nanf("")));
  CHECK(has(message_of([&] { checkpoints.save(*model, stepper, nullptr); }), "perceiver.latents"));
  CHECK(latest_of(checkpoints) == fs::path(second).filename().string());
}

TEST_CASE("checkpoint: a full disk is named, with the bytes wanted, and costs nothing") {
  const Folder root;
  const Checkpoints checkpoints(root.path, 1);
  const auto model = small_model<float>();
  Stepper<float> stepper(*model, small_recipe());
  save_at(checkpoints, 1, *model, stepper);
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &limit) == 0);
  const rlimit small{4096, limit.rlim_max};
  const auto ignore = std::signal(SIGXFSZ, SIG_IGN);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  const std::string message = message_of([&] { save_at(checkpoints, 2, *model, stepper); });
  setrlimit(RLIMIT_FSIZE, &limit);
  (void)std::signal(SIGXFSZ, ignore);
  CHECK(has(message, "cannot write"));
  CHECK(has(message, "bytes to " + root.file(".tmp-step-00000002/weights.safetensors")));
  CHECK(latest_of(checkpoints) == "step-00000001");
  CHECK(durable::names_in(root.path) == std::vector<std::string>{"LATEST", "step-00000001"});

  const train::CheckpointFolders folders(root.path, 1);
  const std::string far = message_of([&] {
    folders.add(3, std::uintmax_t{1} << 62, [](const std::string&) { FAIL("written"); });
  });
  CHECK(has(far, root.path.string()));
  CHECK(has(far, "4611686018427387904 bytes wanted"));
  CHECK(latest_of(checkpoints) == "step-00000001");
}

}  // namespace
