#pragma once
// Singular of an English noun by the rules of Ruby on Rails' inflector, as the Python package `inflection` 0.5.1
// has them: the first ending that fits is replaced. They know no dictionary: "leaves" becomes "leafe".

#include <string>
#include <string_view>

#include "plume/core/error.hpp"

namespace plume::eval {

namespace detail {

struct SingularRule {
  std::string_view ending;  ///< in lower case; any case fits
  std::size_t keep;         ///< characters of it that stay
  std::string_view append = "";
  std::string_view after =
      "";              ///< the character before is one of these, or, after '^', none of them
  bool whole = false;  ///< the ending is the whole word
};

inline constexpr SingularRule singular_rules[] = {
    {"zombies", 1, "ombie"},
    {"kine", 0, "cow"},
    {"moves", 1, "ove"},
    {"sexes", 1, "ex"},
    {"children", 1, "hild"},
    {"humans", 1, "uman"},
    {"men", 1, "an"},
    {"people", 1, "erson"},
    {"databases", 8},
    {"quizzes", 4},
    {"matrices", 4, "ix"},
    {"vertices", 4, "ex"},
    {"indices", 3, "ex"},
    {"passersby", 6, "by"},
    {"oxen", 2, "", "", true},
    {"aliases", 5},
    {"statuses", 6},
    {"alias", 5},
    {"status", 6},
    {"octopus", 5, "us"},
    {"octopi", 5, "us"},
    {"virus", 3, "us"},
    {"viri", 3, "us"},
    {"axis", 1, "xis", "", true},
    {"axes", 1, "xis", "", true},
    {"crisis", 4, "is"},
    {"crises", 4, "is"},
    {"testis", 4, "is"},
    {"testes", 4, "is"},
    {"shoes", 4},
    {"oes", 1},
    {"buses", 3},
    {"bus", 3},
    {"mice", 1, "ouse"},
    {"lice", 1, "ouse"},
    {"xes", 1},
    {"ches", 2},
    {"sses", 2},
    {"shes", 2},
    {"movies", 1, "ovie"},
    {"series", 1, "eries"},
    {"ies", 0, "y", "^aeiouy"},
    {"quies", 2, "y"},
    {"ves", 0, "f", "lr"},
    {"tives", 4},
    {"hives", 4},
    {"ves", 0, "fe", "^f"},
    {"thesis", 1, "hesis"},
    {"theses", 1, "hesis"},
    {"synopsis", 1, "ynopsis"},
    {"synopses", 1, "ynopsis"},
    {"prognosis", 1, "rognosis"},
    {"prognoses", 1, "rognosis"},
    {"parenthesis", 1, "arenthesis"},
    {"parentheses", 1, "arenthesis"},
    {"diagnosis", 1, "iagnosis"},
    {"diagnoses", 1, "iagnosis"},
    {"basis", 1, "asis"},
    {"bases", 1, "asis"},
    {"analysis", 1, "nalysis"},
    {"analyses", 1, "nalysis"},
    {"a", 0, "um", "ti"},
    {"news", 1, "ews"},
    {"ss", 2},
    {"s", 0},
};

inline char ascii_lower(char c) noexcept {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c;
}

inline bool ends_caseless(std::string_view word, std::string_view ending) noexcept {
  if (word.size() < ending.size()) return false;
  const std::string_view tail = word.substr(word.size() - ending.size());
  for (std::size_t i = 0; i < tail.size(); ++i) {
    if (ascii_lower(tail[i]) != ending[i]) return false;
  }
  return true;
}

inline bool fits(const SingularRule& rule, std::string_view word) noexcept {
  if (!ends_caseless(word, rule.ending)) return false;
  if (rule.whole && word.size() != rule.ending.size()) return false;
  if (rule.after.empty()) return true;
  if (word.size() == rule.ending.size()) return false;
  const char before = ascii_lower(word[word.size() - rule.ending.size() - 1]);
  const bool excluded = rule.after[0] == '^';
  return (rule.after.find(before) != std::string_view::npos) != excluded;
}

/// Whether `word` is one that has no plural, or ends in one that is a word of its own.
inline bool is_uncountable(std::string_view word) noexcept {
  for (const std::string_view noun : {"equipment", "fish", "information", "jeans", "money", "rice",
                                      "series", "sheep", "species"}) {
    if (!ends_caseless(word, noun)) continue;
    if (word.size() == noun.size()) return true;
    const char before = word[word.size() - noun.size() - 1];
    const bool joined = (ascii_lower(before) >= 'a' && ascii_lower(before) <= 'z') ||
                        (before >= '0' && before <= '9') || before == '_' ||
                        static_cast<unsigned char>(before) >= 0x80;
    if (!joined) return true;
  }
  return false;
}

}  // namespace detail

inline std::string singular_of(std::string_view word) {
  if (detail::is_uncountable(word)) return std::string(word);
  for (const detail::SingularRule& rule : detail::singular_rules) {
    if (!detail::fits(rule, word)) continue;
    const std::size_t start = word.size() - rule.ending.size();
    std::string out = cat(word.substr(0, start + rule.keep), rule.append);
    if (rule.ending == "kine" && word[start] == 'K') out[start] = 'C';
    return out;
  }
  return std::string(word);
}

}  // namespace plume::eval
