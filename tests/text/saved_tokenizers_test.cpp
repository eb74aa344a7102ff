// Tokenizers as current libraries save them, against ids of tokenizers 0.23 and transformers 5.

#include <doctest/doctest.h>

#include "plume/text/tokenizer.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using namespace plume::text;

namespace {

const std::string cases = "tests/cases/tokenizers/";

/// The ids of `texts` by the tokenizer of a case, changed by a merge patch.
Pipeline variant(const std::string& base, io::Json patch) {
  io::Json file = io::read_json(cases + base + "/tokenizer.json");
  if (patch.contains("model") && patch["model"].value("merges", io::Json()) == "as text") {
    patch["model"].erase("merges");
    for (io::Json& merge : file["model"]["merges"])
      merge = merge[0].get<std::string>() + " " + merge[1].get<std::string>();
  }
  file.merge_patch(patch);
  return read_tokenizer_json("variant", io::print_json(file));
}

TEST_CASE("tokenizers: the ids of the tokenizers library, for every form a file has them in") {
  const io::Json all = io::read_json(cases + "variants.json");
  int compared = 0;
  for (const io::Json& one : all["variants"]) {
    const auto name = one["name"].get<std::string>();
    INFO(name);
    // The library refuses add_prefix_space: false alone; those before it wrote it for "never".
    if (one.contains("refused")) {
      if (one["patch"]["pre_tokenizer"].contains("prepend_scheme"))
        CHECK_THROWS_AS(variant(one["base"], one["patch"]), FormatError);
      continue;
    }
    const Pipeline pipeline = variant(one["base"], one["patch"]);
    for (std::size_t i = 0; i < all["texts"].size(); ++i) {
      const auto text = all["texts"][i].get<std::string>();
      INFO(text);
      Ids ids(pipeline.prefix.begin(), pipeline.prefix.end());
      pipeline.encode(text, ids);
      ids.insert(ids.end(), pipeline.suffix.begin(), pipeline.suffix.end());
      CHECK(ids == one["ids"][i].get<Ids>());
      std::vector<std::string> tokens;
      for (const auto id : ids) tokens.push_back(*pipeline.token(id));
      CHECK(run_decoder(pipeline.decoder, tokens) == one["decoded"][i].get<std::string>());
      ++compared;
    }
  }
  CHECK(compared >= 300);
}

TEST_CASE("tokenizers: LLaMA's as transformers 5 saves it") {
  const io::Json expected = io::read_json(cases + "llama.ids.json");
  const Tokenizer tokenizer = Tokenizer::load(cases + "llama", {.flamingo_tokens = false});
  for (std::size_t i = 0; i < expected["texts"].size(); ++i)
    CHECK(tokenizer.encode(expected["texts"][i].get<std::string>()) ==
          expected["ids"][i].get<Ids>());
  CHECK(tokenizer.size() == 1437);
  const Tokenizer flamingo = Tokenizer::load(cases + "llama");
  CHECK(flamingo.end_of_chunk() == 1437);
  CHECK(flamingo.image() == 1438);
  CHECK(flamingo.pad() == 1439);
}

TEST_CASE("tokenizers: a small one of every part") {
  const Tokenizer tokenizer = Tokenizer::load(cases + "small", {.flamingo_tokens = false});
  CHECK(tokenizer.encode("a <s>  b") == Ids{1, 2, 4, 3, 4});
}

TEST_CASE("tokenizers: how one was last called does not matter") {
  const Tokenizer tokenizer = Tokenizer::load(cases + "neox-called");
  CHECK(tokenizer.encode(std::string(200, 'a')).size() > 16);
  CHECK(tokenizer.end_of_chunk() == 449);
  CHECK(tokenizer.image() == 450);
  CHECK(tokenizer.pad() == 1);  // <|padding|>
  CHECK(tokenizer.size() == 451);
}

TEST_CASE("tokenizers: special tokens as lists, objects and under their ids") {
  const auto loaded = [](const char* config) {
    const test::Folder folder(cases + "neox-called");
    folder.put("tokenizer_config.json", config);
    return Tokenizer::load(folder.path.string(), {.flamingo_tokens = false});
  };
  for (
      const char* config :
      {R"({"additional_special_tokens": ["<x>", {"content": "<y>", "lstrip": true}]})",
       R"({"extra_special_tokens": ["<x>", {"content": "<y>", "lstrip": true}]})",
       R"({"extra_special_tokens": {"a_token": "<x>", "b_token": {"content": "<y>", "lstrip": true}}})",
       R"({"added_tokens_decoder": {"450": {"content": "<y>", "lstrip": true, "special": true},
            "0": {"content": "<|endoftext|>", "special": true},
            "449": {"content": "<x>", "special": true}}})"}) {
    INFO(config);
    const Tokenizer tokenizer = loaded(config);
    CHECK(tokenizer.size() == 451);
    CHECK(tokenizer.id("<x>") == 449);
    CHECK(tokenizer.encode("  <y><x>") == Ids{450, 449});
    CHECK(tokenizer.decode(Ids{450, 449}, {.skip_special_tokens = true}).empty());
  }
  CHECK(loaded(R"({"add_prefix_space": true})").encode("a") ==
        loaded(R"({"add_prefix_space": false})").encode(" a"));
  for (const char* config :
       {R"({"added_tokens_decoder": {"7": {"content": "<x>"}}})",
        R"({"added_tokens_decoder": {"x": {"content": "<x>"}}})",
        R"({"added_tokens_decoder": ["<x>"]})", R"({"extra_special_tokens": "<x>"})",
        R"({"additional_special_tokens": [{"content": "<x>", "single_word": true}]})"}) {
    INFO(config);
    CHECK_THROWS_AS(loaded(config), FormatError);
  }
}

TEST_CASE("tokenizers: what cannot be expressed is refused by its name") {
  for (const auto& one :
       {std::pair{R"({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
                      {"type": "Split", "pattern": {"Regex": "x"}, "behavior": "Isolated"},
                      {"type": "ByteLevel"}]}})",
                  "pre_tokenizer.pretokenizers"},
        {R"({"pre_tokenizer": {"type": "Digits"}})", "pre_tokenizer.type"},
        {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "ab"}})",
         "pre_tokenizer.replacement"},
        {R"({"pre_tokenizer": {"type": "Metaspace", "replacement": "_", "prepend_scheme": "x"}})",
         "pre_tokenizer.prepend_scheme"},
        {R"({"normalizer": {"type": "Lowercase"}})", "normalizer.type"},
        {R"({"decoder": {"type": "WordPiece"}})", "decoder.type"},
        {R"({"model": {"type": "Unigram"}})", "model.type"},
        {R"({"model": {"dropout": 0.1}})", "model.dropout"},
        {R"({"post_processor": {"type": "Other"}})", "post_processor.type"}}) {
    INFO(one.first);
    CHECK_THROWS_WITH_AS(variant("neox-called", io::parse_json("patch", one.first)),
                         doctest::Contains(one.second), FormatError);
  }
}

}  // namespace
