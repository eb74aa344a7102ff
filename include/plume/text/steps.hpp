#pragma once
// What a tokenizer does to a text before it is split, and to tokens after they are looked up.

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "plume/text/normalize.hpp"
#include "plume/text/words.hpp"

namespace plume::text {

inline void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (text.find(from) == std::string::npos) return;
  std::string out;
  for (std::size_t at = 0;;) {
    const std::size_t found = text.find(from, at);
    out += std::string_view(text).substr(at, found - at);
    if (found == std::string::npos) break;
    out += to;
    at = found + from.size();
  }
  text = std::move(out);
}

struct NormalizerStep {
  enum Kind : std::uint8_t { compose, prepend, replace } kind = compose;
  std::string from, to;  ///< replace: both; prepend: to
};

/// An empty text stays empty.
inline std::string normalize(const std::vector<NormalizerStep>& steps, std::string_view text) {
  std::string out(text);
  for (const NormalizerStep& step : steps) {
    if (out.empty()) break;
    switch (step.kind) {
      case NormalizerStep::compose:
        out = nfc(out);
        break;
      case NormalizerStep::prepend:
        out.insert(0, step.to);
        break;
      case NormalizerStep::replace:
        replace_all(out, step.from, step.to);
        break;
    }
  }
  return out;
}

/// SentencePiece's words: spaces become `mark`, one is put in front, and each begins a word where `split` is set.
struct Metaspace {
  enum Prepend : std::uint8_t {
    always,
    first,
    never
  } prepend = always;  ///< first: at the start of the whole text
  bool split = true;
  std::string mark;  ///< one character

  /// Calls word(std::string_view) for each word of `piece`.
  template <class Word>
  void words(std::string_view piece, bool at_start, Word&& word) const {
    std::string text(piece);
    replace_all(text, " ", mark);
    if ((prepend == always || (prepend == first && at_start)) && !text.starts_with(mark))
      text.insert(0, mark);
    const std::string_view all = text;
    for (std::size_t begin = 0; begin < all.size();) {
      const std::size_t next = split ? all.find(mark, begin + 1) : all.npos;
      word(all.substr(begin, next - begin));
      begin = std::min(next, all.size());
    }
  }
};

struct DecoderStep {
  enum Kind : std::uint8_t {
    byte_level,
    replace,
    byte_fallback,
    fuse,
    strip,
    metaspace
  } kind = fuse;
  std::string from, to;  ///< replace: both; strip, metaspace: from, one character
  std::size_t at_start = 0,
              at_end = 0;  ///< strip: how many at most; metaspace: 1 drops those of the first token
};

/// The byte that a token `<0x41>` stands for, or -1.
inline int fallback_byte(std::string_view token) {
  if (token.size() != 6 || token.substr(0, 3) != "<0x" || token[5] != '>') return -1;
  int value = 0;
  for (const char digit : token.substr(3, 2)) {
    const int letter = digit | 0x20;
    if (digit >= '0' && digit <= '9') {
      value = value * 16 + (digit - '0');
    } else if (letter >= 'a' && letter <= 'f') {
      value = value * 16 + (letter - 'a' + 10);
    } else {
      return -1;
    }
  }
  return value;
}

/// Runs of byte tokens become text; a run that is not UTF-8 as a whole becomes one U+FFFD per byte.
inline std::vector<std::string> join_fallback_bytes(const std::vector<std::string>& tokens) {
  std::vector<std::string> out;
  std::string run;
  const auto flush = [&] {
    if (run.empty()) return;
    if (broken_utf8(run) == std::string_view::npos) {
      out.push_back(run);
    } else {
      for (std::size_t i = 0; i < run.size(); ++i) out.emplace_back("\uFFFD");
    }
    run.clear();
  };
  for (const std::string& token : tokens) {
    if (const int byte = fallback_byte(token); byte >= 0) {
      run += static_cast<char>(byte);
    } else {
      flush();
      out.push_back(token);
    }
  }
  flush();
  return out;
}

inline void strip(std::string& text, const DecoderStep& step) {
  const std::string_view what = step.from;
  std::size_t begin = 0, end = text.size();
  for (std::size_t i = 0; i < step.at_start && text.compare(begin, what.size(), what) == 0; ++i) {
    begin += what.size();
  }
  for (std::size_t i = 0; i < step.at_end && end - begin >= what.size() &&
                          text.compare(end - what.size(), what.size(), what) == 0;
       ++i) {
    end -= what.size();
  }
  text = text.substr(begin, end - begin);
}

inline std::string concatenated(const std::vector<std::string>& parts) {
  std::string out;
  for (const std::string& part : parts) out += part;
  return out;
}

/// The text of `tokens`. With no steps at all they are joined by spaces.
inline std::string run_decoder(const std::vector<DecoderStep>& steps,
                               std::vector<std::string> tokens) {
  for (const DecoderStep& step : steps) {
    switch (step.kind) {
      case DecoderStep::byte_level: {
        std::string bytes;
        for (const std::string& token : tokens) ByteCharacters::get().append_bytes(bytes, token);
        tokens = {lossy_utf8(bytes)};
        break;
      }
      case DecoderStep::replace:
        for (std::string& token : tokens) replace_all(token, step.from, step.to);
        break;
      case DecoderStep::byte_fallback:
        tokens = join_fallback_bytes(tokens);
        break;
      case DecoderStep::fuse:
        tokens = {concatenated(tokens)};
        break;
      case DecoderStep::strip:
        for (std::string& token : tokens) strip(token, step);
        break;
      case DecoderStep::metaspace:
        for (std::size_t i = 0; i < tokens.size(); ++i)
          replace_all(tokens[i], step.from, i == 0 && step.at_start != 0 ? "" : " ");
        break;
    }
  }
  if (!steps.empty()) return concatenated(tokens);
  std::string out;
  for (std::size_t i = 0; i < tokens.size(); ++i) out += (i == 0 ? "" : " ") + tokens[i];
  return out;
}

/// Takes back the spaces that some corpora put around punctuation, in the order of the reference.
inline std::string clean_up_spaces(std::string text) {
  for (const char* const spaced :
       {" .", " ?", " !", " ,", " ' ", " n't", " 'm", " 's", " 've", " 're"}) {
    const std::string_view from = spaced;
    replace_all(text, from, from == " ' " ? "'" : from.substr(1));
  }
  return text;
}

}  // namespace plume::text
