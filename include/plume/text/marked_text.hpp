#pragma once
// MarkedText: a text made of markup, in which <image> and other special tokens are tokens, and of data (a caption, a
// sentence, a question), in which they are characters like any others.
//
//   const auto text = MarkedText().markup("<image>Output:").data(caption).markup("<|endofchunk|>");
//   tokenizer.encode(text)     one <image>, whatever the caption says
//
// It is one text all the same: words go across the border, "Output:" and a caption as if they had been written at once.

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace plume::text {

/// Where data lies in a text: [begin, end), in order, none empty.
using DataRanges = std::vector<std::pair<std::size_t, std::size_t>>;

class MarkedText {
 public:
  MarkedText& markup(std::string_view piece) {
    text_ += piece;
    return *this;
  }
  MarkedText& data(std::string_view piece) {
    if (piece.empty()) return *this;
    if (!ranges_.empty() && ranges_.back().second == text_.size()) {
      ranges_.back().second += piece.size();
    } else {
      ranges_.emplace_back(text_.size(), text_.size() + piece.size());
    }
    text_ += piece;
    return *this;
  }
  MarkedText& append(const MarkedText& other) {
    std::size_t at = 0;
    for (const auto& [begin, end] : other.ranges_) {
      markup(std::string_view(other.text_).substr(at, begin - at));
      data(std::string_view(other.text_).substr(begin, end - begin));
      at = end;
    }
    return markup(std::string_view(other.text_).substr(at));
  }

  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  [[nodiscard]] const DataRanges& ranges() const noexcept { return ranges_; }
  friend bool operator==(const MarkedText&, const MarkedText&) = default;

 private:
  std::string text_;
  DataRanges ranges_;
};

/// Whether any byte of [begin, end) is data.
inline bool touches_data(const DataRanges& ranges, std::size_t begin, std::size_t end) {
  const auto first =
      std::upper_bound(ranges.begin(), ranges.end(), begin,
                       [](std::size_t at, const auto& range) { return at < range.second; });
  return first != ranges.end() && first->first < end;
}

}  // namespace plume::text
