#include "plume/text/tokenizer.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <sstream>

#include "tests/support/folder.hpp"

namespace {

using namespace plume;
using namespace plume::text;
using io::Json;

const std::string golden = "tests/golden/tokenizers/";
const char* const families[] = {"neox", "opt", "llama", "llama_fast"};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  REQUIRE(file);
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

/// Counts what differs and shows the first few.
struct Mismatches {
  std::string family;
  int compared = 0, wrong = 0;

  template <class A, class B>
  void compare(const A& got, const B& expected, const Json& what) {
    ++compared;
    if (got == expected) return;
    if (++wrong > 5) return;
    MESSAGE(family << ": " << what.dump().substr(0, 300) << "\n  got " << Json(got).dump()
                   << "\n  not " << Json(expected).dump());
  }
};

/// What loading complains about; empty where it does not.
std::string complaint(const std::string& folder) {
  try {
    (void)Tokenizer::load(folder);
    return "";
  } catch (const FormatError& error) {
    return error.what();
  }
}

/// What a change of neox's tokenizer.json is refused with.
std::string refused(const std::function<void(Json&)>& change) {
  static const Json good = Json::parse(contents(golden + "neox/tokenizer.json"));
  const test::Folder folder;
  Json json = good;
  change(json);
  folder.put("tokenizer.json", json.dump());
  return complaint(folder.path.string());
}

bool names(const std::string& message, const char* field) {
  CAPTURE(message);
  const bool found = message.find(field) != std::string::npos;
  CHECK(found);
  return found;
}

TEST_CASE("tokenizer: ids and texts of the golden cases") {
  for (const char* family : families) {
    const std::string folder = golden + family + "/";
    const Tokenizer tokenizer = Tokenizer::load(folder);
    Mismatches seen{family};
    for (const Json& line : io::read_json_lines(folder + "cases.jsonl")) {
      const Ids ids = tokenizer.encode(line["text"].get<std::string>());
      seen.compare(ids, line["ids"].get<Ids>(), line["text"]);
    }
    for (const char* file : {"cases.jsonl", "decode.jsonl"}) {
      for (const Json& line : io::read_json_lines(folder + file)) {
        const Ids ids = line["ids"].get<Ids>();
        seen.compare(tokenizer.decode(ids), line["decoded"].get<std::string>(), line);
        seen.compare(tokenizer.decode(ids, {.skip_special_tokens = true}),
                     line["decoded_skip"].get<std::string>(), line);
      }
    }
    CAPTURE(std::string(family));
    CHECK(seen.compared > 2800);
    CHECK(seen.wrong == 0);
  }
}

TEST_CASE("tokenizer: batches of the golden cases") {
  for (const char* family : families) {
    const Tokenizer tokenizer = Tokenizer::load(golden + family);
    Mismatches seen{family};
    for (const Json& batch : Json::parse(contents(golden + family + "/batches.json"))) {
      const Json& args = batch["args"];
      BatchOptions options;
      options.special_tokens = args.value("add_special_tokens", true);
      if (args.contains("max_length")) options.max_length = args["max_length"].get<std::size_t>();
      const std::string padding = args.value("padding", "");
      options.padding = padding == "longest"      ? Padding::longest
                        : padding == "max_length" ? Padding::max_length
                                                  : Padding::none;
      options.padding_side = batch["padding_side"] == "left" ? Side::left : Side::right;
      const auto texts = batch["texts"].get<std::vector<std::string>>();
      const Batch got = tokenizer.encode_batch(texts, options);
      seen.compare(got.ids, batch["input_ids"].get<std::vector<Ids>>(), batch["kind"]);
      seen.compare(got.mask, batch["attention_mask"].get<std::vector<Ids>>(), batch["kind"]);
    }
    CAPTURE(std::string(family));
    CHECK(seen.compared >= 2 * 18);
    CHECK(seen.wrong == 0);
  }
}

TEST_CASE("tokenizer: special tokens of the golden cases") {
  for (const char* family : families) {
    CAPTURE(std::string(family));
    const Tokenizer tokenizer = Tokenizer::load(golden + family);
    const Json expected = Json::parse(contents(golden + family + "/specials.json"));
    CHECK(tokenizer.end_of_chunk() == expected["endofchunk"].get<TokenId>());
    CHECK(tokenizer.image() == expected["image"].get<TokenId>());
    CHECK(tokenizer.pad() == expected["pad"].get<TokenId>());
    CHECK(tokenizer.bos() == expected["bos"].get<TokenId>());
    CHECK(tokenizer.eos() == expected["eos"].get<TokenId>());
    CHECK(tokenizer.unknown() == expected["unk"].get<TokenId>());
    CHECK(tokenizer.size() == expected["len"].get<std::int64_t>());
    CHECK(tokenizer.model_size() == expected["model_vocab"].get<std::int64_t>());
    CHECK(tokenizer.special_ids() == expected["all_special_ids"].get<std::set<TokenId>>());
    CHECK(tokenizer.cleans_up() == expected["clean_up_tokenization_spaces"].get<bool>());
    CHECK((tokenizer.padding_side() == Side::left) == (expected["default_padding_side"] == "left"));

    const Tokenizer plain = Tokenizer::load(golden + family, {.flamingo_tokens = false});
    CHECK_FALSE(plain.id("<image>"));
    CHECK(plain.size() < tokenizer.size());
  }
}

TEST_CASE("tokenizer: normal form C as of Unicode 9.0") {
  CHECK(nfc("plain, caf\u00E9") == "plain, caf\u00E9");
  CHECK(nfc("cafe\u0301") == "caf\u00E9");
  CHECK(nfc("\u212B") == "\u00C5");                // a single character that becomes another
  CHECK(nfc("q\u0307\u0323") == "q\u0323\u0307");  // marks in order of their class
  CHECK(nfc("\u1100\u1161\u11A8") == "\uAC01");    // Hangul, L V T
  CHECK(nfc("\u0344") == "\u0308\u0301");          // excluded from composition
  CHECK(nfc("a\u0328\u0301\u0301") == "\u0105\u0301\u0301");
  CHECK(nfc("a\u1ABF\u0316") == "a\u1ABF\u0316");  // came with Unicode 13: class 0 here
}

TEST_CASE("tokenizer: words of GPT-2's pattern") {
  const auto words = [](std::string_view text) {
    std::vector<std::string> out;
    split_words(text, [&](std::string_view word) { out.emplace_back(word); });
    return out;
  };
  using Words = std::vector<std::string>;
  CHECK(words("I'm they'll DON'T 2023") ==
        Words{"I", "'m", " they", "'ll", " DON", "'", "T", " 2023"});
  CHECK(words("a  b") == Words{"a", " ", " b"});
  CHECK(words("a \n b \n") == Words{"a", " \n", " b", " \n"});
  CHECK(words("\nx\u3000\u00A0") == Words{"\n", "x", "\u3000\u00A0"});
  CHECK(words("'sword !'s") == Words{"'s", "word", " !'", "s"});
  CHECK(words("x\u00B2\u00BD") == Words{"x", "\u00B2\u00BD"});
  CHECK(words("").empty());
}

TEST_CASE("tokenizer: UTF-8 is replaced as browsers and Python replace it") {
  CHECK(lossy_utf8("\xF0\x9F\x98") == "\uFFFD");
  CHECK(lossy_utf8("\xE0\x80\x80") == "\uFFFD\uFFFD\uFFFD");
  CHECK(lossy_utf8("\xED\xA0\x80") == "\uFFFD\uFFFD\uFFFD");
  CHECK(lossy_utf8("a\xC3(") == "a\uFFFD(");
  CHECK(lossy_utf8("\xF4\x90\x80\x80\xC0\xFF") == "\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD");
  const Tokenizer tokenizer = Tokenizer::load(golden + "neox");
  CHECK_THROWS_AS((void)tokenizer.encode("a\xC3("), ValueError);
}

TEST_CASE("tokenizer: the work for a word grows with its length") {
  // "aa", "aaaa", ... : every join makes two more pairs to consider.
  MergeTable table(20);
  for (TokenId i = 0; i < 20; ++i) table.set(i, i, {i, i + 1});
  PairMerger merger;
  for (const std::size_t count : {std::size_t{1000}, std::size_t{10000}, std::size_t{1} << 17}) {
    std::vector<TokenId> word(count, 0);
    CHECK(merger.merge(table, word) < 3 * count);
    CHECK(word.size() < 64);
  }
  // A word in which one join leads to the next, from the left to the right.
  MergeTable chain(1000);
  for (TokenId i = 0; i < 1000; ++i) chain.set(i == 0 ? 1 : 1000 + i, 1, {i, 1001 + i});
  std::vector<TokenId> ones(100000, 1);
  CHECK(merger.merge(chain, ones) < 3 * 100000);

  const std::string text(1 << 18, 'a');
  for (const char* family : families) {
    CAPTURE(std::string(family));
    const Tokenizer tokenizer = Tokenizer::load(golden + family);
    CHECK(tokenizer.decode(tokenizer.encode(text), {.skip_special_tokens = true}) == text);
  }
  std::string marks = "e";
  for (int i = 0; i < 50000; ++i) marks += "\u0316\u0301";
  CHECK(nfc(marks).size() == marks.size() - 1);  // the first U+0301 joins the e
}

TEST_CASE("tokenizer: truncation and padding say what they need") {
  const Tokenizer tokenizer = Tokenizer::load(golden + "opt");
  CHECK(tokenizer.encode("a dog", {.max_length = 1}) == Ids{2});
  CHECK_THROWS_AS((void)tokenizer.encode("a dog", {.max_length = 0}), ValueError);
  CHECK(tokenizer.encode("a dog", {.special_tokens = false, .max_length = 0}).empty());
  const std::vector<std::string> texts{"a dog"};
  CHECK_THROWS_AS((void)tokenizer.encode_batch(texts, {.padding = Padding::max_length}),
                  ValueError);
  const Tokenizer plain = Tokenizer::load(golden + "neox", {.flamingo_tokens = false});
  CHECK_THROWS_AS((void)plain.encode_batch(texts), ValueError);
  CHECK(plain.decode(Ids{-1, 1 << 30}) == "");
}

TEST_CASE("tokenizer: a token of the model is found whole only where it is special") {
  const test::Folder folder(golden + "neox");
  Json json = Json::parse(contents(golden + "neox/tokenizer.json"));
  const TokenId in = json["model"]["vocab"]["in"];
  json["added_tokens"].push_back({{"id", in}, {"content", "in"}, {"special", false}});
  folder.put("tokenizer.json", json.dump());
  Tokenizer tokenizer = Tokenizer::load(folder.path.string());
  CHECK(tokenizer.encode("ing").size() == 1);
  CHECK(tokenizer.add_special("in") == in);
  CHECK(tokenizer.encode("ing") == Ids{in, tokenizer.id("g").value()});
}

TEST_CASE("tokenizer: what a file cannot say here is refused by the field's name") {
  CHECK(refused([](Json&) {}) == "");
  const auto set = [](const char* pointer, const Json& value) {
    const std::string message =
        refused([&](Json& json) { json[Json::json_pointer(pointer)] = value; });
    std::string name = std::string(pointer).substr(1);
    std::replace(name.begin(), name.end(), '/', '.');
    CAPTURE(message);
    CHECK(message.find(name) != std::string::npos);
  };
  set("/model/type", "Unigram");
  set("/model/dropout", 0.1);
  set("/model/continuing_subword_prefix", "##");
  set("/model/end_of_word_suffix", "</w>");
  set("/model/fuse_unk", 3);
  set("/model/unk_token", 3);
  set("/model/vocab", Json::array());
  set("/model/merges", "a b");
  set("/normalizer/type", "NFKC");
  set("/pre_tokenizer/type", "Whitespace");
  set("/post_processor/type", "Other");
  set("/decoder/type", "WordPiece");
  set("/normalizer", "NFC");
  set("/added_tokens", 3);
  names(refused([&](Json& json) { json["added_tokens"][0]["single_word"] = true; }), "single_word");
  names(refused([&](Json& json) { json["added_tokens"][0]["lstrip"] = 3; }), "lstrip");
  names(refused([](Json& json) { json["added_tokens"][1]["id"] = 7; }), "added_tokens[1].id");
  names(refused([](Json& json) { json["added_tokens"][1]["id"] = "1"; }), "added_tokens[1].id");
  names(refused([](Json& json) { json["model"]["vocab"]["!"] = 1; }), "each once");
  names(refused([](Json& json) { json["model"]["vocab"]["!"] = -1; }), "each once");
  names(refused([](Json& json) { json["model"]["vocab"]["!"] = 1e9; }), "each once");
  names(refused([](Json& json) { json["model"]["merges"][3] = "a"; }), "two tokens");
  names(refused([](Json& json) { json["model"]["merges"][3] = "no such"; }), "merge 3");
  names(refused([](Json& json) { json["model"].erase("vocab"); }), "model.vocab");
  names(
      refused([](Json& json) {
        Json steps = Json::array();
        const Json twice = {{"type", "Replace"}, {"pattern", {{"String", "a"}}}, {"content", "b"}};
        for (int i = 0; i < 9; ++i) steps.push_back(twice);
        json["normalizer"] = {{"type", "Sequence"}, {"normalizers", steps}};
      }),
      "normalizer");
  names(refused([](Json& json) {
          json["post_processor"] = {{"type", "TemplateProcessing"},
                                    {"single", {{{"SpecialToken", {{"id", "x"}}}}}}};
        }),
        "post_processor");
}

TEST_CASE("tokenizer: broken files are format errors") {
  CHECK_THROWS_AS((void)Tokenizer::load(test::Folder().path.string()), FormatError);
  const auto broken = [](const char* family, const char* file, const std::string& text) {
    const test::Folder folder(golden + family);
    folder.put(file, text);
    INFO(std::string(family) << " " << std::string(file) << " of " << text.size() << " bytes");
    CHECK(complaint(folder.path.string()) != "");
  };
  const std::pair<const char*, const char*> files[] = {
      {"neox", "tokenizer.json"}, {"llama_fast", "tokenizer.json"}, {"opt", "vocab.json"},
      {"opt", "merges.txt"},      {"opt", "tokenizer_config.json"}, {"llama", "tokenizer.model"}};
  for (const auto& [family, file] : files) {
    const std::string whole = contents(golden + family + "/" + file);
    for (std::size_t part = 0; part < 12; ++part) {
      std::size_t cut = whole.size() * part / 12;
      while (cut > 0 && whole[cut - 1] == '\n')
        --cut;  // a shorter merges.txt may well be a whole one
      broken(family, file, whole.substr(0, cut));
    }
    broken(family, file, whole.substr(0, whole.size() - 1));
    broken(family, file, std::string(100000, '['));
    broken(family, file, std::string(1000, '\xFF'));
    broken(family, file, "[]");
  }
  broken("neox", "special_tokens_map.json", R"({"eos_token": 3})");
  broken("neox", "special_tokens_map.json",
         R"({"eos_token": {"content": "x", "single_word": true}})");
  broken("neox", "tokenizer_config.json", R"({"padding_side": "middle"})");
  broken("neox", "tokenizer_config.json", R"({"add_prefix_space": 3})");
  broken("opt", "added_tokens.json", "{}");
  broken("opt", "merges.txt", "#version: 0.2\na b c\n");
}

TEST_CASE("tokenizer: data makes no special token, and words go across its border") {
  for (const std::string family : {"neox", "opt", "llama"}) {
    INFO(family);
    const Tokenizer tokenizer = Tokenizer::load(golden + family);
    for (const TokenId id : tokenizer.special_ids()) {
      const std::int64_t ids[] = {id};
      const std::string special = tokenizer.decode(ids, {.clean_up = false});
      if (special.empty() || tokenizer.encode(special, {.special_tokens = false}) != Ids{id})
        continue;
      INFO(special);
      for (const std::string& data :
           {special, "a " + special + " b" + special, special + special}) {
        const auto marked = MarkedText().markup("<image>").data(data).markup("<|endofchunk|>");
        Ids got = tokenizer.encode(marked, {.special_tokens = false});
        CHECK(got.front() == *tokenizer.image());
        CHECK(got.back() == *tokenizer.end_of_chunk());
        for (std::size_t i = 1; i + 1 < got.size(); ++i)
          CHECK(!tokenizer.special_ids().contains(static_cast<TokenId>(got[i])));
        CHECK(tokenizer.names_special(data));
      }
      // Half of it in markup and half in data is none either.
      for (std::size_t at = 1; at < special.size(); ++at) {
        for (const bool first : {true, false}) {
          MarkedText marked;
          const std::string a = special.substr(0, at), b = special.substr(at);
          first ? marked.data(a).markup(b) : marked.markup(a).data(b);
          for (const std::int64_t token : tokenizer.encode(marked, {.special_tokens = false}))
            CHECK(!tokenizer.special_ids().contains(static_cast<TokenId>(token)));
        }
      }
    }
    const std::string whole = "<image>Output:a dog on  the street<|endofchunk|>";
    const auto marked = MarkedText()
                            .markup("<image>Output:")
                            .data("a dog on  the str")
                            .data("eet")
                            .markup("<|endofchunk|>");
    CHECK(marked.text() == whole);
    CHECK(tokenizer.encode(marked) == tokenizer.encode(whole));
    CHECK(!tokenizer.names_special("a dog <imag e>"));
    MarkedText twice;
    twice.append(marked).append(marked);
    CHECK(tokenizer.encode(twice) == tokenizer.encode(whole + whole));
    CHECK(twice.ranges().size() == 2);
  }
}

TEST_CASE("tokenizer: no change of a few bytes of a file does harm") {
  const auto survive = [](const char* file, int times, const auto& read) {
    const std::string whole = contents(golden + file);
    std::uint32_t random = 1;
    int accepted = 0;
    for (int i = 0; i < times; ++i) {
      std::string changed = whole;
      for (int k = 0; k < 3; ++k) {
        random = random * 1664525 + 1013904223;
        changed[(random >> 8) % changed.size()] = static_cast<char>(random >> 4);
      }
      try {
        const Pipeline pipeline = read(changed);
        Ids ids;
        pipeline.encode("a dog \u4F60 \x01", ids);
        ++accepted;
      } catch (const FormatError&) {
      }
    }
    CHECK(accepted < times);
    return accepted;
  };
  CHECK(survive("llama/tokenizer.model", 400, [](const std::string& file) {
          return read_sentencepiece("tokenizer.model", file);
        }) > 0);
  survive("llama_fast/tokenizer.json", 60,
          [](const std::string& file) { return read_tokenizer_json("tokenizer.json", file); });
  const std::string vocab = contents(golden + "opt/vocab.json");
  survive("opt/merges.txt", 60, [&](const std::string& file) {
    return read_vocab_and_merges("vocab.json", vocab, "merges.txt", file);
  });
}

}  // namespace
