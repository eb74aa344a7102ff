#include <doctest/doctest.h>

#include <fstream>
#include <map>

#include "plume/core/random.hpp"
#include "plume/data/documents.hpp"
#include "plume/data/labels.hpp"
#include "plume/data/losses.hpp"
#include "plume/data/tar.hpp"
#include "verify/groups.hpp"
#include "verify/sha1.hpp"

// Golden data, as the application verifies it; by which reason each record is dropped; and the parts a golden case
// cannot show alone: the assignment, names of members.

using namespace plume;
using data::Drop;
using data::Sample;
using io::Json;

namespace {

const std::string folder = "tests/golden/data/";

/// Records of a shard by what became of them; "" counts samples.
template <class Make>
Json outcomes(const std::string& shard, Make make) {
  std::map<std::string, int> out;
  try {
    data::Shard reader(folder + shard);
    while (auto record = reader.next()) {
      try {
        make(*std::move(record));
        ++out[""];
      } catch (const Drop& drop) {
        ++out[drop.what()];
      }
    }
  } catch (const Drop& drop) {
    ++out[drop.what()];
  }
  return out;
}

TEST_CASE("golden: shards to samples and labels as the reference makes them") {
  for (const auto& [where, comparisons] :
       {std::pair{"tests/golden/data/", 309}, {"tests/golden/data_edge/", 1300}}) {
    flamingo::Report report;
    flamingo::verify_data(where, report);
    CHECK(report.comparisons().size() >= static_cast<std::size_t>(comparisons));
    for (const flamingo::Comparison& c : report.comparisons())
      CHECK_MESSAGE(c.passes(), c.name, ": ", c.detail);
  }
}

data::Record record_of(std::vector<std::pair<std::string, std::string>> files) {
  data::Record out{"shard.tar", "key"};
  for (const auto& [name, text] : files) {
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    out.files.emplace_back(name, data::FileBytes(bytes, bytes + text.size()));
  }
  return out;
}

std::string contents(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST_CASE("pairs: special tokens in a caption are characters, and are counted") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");
  const data::Specials s = data::Specials::of(tokenizer);
  const std::string picture = contents("tests/golden/images/files/rgb-61x47.png");
  for (const char* caption :
       {"a <image> of it", "<image>", "<image><image>", "end <|endofchunk|> it", "a <|endoftext|>",
        "<PAD>", "x<|padding|>"}) {
    INFO(caption);
    const Sample sample =
        data::make_pair(record_of({{"png", picture}, {"txt", caption}}), tokenizer);
    const auto count = [&](std::int64_t id) {
      return std::count(sample.ids.begin(), sample.ids.end(), id);
    };
    CHECK(count(s.image) == 1);
    CHECK(count(s.end_of_chunk) == 1);
    CHECK(count(*tokenizer.eos()) == 1);
    CHECK(count(s.pad) == 0);
    CHECK(tokenizer.decode(sample.ids) ==
          cat("<image>", caption, "<|endofchunk|>", "<|endoftext|>"));
    CHECK(sample.note == "a special token in a text, kept as characters");
  }
  for (const char* caption : {"a dog", "<imag", "< image >", "<IMAGE>", "ge>"})
    CHECK(data::make_pair(record_of({{"png", picture}, {"txt", caption}}), tokenizer).note.empty());
  data::Losses losses;
  losses.emitted("odd");
  losses.emitted();
  CHECK(losses.notes() == std::map<std::string, std::uint64_t>{{"odd", 1}});
  data::Losses restored;
  restored.set_state(losses.state());
  CHECK(restored.state() == losses.state());
}

TEST_CASE(
    "pairs and documents: nothing to learn, or an <image> without its picture, is dropped by "
    "rule") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");
  const std::string picture = contents("tests/golden/images/files/rgb-61x47.png");
  const auto dropped = [](auto make) -> std::string {
    try {
      make();
      return "";
    } catch (const Drop& drop) {
      return cat(drop.what(), drop.kind() == Drop::Kind::rule ? " (rule)" : "");
    }
  };
  const auto pair = [&](const char* caption, std::size_t most) {
    return dropped([&] {
      (void)data::make_pair(record_of({{"png", picture}, {"txt", caption}}), tokenizer,
                            {.max_tokens = most});
    });
  };
  CHECK(pair("", 32) == "");
  CHECK(pair("  ", 2) == "");
  CHECK(pair("a dog", 1) == "no token to learn (rule)");
  CHECK(pair("a dog", 0) == "no <image> among the tokens (rule)");
  const auto generated = [&](const std::string& example, std::size_t pictures,
                             std::size_t most = 256) {
    Json document{{"is_gpt", true}, {"example", example}, {"image_map", Json::object()}};
    for (std::size_t i = 1; i <= pictures; ++i)
      document["image_map"][cat("_!_IMAGE", i, "_!_")] = {
          {"base64_image", io::base64_encode(std::as_bytes(std::span(picture)))}};
    return dropped([&] {
      const Sample made = data::make_document(record_of({{"json", io::print_json(document)}}),
                                              tokenizer, 0, {.max_tokens = most});
      const auto image = *tokenizer.image();
      CHECK(std::count(made.ids.begin(), made.ids.end(), image) == std::ssize(made.pictures));
    });
  };
  CHECK(generated("a _!_IMAGE1_!_", 1, 2) == "no token to learn (rule)");
  CHECK(generated("a _!_IMAGE1_!_ b", 1) == "");
  CHECK(generated("a <image> _!_IMAGE1_!_ b <|endofchunk|>", 1) == "");
  CHECK(generated("_!_IMAGE1_!_ a _!_IMAGE1_!_ b", 1) == "");
  CHECK(generated("_!_IMAGE1_!_ a _!_IMAGE2_!_ b", 1) == "a mark without its picture");
  CHECK(generated("_!_IMAGE1_!_ a", 3) == "");
}

