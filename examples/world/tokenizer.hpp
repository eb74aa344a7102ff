#pragma once
// The world's tokenizer: byte-level BPE in the form of GPT-NeoX's tokenizer.json, with merges that make a token of
// each of its words, alone and after a space.

#include <map>
#include <set>

#include "plume/io/json.hpp"
#include "plume/text/words.hpp"
#include "words.hpp"

namespace world {

/// Every word of the world's texts, each once.
inline std::vector<std::string> vocabulary() {
  std::set<std::string> out{"a",        "an",    "on",      "at",       "in",    "the",
                            "over",     "of",    "picture", "pictures", "digit", "Output",
                            "Question", "Short", "answer",  "Here",     "are",   "some"};
  const auto add = [&](const auto& words) { out.insert(words.begin(), words.end()); };
  add(shape_words);
  add(shape_plurals);
  add(digit_words);
  add(colour_words);
  add(count_words);
  add(place_words);
  add(cloth_words);
  add(invented_words);
  for (const std::string_view question : question_texts) {
    plume::text::split_words(question, [&](std::string_view word) {
      if (word != "?") out.emplace(word.substr(word.front() == ' ' ? 1 : 0));
    });
  }
  return {out.begin(), out.end()};
}

namespace detail {

/// Merges until each of `words`, given as symbols, is one: always of the pair met most often, of equals the first in
/// the order of their letters.
inline std::vector<std::array<std::string, 2>> learn_merges(
    std::vector<std::vector<std::string>> words) {
  std::vector<std::array<std::string, 2>> out;
  while (true) {
    std::map<std::array<std::string, 2>, index_t> met;
    for (const auto& word : words) {
      for (std::size_t i = 1; i < word.size(); ++i) ++met[{word[i - 1], word[i]}];
    }
    if (met.empty()) return out;
    const auto best = std::max_element(
        met.begin(), met.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
    const std::array<std::string, 2> pair = best->first;
    for (auto& word : words) {
      for (std::size_t i = 1; i < word.size(); ++i) {
        if (word[i - 1] != pair[0] || word[i] != pair[1]) continue;
        word[i - 1] += word[i];
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(i));
      }
    }
    out.push_back(pair);
  }
}

}  // namespace detail

/// The content of tokenizer.json. What Flamingo adds (<|endofchunk|>, <image>, <PAD>) is not in it.
inline plume::io::Json tokenizer_json() {
  using plume::io::Json;
  const auto symbols = [](std::string_view bytes) {
    std::vector<std::string> out;
    for (const char byte : bytes) {
      plume::text::append_utf8(out.emplace_back(), plume::text::ByteCharacters::get().character(
                                                       static_cast<unsigned char>(byte)));
    }
    return out;
  };
  std::vector<std::vector<std::string>> words;
  for (const std::string& word : vocabulary()) {
    words.push_back(symbols(word));
    words.push_back(symbols(" " + word));
  }
  Json vocab = Json::object(), merges = Json::array(), added = Json::array();
  const auto add = [&](const std::string& token) {
    if (!vocab.contains(token)) vocab[token] = vocab.size();
  };
  for (const char* special : {"<|endoftext|>", "<|padding|>"}) {
    added.push_back({{"id", vocab.size()},
                     {"content", special},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    add(special);
  }
  for (int byte = 0; byte < 256; ++byte) add(symbols(std::string(1, static_cast<char>(byte)))[0]);
  for (const auto& [left, right] : detail::learn_merges(std::move(words))) {
    merges.push_back(left + " " + right);
    add(left + right);
  }
  const Json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  return {{"version", "1.0"},
          {"truncation", nullptr},
          {"padding", nullptr},
          {"added_tokens", added},
          {"normalizer", {{"type", "NFC"}}},
          {"pre_tokenizer", byte_level},
          {"post_processor", byte_level},
          {"decoder", byte_level},
          {"model",
           {{"type", "BPE"},
            {"dropout", nullptr},
            {"unk_token", nullptr},
            {"continuing_subword_prefix", nullptr},
            {"end_of_word_suffix", nullptr},
            {"fuse_unk", false},
            {"vocab", vocab},
            {"merges", merges}}}};
}

/// The content of tokenizer_config.json.
inline plume::io::Json tokenizer_config() {
  return {{"tokenizer_class", "GPTNeoXTokenizer"},
          {"bos_token", "<|endoftext|>"},
          {"eos_token", "<|endoftext|>"},
          {"unk_token", "<|endoftext|>"},
          {"add_prefix_space", false},
          {"clean_up_tokenization_spaces", false}};
}

}  // namespace world
