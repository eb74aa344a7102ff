#pragma once
// Added tokens: strings that are found whole in a text before anything is split.

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/text/bpe.hpp"
#include "plume/text/words.hpp"

namespace plume::text {

struct AddedToken {
  std::string content;
  bool special = false;                 ///< left out by decode(skip_special_tokens)
  bool normalized = false;              ///< searched in the normalised text, and itself normalised
  bool lstrip = false, rstrip = false;  ///< takes the white space before it, after it
};

/// A set of strings; the leftmost and, among those, longest is found.
class TokenMatcher {
 public:
  void add(std::string_view content, TokenId id, const AddedToken& token) {
    if (content.empty()) return;
    starts_[static_cast<unsigned char>(content[0])] = true;
    std::size_t node = 0;
    for (const char byte : content) {
      const auto [at, fresh] = nodes_[node].next.try_emplace(byte, nodes_.size());
      node = at->second;
      if (fresh) nodes_.emplace_back();
    }
    nodes_[node].id = id;
    nodes_[node].lstrip = token.lstrip;
    nodes_[node].rstrip = token.rstrip;
  }

  /// Calls found(id) for each token and between(piece) for each non-empty piece between them, in order. A token at
  /// [begin, end) counts only where allowed(id, begin, end).
  template <class Allowed, class Between, class Found>
  void split(std::string_view text, Allowed&& allowed, Between&& between, Found&& found) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size();) {
      const auto [length, node] = longest(text, at, allowed);
      if (length == 0) {
        ++at;
        continue;
      }
      std::size_t begin = at;
      at += length;
      if (nodes_[node].lstrip) begin = done + without_space_at_end(text.substr(done, begin - done));
      while (nodes_[node].rstrip && at < text.size()) {
        const CodePoint next = code_point(text, at);
        if (!is_space(next.value)) break;
        at += next.bytes;
      }
      if (begin > done) between(text.substr(done, begin - done));
      found(nodes_[node].id);
      done = at;
    }
    if (done < text.size()) between(text.substr(done));
  }

 private:
  struct Node {
    std::map<char, std::size_t> next;
    TokenId id = -1;
    bool lstrip = false, rstrip = false;
  };

  /// The length of `text` without the white space it ends with.
  static std::size_t without_space_at_end(std::string_view text) {
    std::size_t kept = 0;
    for (std::size_t at = 0; at < text.size();) {
      const CodePoint point = code_point(text, at);
      at += point.bytes;
      if (!is_space(point.value)) kept = at;
    }
    return kept;
  }

  /// The length of the token at `at` and its node; length 0 where there is none.
  template <class Allowed>
  [[nodiscard]] std::pair<std::size_t, std::size_t> longest(std::string_view text, std::size_t at,
                                                            const Allowed& allowed) const {
    std::pair<std::size_t, std::size_t> best{0, 0};
    if (!starts_[static_cast<unsigned char>(text[at])]) return best;
    std::size_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto next = nodes_[node].next.find(text[i]);
      if (next == nodes_[node].next.end()) break;
      node = next->second;
      const TokenId id = nodes_[node].id;
      if (id >= 0 && allowed(id, at, i + 1)) best = {i + 1 - at, node};
    }
    return best;
  }

  std::array<bool, 256> starts_{};
  std::vector<Node> nodes_ = std::vector<Node>(1);
};

}  // namespace plume::text
