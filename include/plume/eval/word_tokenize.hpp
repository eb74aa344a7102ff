#pragma once
// Words and marks of an English sentence as NLTK 3.8's `word_tokenize` cuts them (after Robert MacIntyre's Penn
// Treebank script): a list of replacements, in order, that put spaces around what is a token of its own; then the
// pieces between spaces. The text is taken for one sentence, where NLTK cuts sentences first (Punkt): it differs in
// a full stop that ends a sentence inside the text and stays with its word here.

#include <string>
#include <string_view>
#include <vector>

#include "plume/eval/python_text.hpp"

namespace plume::eval {

namespace detail {

class WordTokenizer {
 public:
  explicit WordTokenizer(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
      const text::CodePoint point = text::code_point(text, at);
      text_ += point.value;
      at += point.bytes;
    }
  }

  std::vector<std::string> tokens() {
    starting_quotes();
    punctuation();
    space_around(U"][(){}<>");
    rewrite([&](std::size_t i) { return starts(i, U"--") ? put(U" -- ", 2) : 0; });
    text_ = U' ' + text_ + U' ';
    ending_quotes();
    contractions();
    std::string utf8;
    for (const char32_t c : text_) text::append_utf8(utf8, c);
    std::vector<std::string> out;
    for (const std::string_view word : python_split(utf8)) out.emplace_back(word);
    return out;
  }

 private:
  /// At every place i, `match(i)` writes what replaces some characters and says how many; 0 for none.
  template <class F>
  void rewrite(const F& match) {
    out_.clear();
    for (std::size_t i = 0; i < text_.size();) {
      const std::size_t taken = match(i);
      if (taken == 0) out_ += text_[i];
      i += taken == 0 ? 1 : taken;
    }
    text_.swap(out_);
  }
  std::size_t put(std::u32string_view replacement, std::size_t taken) {
    out_ += replacement;
    return taken;
  }
  [[nodiscard]] char32_t at(std::size_t i) const { return i < text_.size() ? text_[i] : U'\0'; }
  [[nodiscard]] bool starts(std::size_t i, std::u32string_view with) const {
    return std::u32string_view(text_).substr(i).starts_with(with);
  }
  /// The same whatever the case; `with` is in lower case.
  [[nodiscard]] bool starts_caseless(std::size_t i, std::u32string_view with) const {
    for (std::size_t k = 0; k < with.size(); ++k) {
      if (i + k >= text_.size() || lower(text_[i + k]) != with[k]) return false;
    }
    return true;
  }
  static bool among(char32_t c, std::u32string_view set) { return set.find(c) != set.npos; }
  [[nodiscard]] bool word(std::size_t i) const {
    if (i >= text_.size()) return false;
    const text::CharClass kind = text::char_class(text_[i]);
    return text_[i] == U'_' || kind == text::CharClass::letter || kind == text::CharClass::number;
  }
  [[nodiscard]] bool boundary(std::size_t i) const { return (i > 0 && word(i - 1)) != word(i); }
  /// The end of the text, or the line end that ends it.
  [[nodiscard]] bool end(std::size_t i) const {
    return i == text_.size() || (i + 1 == text_.size() && text_[i] == U'\n');
  }

  void space_around(std::u32string_view marks) {
    rewrite([&](std::size_t i) {
      return among(text_[i], marks) ? put({U' ', text_[i], U' '}, 1) : std::size_t{0};
    });
  }
  std::size_t put(std::initializer_list<char32_t> replacement, std::size_t taken) {
    return put(std::u32string_view(replacement.begin(), replacement.size()), taken);
  }

  void starting_quotes() {
    rewrite([&](std::size_t i) -> std::size_t {
      if (among(text_[i], U"«“‘„")) return put({U' ', text_[i], U' '}, 1);
      std::size_t n = 0;
      while (at(i + n) == U'`') ++n;
      if (n == 0) return 0;
      return put(U' ' + std::u32string(n, U'`') + U' ', n);
    });
    if (at(0) == U'"') text_.replace(0, 1, U"``");
    rewrite([&](std::size_t i) { return starts(i, U"``") ? put(U" `` ", 2) : 0; });
    rewrite([&](std::size_t i) -> std::size_t {
      if (!among(text_[i], U" ([{<")) return 0;
      const std::size_t quote = at(i + 1) == U'"' ? 1 : starts(i + 1, U"''") ? 2 : 0;
      return quote == 0 ? 0 : put(text_[i] + std::u32string(U" `` "), 1 + quote);
    });
    rewrite([&](std::size_t i) -> std::size_t {
      if (text_[i] != U'\'' || !word(i + 1) || !boundary(i + 2)) return 0;
      for (const auto clitic : {U"re", U"ve", U"ll", U"m", U"t", U"s", U"d", U"n"}) {
        if (starts_caseless(i + 1, clitic)) return 0;
      }
      return put({U'\'', U' ', text_[i + 1]}, 2);
    });
  }

