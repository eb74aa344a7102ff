#pragma once
// What is said about scenes: captions in five dialects, questions with short answers, and back from a caption to what
// it says.
//
//   0  two red circles on the left over stripes          a red digit seven on the left over stripes
//   1  left: two circles, red, stripes                   left: digit seven, red, stripes
//   2  a picture of two red circles on the left over stripes
//   3  over stripes, on the left: two red circles
//   4  red circles, two, left, stripes                   red digit seven, left, stripes
//
// A page may have second names for the four cloths ("over stripes dax"). They are new on every page, so who reads one
// learns them from the rest of the page or not at all.

#include <algorithm>
#include <optional>
#include <vector>

#include "plume/text/python_space.hpp"
#include "scene.hpp"

namespace world {

inline constexpr index_t dialects = 5;
/// Of the sets that are held out.
inline constexpr index_t evaluated_dialect = 0;

/// The second names of the cloths, in the order of `cloth_words`; empty where they have none.
using Names = std::array<std::string_view, 4>;

inline constexpr Names no_names{};

inline constexpr std::array<std::string_view, 16> invented_words{
    "dax", "wug",  "blick", "toma", "zup", "fep", "lorp", "mib",
    "kiv", "nolt", "gaz",   "pim",  "ron", "sab", "tev",  "yux"};

/// Four different invented words.
inline Names draw_names(plume::Generator& random) {
  std::array<std::string_view, 16> words = invented_words;
  Names out;
  for (std::size_t i = 0; i < out.size(); ++i) {
    const auto j =
        i + static_cast<std::size_t>(random.below(static_cast<index_t>(words.size() - i)));
    std::swap(words[i], words[j]);
    out[i] = words[i];
  }
  return out;
}

/// The names of the sets that are held out; no page to train on has them all.
inline Names held_out_names(std::uint64_t seed) {
  plume::Generator random = numbers_of(seed, Part::splits, 1);
  return draw_names(random);
}

namespace detail {

/// "a red circle", "two red circles", "a red digit seven"; with colour and count left out where asked.
inline std::string things(const Content& c) {
  if (c.is_digit()) return plume::cat("digit ", c.thing_word());
  return std::string(c.count == 1 ? c.thing_word()
                                  : shape_plurals[static_cast<std::size_t>(c.thing)]);
}
inline std::string phrase(const Content& c) {
  const std::string_view colour = c.colour_word();
  const std::string_view count = c.count > 1 ? c.count_word() : colour == "orange" ? "an" : "a";
  return plume::cat(count, " ", colour, " ", things(c));
}
inline std::string where(const Content& c) {
  const std::string_view place = c.place_word();
  const std::string_view before = place == "middle"                     ? "in the "
                                  : place == "left" || place == "right" ? "on the "
                                                                        : "at the ";
  return plume::cat(before, place);
}
/// "stripes", "stripes dax"
inline std::string cloth(const Content& c, const Names& names) {
  const std::string_view name = names[static_cast<std::size_t>(c.cloth)];
  return plume::cat(c.cloth_word(), name.empty() ? "" : " ", name);
}

}  // namespace detail

/// Throws ValueError where there is no such dialect.
inline std::string caption(const Content& c, index_t dialect, const Names& names = no_names) {
  using plume::cat;
  const std::string cloth = detail::cloth(c, names);
  switch (dialect) {
    case 0:
      return cat(detail::phrase(c), " ", detail::where(c), " over ", cloth);
    case 1: {
      const std::string_view count = c.is_digit() ? "" : c.count_word();
      return cat(c.place_word(), ": ", count, count.empty() ? "" : " ", detail::things(c), ", ",
                 c.colour_word(), ", ", cloth);
    }
    case 2:
      return cat("a picture of ", detail::phrase(c), " ", detail::where(c), " over ", cloth);
    case 3:
      return cat("over ", cloth, ", ", detail::where(c), ": ", detail::phrase(c));
    case 4: {
      const std::string_view count = c.is_digit() ? "" : c.count_word();
      return cat(c.colour_word(), " ", detail::things(c), ", ", count, count.empty() ? "" : ", ",
                 c.place_word(), ", ", cloth);
    }
    default:
      plume::fail<plume::ValueError>("caption", "a dialect of 0 to 4", dialect);
  }
}

/// What a caption tells, as far as it can be told; a thing said in two ways is not told.
struct Told {
  std::optional<index_t> thing, colour, count, place, cloth;
  std::string name;  ///< the cloth's second name; empty: none
};

namespace detail {

inline std::vector<std::string> words_of(std::string_view text) {
  std::vector<std::string> out(1);
  for (const char c : text) {
    if (c >= 'a' && c <= 'z') {
      out.back() += c;
    } else if (!out.back().empty()) {
      out.emplace_back();
    }
  }
  if (out.back().empty()) out.pop_back();
  return out;
}

template <std::size_t N>
std::optional<index_t> place_in(const std::array<std::string_view, N>& words,
                                std::string_view word) {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) return std::nullopt;
  return found - words.begin();
}

}  // namespace detail

