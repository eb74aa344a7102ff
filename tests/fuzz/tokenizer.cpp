// seeds: tests/golden/tokenizers/*/tokenizer.json tests/golden/tokenizers/*/tokenizer.model
// seeds: tests/cases/tokenizers/neox-called/tokenizer.json tests/cases/tokenizers/small/tokenizer.json
// seeds: tests/golden/tokenizers/opt/vocab.json+tests/golden/tokenizers/opt/merges.txt
// runs: 8000
#include "plume/text/tokenizer.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  const std::string_view file = fuzz::text(data, size);
  return fuzz::read_or_refuse([&] {
    const std::size_t merges = file.find("\n#version");
    const text::Pipeline pipeline =
        file.empty() || file[0] != '{' ? text::read_sentencepiece("fuzz", file)
        : merges == file.npos          ? text::read_tokenizer_json("fuzz", file)
                              : text::read_vocab_and_merges("vocab", file.substr(0, merges),
                                                            "merges", file.substr(merges + 1));
    // Its own words make good text.
    std::string words = "Hello, w\xc3\xb6rld  12 \xe4\xbd\xa0 <s> don't";
    for (const char c : file.substr(0, 2000))
      if (c >= ' ' && c <= '~') words += c;
    text::Ids ids;
    pipeline.encode(words, ids);
    std::vector<std::string> tokens;
    for (const auto id : ids)
      if (const std::string* token = pipeline.token(id)) tokens.push_back(*token);
    text::run_decoder(pipeline.decoder, tokens);
  });
}
