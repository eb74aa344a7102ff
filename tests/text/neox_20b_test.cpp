#include <doctest/doctest.h>

#include <cstdlib>

#include "plume/text/tokenizer.hpp"

// Texts and ids of the real tokenizer of GPT-NeoX-20B, which the five released models use. Its file (2.4 MB) is not in the
// tree: PLUME_NEOX_20B names a folder with its tokenizer.json, and without it this says that it was not run.

using namespace plume;

TEST_CASE("tokenizer: encodings of GPT-NeoX-20B") {
  const char* folder = std::getenv("PLUME_NEOX_20B");
  if (folder == nullptr) {
    MESSAGE("not run: PLUME_NEOX_20B names no folder with the tokenizer.json of GPT-NeoX-20B");
    return;
  }
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder);
  CHECK(tokenizer.size() == 50280);
  const std::pair<std::string, text::Ids> rows[] = {
      {"<image>Output:", {50278, 11021, 27}},
      {"<image>Question:What is this? Short answer:",
       {50278, 23433, 27, 1276, 310, 436, 32, 14196, 3662, 27}},
      {"<image>An image of two cats.<|endofchunk|><image>An image of a bathroom sink."
       "<|endofchunk|><image>An image of",
       {50278, 1145, 2460,  273,   767, 16581, 15,    50277, 50278, 1145, 2460,
        273,   247,  15336, 16338, 15,  50277, 50278, 1145,  2460,  273}},
      {"Output:a dog.<|endofchunk|>\n<image>Output:",
       {11021, 27, 66, 4370, 15, 50277, 187, 50278, 11021, 27}},
      {"<image>is an image with: 'hello' written on it. Is it hateful? Answer:",
       {50278, 261, 271, 2460, 342, 27,   686,  25521, 8,     3542,
        327,   352, 15,  1680, 352, 9239, 1020, 32,    37741, 27}},
      {"yes", {9820}},
      {"no", {2369}},
      {" yes", {4754}},
      {"a     b", {66, 50273, 67}},
      {"a" + std::string(25, ' ') + "b", {66, 50254, 270}},
      {"I'm they'll DON'T 2023", {42, 1353, 597, 1833, 24694, 8, 53, 1384, 1508}},
      {"<|endoftext|>", {0}},
  };
  for (const auto& row : rows) {
    INFO(row.first);
    CHECK(tokenizer.encode(row.first) == row.second);
  }
}