/// Reads any text, word by word.
inline Told told_by(std::string_view text) {
  Told out;
  std::vector<const std::optional<index_t>*> contradicted;
  const auto say = [&](std::optional<index_t>& what, std::optional<index_t> value) {
    if (!value) return false;
    if (what && *what != *value) contradicted.push_back(&what);
    what = value;
    return true;
  };
  const auto plus = [](std::optional<index_t> value, index_t more) {
    return value ? std::optional(*value + more) : value;
  };
  const std::vector<std::string> words = detail::words_of(text);
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const std::string_view next = i + 1 < words.size() ? std::string_view(words[i + 1]) : "";
    if (word == "digit") {
      if (say(out.thing, plus(detail::place_in(digit_words, next), shapes))) ++i;
    } else if (say(out.cloth, detail::place_in(cloth_words, word))) {
      if (!detail::place_in(invented_words, next)) continue;
      out.name = next;
      ++i;
    } else if (word == "a" || word == "an") {
      if (next != "picture") say(out.count, 1);
    } else if (!say(out.thing, detail::place_in(shape_words, word)) &&
               !say(out.thing, detail::place_in(shape_plurals, word)) &&
               !say(out.colour, detail::place_in(colour_words, word)) &&
               !say(out.place, detail::place_in(place_words, word))) {
      say(out.count, plus(detail::place_in(count_words, word), 1));
    }
  }
  if (out.thing && *out.thing >= shapes) say(out.count, 1);
  for (std::optional<index_t>* what :
       {&out.thing, &out.colour, &out.count, &out.place, &out.cloth}) {
    if (std::find(contradicted.begin(), contradicted.end(), what) != contradicted.end())
      what->reset();
  }
  return out;
}

/// A caption's content, with the second name it has for the cloth.
struct Captioned {
  Content content;
  std::string name;
};

/// Nothing where `text` is not, letter by letter, a caption in one of the dialects. White space around it does not
/// count.
inline std::optional<Captioned> content_of(std::string_view text) {
  text = plume::text::python_strip(text);
  const Told told = told_by(text);
  if (!told.thing || !told.colour || !told.count || !told.place || !told.cloth) return std::nullopt;
  const Captioned out{{*told.thing, *told.colour, *told.count, *told.place, *told.cloth},
                      told.name};
  Names names = no_names;
  names[static_cast<std::size_t>(*told.cloth)] = out.name;
  for (index_t dialect = 0; dialect < dialects; ++dialect) {
    if (caption(out.content, dialect, names) == text) return out;
  }
  return std::nullopt;
}

enum class Question : index_t { how_many, colour, shape, digit, where, cloth };

inline constexpr std::array<std::string_view, 6> question_texts{
    "How many objects?", "What colour?", "What shape?", "What digit?", "Where?", "What cloth?"};

inline std::string_view text_of(Question question) {
  return question_texts[static_cast<std::size_t>(question)];
}

/// What can be asked about it; the cloth comes last.
inline std::vector<Question> questions_about(const Content& content) {
  using enum Question;
  if (content.is_digit()) return {colour, digit, where, cloth};
  return {how_many, colour, shape, where, cloth};
}

inline std::string answer(const Content& content, Question question,
                          const Names& names = no_names) {
  switch (question) {
    case Question::how_many:
      return std::string(content.count_word());
    case Question::colour:
      return std::string(content.colour_word());
    case Question::where:
      return std::string(content.place_word());
    case Question::cloth:
      return detail::cloth(content, names);
    default:
      return std::string(content.thing_word());
  }
}

/// How many of the questions are about the cloth, whose second name only the page knows.
inline constexpr double asked_about_cloth = 0.6;

inline Question draw_question(const Content& content, plume::Generator& random) {
  if (random.uniform() < asked_about_cloth) return Question::cloth;
  const std::vector<Question> all = questions_about(content);
  return all[static_cast<std::size_t>(random.below(static_cast<index_t>(all.size()) - 1))];
}

}  // namespace world
