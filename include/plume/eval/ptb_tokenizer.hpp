#pragma once
// Captions to tokens as the COCO caption evaluation makes them: Stanford's PTBTokenizer, lower case, without the tokens
// of a list of punctuation marks. A token may hold a no-break space ("1 1/2").

#include <algorithm>
#include <array>

#include "plume/eval/ptb_rules.hpp"
#include "plume/eval/python_text.hpp"
#include "plume/text/utf8.hpp"

namespace plume::eval {

namespace ptb {

inline std::u32string code_points(std::string_view text) {
  std::u32string out;
  for (std::size_t at = 0; at < text.size();) {
    const text::CodePoint c = text::code_point(text, at);
    out += c.value;
    at += c.bytes;
  }
  return out;
}

inline std::string utf8(std::u32string_view text) {
  std::string out;
  for (const char32_t c : text) text::append_utf8(out, c);
  return out;
}

inline void replace(std::u32string& text, std::u32string_view from, std::u32string_view to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::u32string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// The same for `from` in small letters, whatever the case of those in `text`.
inline void replace_any_case(std::u32string& text, std::u32string_view from,
                             std::u32string_view to) {
  const auto same = [](char32_t a, char32_t b) {
    return (a >= U'A' && a <= U'Z' ? a + 32 : a) == b;
  };
  auto at = text.begin();
  while ((at = std::search(at, text.end(), from.begin(), from.end(), same)) != text.end()) {
    const auto place = at - text.begin();
    text.replace(static_cast<std::size_t>(place), from.size(), to);
    at = text.begin() + place + static_cast<std::ptrdiff_t>(to.size());
  }
}

/// Every character that is in `from` becomes `to`.
inline void replace_each(std::u32string& text, std::u32string_view from, std::u32string_view to) {
  for (std::size_t at = 0; (at = text.find_first_of(from, at)) != std::u32string::npos;
       at += to.size())
    text.replace(at, 1, to);
}

inline void quotes(std::u32string& t, bool opening) {
  replace(t, U"&apos;", U"'");
  replace(t, U"&quot;", U"\"");
  if (opening) replace(t, U"'", U"`");
  replace(t, U"\"", opening ? U"``" : U"''");
  replace_each(t, U"\x91\u2018\u201B\u2039", U"`");
  replace_each(t, U"\x92\u2019\u203A", U"'");
  replace_each(t, U"\x93\u201C\u00AB", U"``");
  replace_each(t, U"\x94\u201D\u00BB", U"''");
}

/// What is printed for a match.
inline std::u32string normalized(Kind kind, std::u32string_view match) {
  std::u32string t(match);
  switch (kind) {
    case word:
      std::erase(t, U'\u00AD');
      if (t.empty()) t = U"-";
      break;
    case smiley:
    case bracketed:
      replace(t, U"(", U"-LRB-");
      replace(t, U")", U"-RRB-");
      if (kind == smiley) break;
      replace(t, U"[", U"-LSB-");
      replace(t, U"]", U"-RSB-");
      replace(t, U"{", U"-LCB-");
      replace(t, U"}", U"-RCB-");
      [[fallthrough]];
    case spaced:
      replace(t, U" ", U"\u00A0");
      break;
    case dotted:
      t += U'.';
      break;
    case ampersand:
      replace_any_case(t, U"&amp;", U"&");
      break;
    case opening:
      quotes(t, true);
      break;
    case closing:
      quotes(t, false);
      break;
    case dash:
      return U"--";
    case hyphens:
      return t.size() == 3 || t.size() == 4 ? U"--" : t;
    case dots:
      return U"...";
    case money:
      replace(t, U"\u00A2", U"cents");
      replace(t, U"\u00A3", U"#");
      replace_each(t, U"\x80\u00A4\u20A0\u20AC", U"$");
      break;
    case fraction:
      replace(t, U"\u00BC", U"1/4");
      replace(t, U"\u00BD", U"1/2");
      replace(t, U"\u00BE", U"3/4");
      replace(t, U"\u2153", U"1/3");
      replace(t, U"\u2154", U"2/3");
      break;
    case less:
      return U"<";
    case greater:
      return U">";
    default:
      break;
  }
  return t;
}

inline bool punctuation(std::string_view token) {
  static constexpr std::array<std::string_view, 18> dropped = {
      "''", "'", "``", "`", "-LRB-", "-RRB-", "-LCB-", "-RCB-", ".",
      "?",  "!", ",",  ":", "-",     "--",    "...",   ";",     ""};
  return std::find(dropped.begin(), dropped.end(), token) != dropped.end();
}

}  // namespace ptb

using Tokens = std::vector<std::string>;

/// The tokens of each line of `text`. A line's tokens may depend on what follows: the end of a file, or a next line that
/// begins with a digit ("no.").
inline std::vector<Tokens> ptb_lines(std::string_view text) {
  // Its table of states grows while it scans, so each thread has its own.
  thread_local Scanner scanner(ptb::definitions(), ptb::rules());
  const std::u32string points = ptb::code_points(text);
  std::u32string_view rest = points;
  std::vector<Tokens> lines(1);
  while (!rest.empty()) {
    const Scanner::Match match = scanner.match(rest);
    const std::u32string_view found = rest.substr(0, match.length);
    rest.remove_prefix(match.length);
    if (match.kind == ptb::line_end) lines.emplace_back();
    if (match.kind < 0 || match.kind == ptb::line_end || match.kind == ptb::skip) continue;
    std::string token =
        python_lower(ptb::utf8(ptb::normalized(static_cast<ptb::Kind>(match.kind), found)));
    if (!ptb::punctuation(token)) lines.back().push_back(std::move(token));
  }
  return lines;
}

/// The tokens of every caption, read as the lines of one file without a last line end, as the evaluation does. A line
/// feed inside a caption is a space; any other line end inside one shifts all that follow, there as here.
inline std::vector<Tokens> ptb_tokenize(const std::vector<std::string>& captions) {
  std::string file;
  for (const std::string& caption : captions) {
    if (&caption != captions.data()) file += '\n';
    for (const char c : caption) file += c == '\n' ? ' ' : c;
  }
  std::vector<Tokens> lines = ptb_lines(file);
  lines.resize(captions.size());
  return lines;
}

/// Tokens joined by spaces.
inline std::string joined(const Tokens& tokens) {
  std::string out;
  for (const std::string& token : tokens) {
    if (!out.empty()) out += ' ';
    out += token;
  }
  return out;
}

}  // namespace plume::eval
