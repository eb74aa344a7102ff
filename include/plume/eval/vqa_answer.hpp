#pragma once
// How the official VQA evaluation makes two spellings of an answer one: punctuation, number words, articles,
// contractions. Published scores depend on its slips, so they are kept: see the functions.

#include <array>
#include <string>
#include <string_view>
#include <unordered_map>

#include "plume/eval/python_text.hpp"

namespace plume::eval {

namespace detail {

/// The official table, "written meant written meant ...". Words are in lower case when they are looked up, so
/// the four with a capital never match; `somebody'd` loses its apostrophe.
inline constexpr std::string_view vqa_contractions =
    "aint ain't arent aren't cant can't couldve could've couldnt couldn't couldn'tve couldn't've "
    "couldnt've couldn't've didnt didn't doesnt doesn't dont don't hadnt hadn't hadnt've hadn't've "
    "hadn'tve hadn't've hasnt hasn't havent haven't hed he'd hed've he'd've he'dve he'd've hes "
    "he's "
    "howd how'd howll how'll hows how's Id've I'd've I'dve I'd've Im I'm Ive I've isnt isn't itd "
    "it'd itd've it'd've it'dve it'd've itll it'll let's let's maam ma'am mightnt mightn't "
    "mightnt've mightn't've mightn'tve mightn't've mightve might've mustnt mustn't mustve must've "
    "neednt needn't notve not've oclock o'clock oughtnt oughtn't ow's'at 'ow's'at 'ows'at 'ow's'at "
    "'ow'sat 'ow's'at shant shan't shed've she'd've she'dve she'd've she's she's shouldve "
    "should've "
    "shouldnt shouldn't shouldnt've shouldn't've shouldn'tve shouldn't've somebody'd somebodyd "
    "somebodyd've somebody'd've somebody'dve somebody'd've somebodyll somebody'll somebodys "
    "somebody's someoned someone'd someoned've someone'd've someone'dve someone'd've someonell "
    "someone'll someones someone's somethingd something'd somethingd've something'd've "
    "something'dve something'd've somethingll something'll thats that's thered there'd thered've "
    "there'd've there'dve there'd've therere there're theres there's theyd they'd theyd've "
    "they'd've they'dve they'd've theyll they'll theyre they're theyve they've twas 'twas wasnt "
    "wasn't wed've we'd've we'dve we'd've weve we've werent weren't whatll what'll whatre what're "
    "whats what's whatve what've whens when's whered where'd wheres where's whereve where've whod "
    "who'd whod've who'd've who'dve who'd've wholl who'll whos who's whove who've whyll why'll "
    "whyre why're whys why's wont won't wouldve would've wouldnt wouldn't wouldnt've wouldn't've "
    "wouldn'tve wouldn't've yall y'all yall'll y'all'll y'allll y'all'll yall'd've y'all'd've "
    "y'alld've y'all'd've y'all'dve y'all'd've youd you'd youd've you'd've you'dve you'd've youll "
    "you'll youre you're youve you've";

inline constexpr std::string_view vqa_numbers =
    "none 0 zero 0 one 1 two 2 three 3 four 4 five 5 six 6 seven 7 eight 8 nine 9 ten 10";

using WordMap = std::unordered_map<std::string_view, std::string_view>;

inline WordMap word_map(std::string_view pairs) {
  const std::vector<std::string_view> words = python_split(pairs);
  WordMap map;
  for (std::size_t i = 0; i + 1 < words.size(); i += 2) map.emplace(words[i], words[i + 1]);
  return map;
}

/// Whether a comma stands between two digits anywhere in `text`.
inline bool has_digit_comma_digit(std::string_view text) noexcept {
  bool digit = false, comma = false;  // the last characters were: digit; digit, comma
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint point = text::code_point(text, at);
    const bool now = is_decimal_digit(point.value);
    if (comma && now) return true;
    comma = digit && point.value == U',';
    digit = now;
    at += point.bytes;
  }
  return false;
}

}  // namespace detail

/// Line ends and tabs become spaces, and the ends are stripped: what an answer is before anything else.
inline std::string vqa_clean(std::string_view answer) {
  std::string text(answer);
  for (char& c : text) {
    if (c == '\n' || c == '\t') c = ' ';
  }
  return std::string(text::python_strip(text));
}

/// Each of 21 marks vanishes where it touches a space anywhere in the text, else becomes a space; a digit, a
/// comma and a digit anywhere make all of them vanish. Then full stops vanish that no digit follows: the
/// first 32 only, which is the value of a flag that was passed as the count.
inline std::string vqa_punctuation(std::string_view answer) {
  const bool number = detail::has_digit_comma_digit(answer);
  std::string text(answer);
  for (const char mark : std::string_view(";/[]\"{}()=+\\_-><@`,?!")) {
    const std::array<char, 2> before{' ', mark}, after{mark, ' '};
    const auto touches = [&](const std::array<char, 2>& pair) {
      return answer.find(std::string_view(pair.data(), 2)) != std::string_view::npos;
    };
    const bool vanishes = number || touches(before) || touches(after);
    text = replaced(text, {&mark, 1}, vanishes ? "" : " ");
  }
  std::string out;
  int dropped = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '.' && dropped < 32 &&
        (i + 1 == text.size() || !is_decimal_digit(text::code_point(text, i + 1).value))) {
      ++dropped;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Lower case; number words to digits (and "none" to 0), articles dropped, apostrophes put into contractions;
/// words are joined by one space.
inline std::string vqa_digits_and_articles(std::string_view answer) {
  static const detail::WordMap numbers = detail::word_map(detail::vqa_numbers);
  static const detail::WordMap contractions = detail::word_map(detail::vqa_contractions);
  const std::string low = python_lower(answer);
  std::string out;
  bool first = true;
  for (std::string_view word : python_split(low)) {
    if (const auto number = numbers.find(word); number != numbers.end()) word = number->second;
    if (word == "a" || word == "an" || word == "the") continue;
    if (const auto full = contractions.find(word); full != contractions.end()) word = full->second;
    if (!first) out += ' ';
    first = false;
    out += word;
  }
  return out;
}

/// An answer as two annotators who agree would both have it.
inline std::string vqa_normalised(std::string_view answer) {
  return vqa_digits_and_articles(vqa_punctuation(vqa_clean(answer)));
}

}  // namespace plume::eval
