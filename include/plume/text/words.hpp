#pragma once
// How a byte-level tokenizer splits a text into words, and how it writes bytes as characters.
//
// The words are the matches of GPT-2's pattern, alternatives tried in this order:
//   's|'t|'re|'ve|'m|'ll|'d | ?\p{L}+ | ?\p{N}+ | ?[^\s\p{L}\p{N}]+ | \s+(?!\S) | \s+
// with \p{L}, \p{N} of Unicode 14.0 and \s the 25 characters of White_Space.

#include <algorithm>
#include <array>
#include <iterator>
#include <string>
#include <string_view>

#include "plume/text/unicode_classes.hpp"
#include "plume/text/utf8.hpp"

namespace plume::text {

enum class CharClass : std::uint8_t { letter, number, space, other };

inline bool is_space(char32_t c) noexcept {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

inline CharClass char_class(char32_t c) noexcept {
  const auto inside = [c](const auto& table) {
    const auto* after = std::upper_bound(std::begin(table), std::end(table), std::uint32_t{c});
    return (after - std::begin(table)) % 2 == 1;
  };
  if (is_space(c)) return CharClass::space;
  if (c < 0x80) {
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') return CharClass::letter;
    return c >= '0' && c <= '9' ? CharClass::number : CharClass::other;
  }
  if (inside(tables::letters)) return CharClass::letter;
  return inside(tables::numbers) ? CharClass::number : CharClass::other;
}

/// Bytes of the contraction that starts at `at`, or 0.
inline std::size_t contraction(std::string_view text, std::size_t at) noexcept {
  for (const std::string_view tail : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
    if (text.substr(at, tail.size()) == tail) return tail.size();
  }
  return 0;
}

/// Calls word(std::string_view) for each word of `text`, which is valid UTF-8; together they are the text.
template <class Word>
void split_words(std::string_view text, Word&& word) {
  for (std::size_t begin = 0; begin < text.size();) {
    std::size_t end = begin;
    if (text[begin] == '\'' && (end = begin + contraction(text, begin)) != begin) {
      word(text.substr(begin, end - begin));
      begin = end;
      continue;
    }
    end = begin;
    CodePoint point = code_point(text, begin);
    CharClass kind = char_class(point.value);
    if (text[begin] == ' ' && begin + 1 < text.size()) {
      const CodePoint next = code_point(text, begin + 1);
      if (const CharClass next_kind = char_class(next.value); next_kind != CharClass::space) {
        point = next;
        kind = next_kind;
        end = begin + 1;
      }
    }
    std::size_t last = end;  // where the last character starts
    do {
      last = end;
      end += point.bytes;
      if (end == text.size()) break;
      point = code_point(text, end);
    } while (char_class(point.value) == kind);
    // White space leaves its last character to the word that follows.
    if (kind == CharClass::space && end < text.size() && last > begin) end = last;
    word(text.substr(begin, end - begin));
    begin = end;
  }
}

/// Characters for bytes: printable ones of Latin-1 stand for themselves, the other 68 for U+0100 and up.
class ByteCharacters {
 public:
  static const ByteCharacters& get() {
    static const ByteCharacters table;
    return table;
  }

  [[nodiscard]] char32_t character(unsigned char byte) const { return characters_[byte]; }
  /// The byte that `c` stands for, or -1.
  [[nodiscard]] int byte(char32_t c) const { return c < bytes_.size() ? bytes_[c] : -1; }

  /// Appends the bytes a token stands for; its own UTF-8 where some character stands for none.
  void append_bytes(std::string& out, std::string_view token) const {
    const std::size_t before = out.size();
    for (std::size_t at = 0; at < token.size();) {
      const CodePoint point = code_point(token, at);
      const int value = byte(point.value);
      if (value < 0) {
        out.resize(before);
        out += token;
        return;
      }
      out += static_cast<char>(value);
      at += point.bytes;
    }
  }

 private:
  ByteCharacters() {
    bytes_.fill(-1);
    char32_t next = 0x100;
    for (unsigned b = 0; b < 256; ++b) {
      const bool printable = (b >= 0x21 && b <= 0x7E) || (b >= 0xA1 && b != 0xAD);
      characters_[b] = printable ? static_cast<char32_t>(b) : next++;
      bytes_[characters_[b]] = static_cast<std::int16_t>(b);
    }
  }

  std::array<char32_t, 256> characters_;
  std::array<std::int16_t, 0x144> bytes_;
};

}  // namespace plume::text