  /// Sets the full stop apart that ends the text, though some of `closing` may follow it.
  void final_stop(std::u32string_view closing, bool closing_apart) {
    const std::size_t stop = text_.rfind(U'.');
    if (stop == text_.npos || stop == 0 || text_[stop - 1] == U'.') return;
    std::size_t after = stop + 1;
    while (after < text_.size() && among(text_[after], closing)) ++after;
    for (std::size_t i = after; i < text_.size(); ++i) {
      if (!text::is_python_space(text_[i])) return;
    }
    const std::u32string closed = text_.substr(stop + 1, after - stop - 1);
    text_ = text_.substr(0, stop) + U" ." + (closing_apart ? U" " : U"") + closed + U' ';
  }

  void punctuation() {
    final_stop(U"])}>\"'»”’ ", true);
    rewrite([&](std::size_t i) -> std::size_t {
      if (!among(text_[i], U":,") || i + 1 >= text_.size() || is_decimal_digit(text_[i + 1]))
        return 0;
      return put({U' ', text_[i], U' ', text_[i + 1]}, 2);
    });
    rewrite([&](std::size_t i) -> std::size_t {
      return among(text_[i], U":,") && end(i + 1) ? put({U' ', text_[i], U' '}, 1) : 0;
    });
    rewrite([&](std::size_t i) -> std::size_t {
      std::size_t n = 0;
      while (at(i + n) == U'.') ++n;
      return n < 2 ? 0 : put(U' ' + std::u32string(n, U'.') + U' ', n);
    });
    space_around(U";@#$%&");
    final_stop(U"])}>\"'", false);
    space_around(U"?!");
    rewrite([&](std::size_t i) -> std::size_t {
      return text_[i] != U'\'' && starts(i + 1, U"' ") ? put({text_[i], U' ', U'\'', U' '}, 3) : 0;
    });
    space_around(U"*");
  }

  void ending_quotes() {
    space_around(U"»”’");
    rewrite([&](std::size_t i) { return starts(i, U"''") ? put(U" '' ", 2) : 0; });
    rewrite([&](std::size_t i) { return text_[i] == U'"' ? put(U" '' ", 1) : 0; });
    using Endings = std::initializer_list<const char32_t*>;
    for (const Endings& endings :
         {Endings{U"'s ", U"'S ", U"'m ", U"'M ", U"'d ", U"'D ", U"' "},
          Endings{U"'ll ", U"'LL ", U"'re ", U"'RE ", U"'ve ", U"'VE ", U"n't ", U"N'T "}}) {
      rewrite([&](std::size_t i) -> std::size_t {
        if (text_[i] == U'\'' || text_[i] == U' ') return 0;
        for (const std::u32string_view ending : endings) {
          if (!starts(i + 1, ending)) continue;
          out_ += text_[i];
          out_ += U' ';
          return put(ending, 1 + ending.size());
        }
        return 0;
      });
    }
  }

  void contractions() {
    struct Two {
      std::u32string_view first, second;
    };
    for (const Two& pair :
         {Two{U"can", U"not"}, Two{U"d", U"'ye"}, Two{U"gim", U"me"}, Two{U"gon", U"na"},
          Two{U"got", U"ta"}, Two{U"lem", U"me"}, Two{U"more", U"'n"}, Two{U"wan", U"na"}}) {
      rewrite([&](std::size_t i) -> std::size_t {
        const std::size_t middle = i + pair.first.size(), last = middle + pair.second.size();
        const bool found =
            boundary(i) && starts_caseless(i, pair.first) && starts_caseless(middle, pair.second) &&
            (pair.first == U"wan" ? text::is_python_space(at(last)) : boundary(last));
        return found ? split(i, middle, last) : 0;
      });
    }
    for (const std::u32string_view whole : {U" 'tis", U" 'twas"}) {
      rewrite([&](std::size_t i) -> std::size_t {
        const std::size_t last = i + whole.size();
        if (!starts_caseless(i, whole) || !boundary(last)) return 0;
        return split(i + 1, i + 3, last) + 1;
      });
    }
  }
  /// Writes " [first, middle) [middle, last) ".
  std::size_t split(std::size_t first, std::size_t middle, std::size_t last) {
    out_ += U' ' + text_.substr(first, middle - first) + U' ' +
            text_.substr(middle, last - middle) + U' ';
    return last - first;
  }

  std::u32string text_, out_;
};

}  // namespace detail

/// The tokens of one sentence. A quotation mark comes out as `` or ''.
inline std::vector<std::string> word_tokenize(std::string_view sentence) {
  return detail::WordTokenizer(sentence).tokens();
}

}  // namespace plume::eval