TEST_CASE("notes that are not used do no harm, where Python reads them") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");
  const std::string picture = contents("tests/golden/images/files/rgb-61x47.png");
  const auto emitted = [&](const std::string& name, const std::string& note) {
    try {
      (void)data::make_pair(record_of({{"png", picture}, {"txt", "a dog"}, {name, note}}),
                            tokenizer);
      return true;
    } catch (const Drop&) {
      return false;
    }
  };
  for (const char* note : {"{\"p\": NaN}", "[-Infinity, 1e999]", "{\"u\": \"\\ud800\"}",
                           "{\"a\":1,\"a\":2}", "\xEF\xBB\xBF{}", "\"\xED\xA0\x80\""})
    CHECK_MESSAGE(emitted("json", note), note);
  for (const char* note : {"", "{a: 1}", "[01]", "\"\xFF\"", "{} {}", "[nan]"})
    CHECK_MESSAGE(!emitted("json", note), note);
  CHECK(!emitted("json", std::string(100'000, '[')));
  CHECK(!emitted("meta.json", "{a"));
  CHECK(emitted("cls", " -1_0\n"));
  for (const char* number : {"seven", "", "1__0", "_1", "1_", "0x1", "1.0"})
    CHECK_MESSAGE(!emitted("cls", number), number);
  CHECK(!emitted("jpg", "no picture"));
  CHECK(emitted("bin", "\xFF"));
}

TEST_CASE("shards from the field") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");
  const auto samples = [&](const char* name, bool pairs) {
    std::map<std::string, int> out;
    data::Shard reader(cat("tests/cases/shards/", name));
    while (auto record = reader.next()) {
      try {
        const Sample sample = pairs ? data::make_pair(*std::move(record), tokenizer)
                                    : data::make_document(*std::move(record), tokenizer, 0.9);
        ++out[sample.note];
      } catch (const Drop& drop) {
        ++out[drop.what()];
      }
    }
    return Json(out);
  };
  CHECK(samples("nan-json.tar", true) == Json{{"", 4}});
  CHECK(samples("image-token.tar", true) ==
        Json{{"a special token in a text, kept as characters", 3}});
  CHECK(samples("gen-last.tar", false) == Json{{"no token to learn", 2}});
}

TEST_CASE(
    "labels: a document without a picture has none; an eos that is the padding is not learnt") {
  const data::Specials s{7, 8, 9};
  const std::int64_t no = data::ignored_label;
  const auto documents = [&](const text::Ids& ids) { return data::document_labels(ids, s); };
  CHECK(documents({}) == text::Ids{});
  CHECK(documents({1, 2, 8, 3}) == text::Ids{no, no, no, no});
  CHECK(documents({1, 7, 2, 8, 8, 3, 7, 4, 7, 5, 9, 9}) ==
        text::Ids{no, no, 2, 8, no, no, no, 4, no, 5, no, no});
  CHECK(data::pair_labels(text::Ids{7, 1, 7, 2, 8, 0, 9}, s) == text::Ids{no, 1, no, 2, 8, 0, no});
  CHECK(data::pair_labels(text::Ids{7, 1, 0, 0}, {7, 8, 0}) == text::Ids{no, 1, no, no});
  CHECK(data::padded({1, 2}, 4, s) == text::Ids{1, 2, 9, 9});
  CHECK(data::padded({1, 2, 3}, 2, s) == text::Ids{1, 2});
}

TEST_CASE("pairs: every record that is no sample is counted by its reason") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");
  const auto pair = [&](data::Record r) { return data::make_pair(std::move(r), tokenizer); };
  CHECK(outcomes("pairs-000000.tar", pair) == Json{{"", 11},
                                                   {"a caption that is not UTF-8", 1},
                                                   {"a picture that cannot be decoded", 1},
                                                   {"a picture that is cut", 1},
                                                   {"no caption", 1},
                                                   {"no picture", 3}});
  CHECK(outcomes("pairs-cut.tar", pair) == Json{{"", 8},
                                                {"a picture that cannot be decoded", 1},
                                                {"a picture that is cut", 1},
                                                {"cut off by the end of the shard", 1},
                                                {"no caption", 1},
                                                {"no picture", 2},
                                                {"shard: cut or damaged", 1}});
  CHECK(outcomes("pairs-empty.tar", pair) == Json::object());
  CHECK(outcomes("pairs-not-a-tar.tar", pair) == Json{{"shard: no tar", 1}});
  CHECK(outcomes("nothing.tar", pair) == Json{{"shard: no such file", 1}});
}

TEST_CASE("documents: every record that is no sample is counted by its reason") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");
  const auto document = [&](double uniform) {
    return [&, uniform](data::Record r) {
      return data::make_document(std::move(r), tokenizer, uniform);
    };
  };
  Json counts{{"", 12},
              {"a document that is not JSON", 1},
              {"a picture that cannot be decoded", 1},
              {"a picture that is not base64", 1},
              {"a picture without its number", 1},
              {"no json", 1},
              {"no picture that fits a sentence", 4},
              {"no similarity_matrix", 1}};
  CHECK(outcomes("documents-000000.tar", document(0.5)) == counts);
  counts[""] = counts[""].get<int>() - 3;
  counts["one picture alone, by chance"] = 3;
  CHECK(outcomes("documents-000000.tar", document(0.49)) == counts);
}

