#include "plume/models/open.hpp"

#include <doctest/doctest.h>

#include "plume/io/torch_writer.hpp"
#include "plume/nn/hold_frozen.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using namespace plume::models;

namespace {

const std::string golden = "tests/golden/models/";
using Dict = io::TorchValue::Dict;

FlamingoSizes sizes_of(const std::string& folder) {
  return flamingo_sizes(folder + "/case.json", io::read_json(folder + "/case.json"));
}

/// A golden model of which the test replaces a file; what opening it had to say.
struct Opened {
  test::Folder folder;
  std::vector<std::string> lines;
  FlamingoSizes sizes;

  explicit Opened(const char* name) : folder(golden + name), sizes(sizes_of(golden + name)) {}
  [[nodiscard]] FlamingoFiles files() const { return files_below(folder.path.string()); }
  std::unique_ptr<Flamingo<float>> open() {
    lines.clear();
    return open_flamingo<float>(files(), sizes,
                                [&](const std::string& line) { lines.push_back(line); });
  }
  [[nodiscard]] bool said(const std::string& what) const {
    return std::any_of(lines.begin(), lines.end(),
                       [&](const std::string& l) { return l.find(what) != l.npos; });
  }
};

template <class F>
io::StateDict changed_names(const io::StateDict& state, F change) {
  io::StateDict out;
  for (const auto& [name, tensor] : state) out.add(change(name), tensor);
  return out;
}

void check_equal(const nn::Module& a, const nn::Module& b) {
  std::map<std::string, io::StoredTensor> values;
  nn::for_each_parameter(a, [&](const std::string& key, nn::ParameterBase& p) {
    values.emplace(key, io::StoredTensor(static_cast<nn::Parameter<float>&>(p).value()));
  });
  nn::for_each_parameter(b, [&](const std::string& key, nn::ParameterBase& p) {
    INFO(key);
    const io::StoredTensor other(static_cast<nn::Parameter<float>&>(p).value());
    CHECK(values.at(key).contiguous_bytes() == other.contiguous_bytes());
  });
}

TEST_CASE("open_flamingo: the wrappers in use are taken off every file, and reported") {
  const std::string folder = golden + "mpt1b-every1";
  const auto plain = open_flamingo<float>(files_below(folder), sizes_of(folder));
  const io::StateDict state = io::read_weights(folder + "/checkpoint.pt");
  const io::StateDict language = io::read_weights(folder + "/lm");
  const io::StateDict vision = io::read_weights(folder + "/vision");
  for (const char* prefix : {"_orig_mod.", "module.", "module._orig_mod.", "_orig_mod.module.",
                             "_forward_module.", "_forward_module.module.",
                             "module._fsdp_wrapped_module.", "model.", "module.model._orig_mod."}) {
    INFO(prefix);
    const auto in_front = [&](const std::string& name) { return prefix + name; };
    Opened opened("mpt1b-every1");
    io::write_torch(opened.folder.file("checkpoint.pt"),
                    Dict{{"epoch", 3},
                         {"model_state_dict", changed_names(state, in_front)},
                         {"optimizer_state_dict", Dict{{"state", Dict{}}}}});
    io::write_torch(opened.folder.file("lm/pytorch_model.bin"),
                    Dict{{"module", changed_names(language, in_front)}, {"ds_version", "0.9"}});
    io::write_torch(
        opened.folder.file("vision/open_clip_pytorch_model.bin"),
        Dict{{"epoch", 1}, {"name", "ViT"}, {"state_dict", changed_names(vision, in_front)}});
    check_equal(*plain, *opened.open());
    for (const char* what : {"checkpoint.pt: the state under model_state_dict",
                             "lm/pytorch_model.bin: the state under module",
                             "vision/open_clip_pytorch_model.bin: the state under state_dict"})
      CHECK(opened.said(what));
    CHECK(opened.said(std::string(" names without ")));
  }
}

TEST_CASE("open_flamingo: wrappers inside a model, in a container of a container") {
  const std::string folder = golden + "mpt1b-every1";
  const auto plain = open_flamingo<float>(files_below(folder), sizes_of(folder));
  const io::StateDict state = io::read_weights(folder + "/checkpoint.pt");
  Opened opened("mpt1b-every1");
  const io::StateDict inside = changed_names(state, [](std::string name) {
    const std::size_t dot = name.find('.');
    return name.insert(dot + 1, "_orig_mod._fsdp_wrapped_module.");
  });
  io::write_torch(opened.folder.file("checkpoint.pt"),
                  Dict{{"state_dict", Dict{{"model", inside}}}, {"epoch", 1}});
  check_equal(*plain, *opened.open());
  CHECK(opened.said("the state under state_dict.model"));
  CHECK(opened.said(cat(state.size(), " names without _orig_mod._fsdp_wrapped_module.")));
}

TEST_CASE("open_flamingo: two states, or one tensor twice, is refused with both names") {
  const io::StateDict state = io::read_weights(golden + "mpt1b-every1/checkpoint.pt");
  Opened opened("mpt1b-every1");
  io::write_torch(opened.folder.file("checkpoint.pt"),
                  Dict{{"model", state}, {"state_dict", state}});
  CHECK_THROWS_WITH_AS(opened.open(), doctest::Contains("under model and under state_dict"),
                       FormatError);
  io::StateDict twice = changed_names(state, [](const std::string& n) { return n; });
  twice.add("module.perceiver.latents", state.at("perceiver.latents"));
  io::write_torch(opened.folder.file("checkpoint.pt"), twice);
  CHECK_THROWS_WITH_AS(opened.open(),
                       doctest::Contains("perceiver.latents and module.perceiver.latents"),
                       FormatError);
}

TEST_CASE("open_flamingo: weights that do not fit name the file, in groups") {
  const io::StateDict state = io::read_weights(golden + "mpt1b-every1/checkpoint.pt");
  Opened opened("mpt1b-every1");
  io::StateDict other = changed_names(
      state, [](const std::string& n) { return n == "perceiver.latents" ? "perceiver.lat" : n; });
  io::write_torch(opened.folder.file("checkpoint.pt"), other);
  const std::string file = opened.folder.file("checkpoint.pt");
  CHECK_THROWS_WITH_AS(opened.open(), doctest::Contains(("[" + file + "] expected").c_str()),
                       FormatError);
  CHECK_THROWS_WITH_AS(opened.open(), doctest::Contains("missing  perceiver.latents"), FormatError);
  CHECK_THROWS_WITH_AS(opened.open(), doctest::Contains("unexpected  perceiver.lat"), FormatError);
}

/// Cuts the tables of the language model to `rows` rows and removes the checkpoint.
void make_plain(const Opened& out, index_t rows) {
  const io::StateDict state = io::read_weights(out.folder.file("lm"));
  io::StateDict cut;
  for (const auto& [key, tensor] : state) {
    const bool table = key.ends_with("embed_tokens.weight") || key.ends_with("wte.weight") ||
                       key.ends_with("embed_in.weight") || key == "embed_out.weight" ||
                       key == "lm_head.weight";
    cut.add(key, table ? tensor.first_rows(rows) : tensor);
  }
  std::filesystem::remove(out.folder.path / "lm/model.safetensors");
  io::write_torch(out.folder.file("lm/pytorch_model.bin"), cut);
  std::filesystem::remove(out.folder.path / "checkpoint.pt");
}

std::unique_ptr<Flamingo<float>> begin(Opened& opened, std::uint64_t seed) {
  opened.sizes.seed = seed;
  FlamingoFiles files = opened.files();
  files.checkpoint.clear();
  opened.lines.clear();
  return open_flamingo<float>(files, opened.sizes,
                              [&](const std::string& line) { opened.lines.push_back(line); });
}

TEST_CASE("open_flamingo: a plain language model grows, and a checkpoint holds its new rows") {
  for (const char* name :
       {"llama-every1", "mpt1b-every1", "redpajama-every2", "opt-all-previous-frozen-embeddings"}) {
    INFO(name);
    const index_t rows = 400;
    Opened opened(name);
    make_plain(opened, rows);
    const auto model = begin(opened, 7);
    TextDecoder<float>& lm = *model->lang_encoder;
    const index_t all = opened.sizes.vocabulary;
    REQUIRE(all > rows);
    CHECK(opened.said(cat(": 400 rows, and ", all - rows, " new ones drawn from seed 7")));
    const io::StateDict file = io::read_weights(opened.folder.file("lm"));
    std::vector<Tensor<float>> tables{lm.tokens().table()};
    if (!lm.tied()) tables.push_back(lm.head()->weight.value());
    for (const Tensor<float>& table : tables) {
      REQUIRE(table.size(0) == all);
      double sum = 0, squares = 0;
      const Tensor<float> fresh = table.slice(0, rows, all).contiguous();
      for (index_t i = 0; i < fresh.numel(); ++i) {
        sum += fresh.data()[i];
        squares += fresh.data()[i] * fresh.data()[i];
      }
      const auto n = static_cast<double>(fresh.numel());
      CHECK(std::abs(sum / n) < 0.002);
      CHECK(std::sqrt(squares / n) == doctest::Approx(0.02).epsilon(0.05));
    }
    if (!lm.tied())
      CHECK(io::StoredTensor(tables[0].slice(0, rows, all)).contiguous_bytes() !=
            io::StoredTensor(tables[1].slice(0, rows, all)).contiguous_bytes());
    // The same seed gives the same rows, another one others.
    check_equal(*model, *begin(opened, 7));
    const auto other = begin(opened, 8);
    CHECK(io::StoredTensor(other->lang_encoder->tokens().table()).contiguous_bytes() !=
          io::StoredTensor(tables[0]).contiguous_bytes());

    // Whoever opens the checkpoint draws from another seed and still has the rows it was trained with.
    save_checkpoint<float>(*model, opened.folder.file("checkpoint.pt"));
    opened.sizes.seed = 0;
    check_equal(*model, *opened.open());
    CHECK(opened.said("checkpoint.pt: has the new rows of "));
    // In half the memory, the table that grew keeps its numbers.
    (void)nn::hold_frozen_in_bf16(*model);
    const io::StateDict held = checkpoint_of<float>(*model);
    for (const auto& [id, tensor] : io::read_weights(opened.folder.file("checkpoint.pt"))) {
      const std::string& key = id;  // clang 14 captures no structured binding
      INFO(key);
      CHECK(held.at(key).contiguous_bytes() == tensor.contiguous_bytes());
    }
  }
}

TEST_CASE("open_flamingo: rows of a padded vocabulary are cut, and it says so") {
  Opened opened("llama-every1");
  (void)opened.open();
  CHECK(opened.said(
      "lm/model.safetensors: model.embed_tokens.weight: the first 452 of its 500 rows"));
}

}  // namespace
