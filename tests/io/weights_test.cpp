#include "plume/io/weights.hpp"

#include <filesystem>

#include "plume/core/random.hpp"

#include "tests/io/golden_weights.hpp"

using namespace plume;
using namespace plume::io;
using namespace plume::test;

namespace {

TEST_CASE("weights: every form of the same state dict gives the same bytes") {
  const Json expected = read_json(golden_weights + "expected.json");
  int files = 0;
  for (const auto& [key, tensors] : expected.items()) {
    const std::string name = key;
    if (!tensors.is_array()) continue;
    INFO(name);
    check_state(read_weights(golden_weights + name), tensors);
    ++files;
  }
  CHECK(files == 17);
}

TEST_CASE("weights: hostile files are refused, nothing runs, nothing large is allocated") {
  const Json expected = read_json(golden_weights + "expected.json");
  int refused = 0;
  for (const auto& [key, verdict] : expected.items()) {
    const std::string name = key;
    if (name.rfind("hostile/", 0) != 0) continue;
    INFO(name, ": ", expected[name].dump());
    cpu_memory().reset_peak();
    const std::size_t before = cpu_memory().stats().total.peak;
    // Where the safetensors package reads the file, reading it is as good.
    if (!verdict.value("python_library", "").starts_with("accepts"))
      CHECK_THROWS_AS(read_weights(golden_weights + name), FormatError);
    CHECK(cpu_memory().stats().total.peak - before < std::size_t{1} << 20);
    ++refused;
  }
  CHECK(refused == 150);
  CHECK_FALSE(std::filesystem::exists("OWNED"));
  CHECK_FALSE(std::filesystem::exists(golden_weights + "hostile/OWNED"));
}

TEST_CASE("weights: a training checkpoint keeps its structure") {
  const TorchFile file(Source::file(golden_weights + "training-checkpoint.pt"));
  CHECK(file.root().find("epoch")->integer == 4);
  const StateDict state = file.tensors(*state_of(file.root(), "a").tensors);
  CHECK(state.contains("module.0.weight"));
  CHECK(file.root().find("optimizer_state_dict")->find("state") != nullptr);
}

/// A legacy file: `state` is the pickle of the state, `keys` and `data` the storages.
std::string legacy_file(const std::string& state, const std::string& keys,
                        const std::string& data) {
  const Source whole = Source::file(golden_weights + "legacy.pt");
  return std::string(reinterpret_cast<const char*>(whole.bytes.data()), 15) +
         "\x80\x02M\xe9\x03.\x80\x02}.\x80\x02" + state + ".\x80\x02](" + keys + "e." + data;
}

std::string short_text(const std::string& text) {
  return std::string("U") + static_cast<char>(text.size()) + text;
}

/// A tensor of `size` elements of storage "0", which has six; `view` is its sixth entry.
std::string legacy_tensor(const char* name, const char* type, char size, const std::string& view) {
  return short_text(name) + "ctorch._utils\n_rebuild_tensor_v2\n((" + short_text("storage") +
         "ctorch\n" + type + "\n" + short_text("0") + short_text("cpu") + "K\6" + view + "tQK" +
         std::string(1, '\0') + "K" + size + "\x85K\1\x85\x89}tR";
}

StateDict read_legacy(const std::string& tensors, const std::string& data) {
  auto file =
      std::make_shared<std::string>(legacy_file("}(" + tensors + "u", short_text("0"), data));
  return read_weights(
      Source{"made.pt", {reinterpret_cast<const std::byte*>(file->data()), file->size()}, file});
}

TEST_CASE("weights: views of a legacy storage lie inside it, and it has one element size") {
  std::string data("\6\0\0\0\0\0\0\0", 8);
  for (float x = 0; x < 6; x += 1) data.append(reinterpret_cast<const char*>(&x), 4);
  const auto view = [](int begin, int size) {
    return "(" + short_text("1") + "J" + std::string(reinterpret_cast<const char*>(&begin), 4) +
           "J" + std::string(reinterpret_cast<const char*>(&size), 4) + "t";
  };
  const std::string whole = legacy_tensor("a", "FloatStorage", 6, "N");
  const auto slice = [&](char size, const std::string& part) {
    return whole + legacy_tensor("b", "FloatStorage", size, part);
  };
  CHECK(read_legacy(slice(2, view(4, 2)), data).at("b").to<float>().data()[1] == 5);
  for (const auto& [size, part] : {std::pair{'\3', view(4, 2)},
                                   {'\3', view(4, 3)},
                                   {'\2', view(-1, 2)},
                                   {'\2', view(7, 0)},
                                   {'\2', view(4, -2)},
                                   {'\2', "(" + short_text("1") + "K\4t"},
                                   {'\2', std::string("(K\1K\4t")},
                                   {'\2', std::string("K\4")}})
    CHECK_THROWS_AS(read_legacy(slice(size, part), data), FormatError);
  CHECK_THROWS_WITH_AS(read_legacy(whole + legacy_tensor("b", "DoubleStorage", 2, "N"), data),
                       doctest::Contains("one element size of storage 0"), FormatError);
}

TEST_CASE(
    "weights: an index is refused for a shard that is missing or is no file, or a tensor in two") {
  for (const char* name :
       {"shards-missing-file", "shards-twice", "shards-missing-tensor", "shards-itself"}) {
    const std::string index = golden_weights + "hostile/" + name + "/model.safetensors.index.json";
    CHECK_THROWS_WITH_AS(read_weights(index), doctest::Contains(name), FormatError);
  }
  CHECK_THROWS_WITH_AS(
      read_weights(golden_weights + "hostile/shards-missing-file/model.safetensors.index.json"),
      doctest::Contains("expected the shard 2.safetensors beside it, got no such file"),
      FormatError);
}

TEST_CASE("weights: numbers of NumPy beside a state are passed over") {
  const std::string scalar =
      "cnumpy.core.multiarray\nscalar\n(cnumpy\ndtype\n(U\2f8\x89\x88tR(K\3U\1<NNNJ\xff\xff\xff"
      "\xffJ\xff\xff\xff\xffK" +
      std::string(1, '\0') + "tbC\x08\1\2\3\4\5\6\7\x08tR";
  std::string data("\6\0\0\0\0\0\0\0", 8);
  data += std::string(24, '\1');
  const StateDict state =
      read_legacy(short_text("state_dict") + "}(" + legacy_tensor("a", "FloatStorage", 6, "N") +
                      "u" + short_text("lr") + scalar,
                  data);
  CHECK(state.size() == 1);
  CHECK(state.contains("a"));
  CHECK(state.notes == std::vector<std::string>{"the state under state_dict"});
}

TEST_CASE("weights: a missing file or folder is named") {
  CHECK_THROWS_AS(read_weights("build/no-such-file.pt"), std::system_error);
  CHECK_THROWS_AS(read_weights(std::string("tests/guards")), FormatError);
}

TEST_CASE("weights: cutting a file anywhere is an error, never a crash") {
  for (const char* name :
       {"zip.pt", "legacy.pt", "plain.safetensors", "torchscript.pt", "zip-protocol4.pt",
        "legacy-slice.pt", "views-legacy.pt", "rezipped.pt", "odd.safetensors"}) {
    const Source whole = Source::file(golden_weights + name);
    const std::size_t step = std::max<std::size_t>(1, whole.bytes.size() / 400);
    for (std::size_t size = 0; size < whole.bytes.size(); size += step) {
      // A copy of exactly that size, so that a read past its end is seen.
      auto bytes = std::make_shared<std::vector<std::byte>>(
          whole.bytes.begin(), whole.bytes.begin() + static_cast<std::ptrdiff_t>(size));
      const Bytes view(*bytes);
      INFO(name, " cut to ", size);
      CHECK_THROWS_AS(read_weights(Source{name, view, bytes}), FormatError);
    }
  }
}

TEST_CASE("weights: flipped bytes are read or refused, never a crash") {
  plume::Generator random(6);
  for (const char* name : {"zip.pt", "legacy.pt", "plain.safetensors", "torchscript.pt",
                           "legacy-slice.pt", "odd.safetensors"}) {
    const Source whole = Source::file(golden_weights + name);
    for (int round = 0; round < 300; ++round) {
      auto bytes = std::make_shared<std::vector<std::byte>>(whole.bytes.begin(), whole.bytes.end());
      for (int flips = 0; flips < 3; ++flips) {
        (*bytes)[static_cast<std::size_t>(random.below(static_cast<index_t>(bytes->size())))] =
            static_cast<std::byte>(random.below(256));
      }
      const Bytes view(*bytes);
      try {
        for (const auto& [key, tensor] : read_weights(Source{name, view, bytes})) {
          CHECK(tensor.contiguous_bytes().size() < std::size_t{1} << 28);
        }
      } catch (const FormatError&) {
      }
    }
  }
}

// 30 KB of pickle once asked for gigabytes: a large value copied again and again.
TEST_CASE("weights: copies in a pickle are paid for") {
  std::string pickle = "\x80\x02";
  pickle += "c__torch__\nM\nq";
  pickle += '\0';
  pickle += '}' + std::string("(");
  for (int i = 0; i < 8000; ++i) pickle += "NN";
  pickle += std::string("uq\x01") + '0';
  for (int i = 0; i < 8000; ++i) pickle += std::string("h") + '\0' + ")\x81h\x01" + 'b' + '0';
  pickle += "N.";
  Bytes bytes(reinterpret_cast<const std::byte*>(pickle.data()), pickle.size());
  Pickle reader("copies", true);
  CHECK_THROWS_WITH_AS(reader.load(bytes), doctest::Contains("values of at most"), FormatError);
}

// A list that holds itself many times once made the walk over a legacy file's values grow without end.
TEST_CASE("weights: values that refer to each other in circles are walked once") {
  const Source legacy = Source::file(golden_weights + "legacy.pt");
  std::string file(reinterpret_cast<const char*>(legacy.bytes.data()), 15);
  file += "\x80\x02M\xe9\x03.\x80\x02}.\x80\x02]q";
  file += '\0' + std::string("(");
  for (int i = 0; i < 20000; ++i) file += std::string("h") + '\0';
  file += "e.\x80\x02].";
  const Bytes bytes(reinterpret_cast<const std::byte*>(file.data()), file.size());
  const TorchFile walked(Source{"circle", bytes, nullptr});
  CHECK(walked.root().items.size() == 20000);
  CHECK_THROWS_AS((void)walked.tensors(walked.root()), FormatError);
}

}  // namespace