TEST_CASE("generated sequences: pictures follow their marks, not their numbers") {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder + "tokenizer");

  data::Shard reader(folder + "documents-000000.tar");
  Json original;
  while (auto record = reader.next()) {
    if (record->key == "000023")
      original = io::Json::parse(data::characters(record->files[0].second));
  }
  original["example"] = "_!_IMAGE3_!_ c _!_IMAGE_!_ _!_IMAGE1_!_ a";
  const auto pictures = [&](bool reference_bugs) {
    const std::string text = original.dump();
    data::Record record{"s", "k"};
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    record.files.emplace_back("json", data::FileBytes(bytes, bytes + text.size()));
    const Sample sample =
        data::make_document(record, tokenizer, 0, {.reference_bugs = reference_bugs});
    CHECK(sample.text == "<image>c _!_IMAGE_!_<|endofchunk|><image>a<|endofchunk|><|endoftext|>");
    std::vector<std::string> out;
    for (const auto& picture : sample.pictures) out.push_back(flamingo::sha1(picture.file));
    return out;
  };
  const auto fixed = pictures(false), reference = pictures(true);
  REQUIRE(reference.size() == 2);
  REQUIRE(fixed.size() == 2);
  CHECK(fixed[1] == reference[0]);
  CHECK(std::find(reference.begin(), reference.end(), fixed[0]) == reference.end());
}

