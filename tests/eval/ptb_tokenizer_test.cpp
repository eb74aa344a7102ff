// The rules of the PTB tokenizer that recorded captions do not show. The recorded ones are in
// captions_test.cpp.

#include "plume/eval/ptb_tokenizer.hpp"

#include <doctest/doctest.h>

using namespace plume;
using namespace plume::eval;

namespace {

std::string line(const std::string& text) { return joined(ptb_tokenize({text, ""}).front()); }

}  // namespace

TEST_CASE("ptb: lines do not disturb each other") {
  const auto lines = ptb_tokenize({"one", "", "two\nthree", "it's"});
  CHECK(lines == std::vector<Tokens>{{"one"}, {}, {"two", "three"}, {"it", "'s"}});
  CHECK(ptb_tokenize({}).empty());
  CHECK(ptb_tokenize({"", ""}) == std::vector<Tokens>(2));
}

TEST_CASE("ptb: tokens of tokens are themselves where no token changes its look") {
  for (const char* text : {"A man's dog can't run at 5 p.m.", "the well-known U.S. flag, no. 7",
                           "black-and-white photo of 1,000 stores"}) {
    CHECK(line(line(text)) == line(text));
  }
}

TEST_CASE("ptb: upper case, clitics, abbreviations") {
  CHECK(line("CANNOT GONNA GOTTA") == "can not gon na got ta");
  CHECK(line("THEY'RE YOU'LL WE'VE") == "they 're you 'll we 've");
  CHECK(line("Qu'ran Hawai'i O'NEIL'S") == "qu ran hawai'i o'neil 's");
  CHECK(line("plan B.") == "plan b.");
  CHECK(line("he said no. Then") == "he said no then");
  CHECK(line("no. 5 no.5") == "no. 5 no. 5");
}

TEST_CASE("ptb: a number after a line end keeps the abbreviation's period, as in the original") {
  CHECK(joined(ptb_tokenize({"the bus no.", "7 dogs"}).front()) == "the bus no.");
  CHECK(joined(ptb_tokenize({"the bus no.", "dogs"}).front()) == "the bus no");
}

TEST_CASE("ptb: any bytes, and texts of any length in time that grows with them") {
  CHECK(line("broken \xFF\xC3 bytes") == "broken bytes");
  std::string all;
  for (char32_t c = 0; c < 0x3000; ++c) text::append_utf8(all, c);
  CHECK_NOTHROW((void)ptb_lines(all));
  for (const char* part : {"a", "a-", "a.b@", "(", "<a ", "1,", "http://", "'", "a:", "can't-"}) {
    std::string text;
    for (int i = 0; i < 6000; ++i) text += part;
    CHECK_NOTHROW((void)line(text));
  }
}