TEST_CASE("assign: the least cost, and of equal ones scipy's") {
  using Pairs = std::vector<std::pair<std::size_t, std::size_t>>;
  CHECK(data::assign(3, 3, {4, 1, 3, 2, 0, 5, 3, 2, 2}) == Pairs{{0, 1}, {1, 0}, {2, 2}});
  CHECK(data::assign(2, 3, {1, 1, 1, 1, 1, 1}) == Pairs{{0, 0}, {1, 1}});
  CHECK(data::assign(3, 2, {1, 9, 9, 1, 0, 0}).has_value());
  CHECK(data::assign(0, 3, {}) == Pairs{});
  CHECK(data::assign(3, 0, {}) == Pairs{});
  CHECK(!data::assign(1, 2, {0, NAN}));
  CHECK(!data::assign(1, 1, {HUGE_VAL}));
  // Against every assignment there is, on matrices of few values so that costs are equal often.
  Generator random(7);
  for (int trial = 0; trial < 300; ++trial) {
    const auto rows = static_cast<std::size_t>(1 + random.below(4));
    const auto columns = static_cast<std::size_t>(1 + random.below(4));
    std::vector<double> cost(rows * columns);
    for (double& c : cost) c = static_cast<double>(random.below(5));
    const std::size_t n = std::min(rows, columns), m = std::max(rows, columns);
    std::vector<std::size_t> order(m);
    for (std::size_t i = 0; i < m; ++i) order[i] = i;
    double least = HUGE_VAL;
    do {
      double sum = 0;
      for (std::size_t i = 0; i < n; ++i)
        sum += rows <= columns ? cost[i * columns + order[i]] : cost[order[i] * columns + i];
      least = std::min(least, sum);
    } while (std::next_permutation(order.begin(), order.end()));
    double got = 0;
    const auto pairs = data::assign(rows, columns, cost);
    REQUIRE(pairs);
    CHECK(pairs->size() == n);
    for (const auto& [r, c] : *pairs) got += cost[r * columns + c];
    CHECK(got == least);
  }
}

TEST_CASE("key_and_suffix: to the first dot after the last slash") {
  using Name = std::pair<std::string, std::string>;
  CHECK(data::key_and_suffix("a.JPG") == Name("a", "jpg"));
  CHECK(data::key_and_suffix("x.y/a.b.Txt") == Name("x.y/a", "b.txt"));
  CHECK(!data::key_and_suffix("a"));
  CHECK(!data::key_and_suffix("x.y/.hidden"));
}

TEST_CASE("sha1: of the standard's examples") {
  const auto of = [](std::string_view text) {
    return flamingo::sha1(std::as_bytes(std::span(text.data(), text.size())));
  };
  CHECK(of("abc") == "a9993e364706816aba3e25717850c26c9cd0d89d");
  CHECK(of("") == "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  CHECK(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
}

}  // namespace
