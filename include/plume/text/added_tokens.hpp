#pragma once
// Added tokens: strings that are found whole in a text before anything is split.

#include <array>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/text/bpe.hpp"

namespace plume::text {

struct AddedToken {
  std::string content;
  bool special = false;     ///< left out by decode(skip_special_tokens)
  bool normalized = false;  ///< searched in the normalised text, and itself normalised
};

/// A set of strings; the leftmost and, among those, longest is found.
class TokenMatcher {
 public:
  void add(std::string_view content, TokenId id) {
    if (content.empty()) return;
    starts_[static_cast<unsigned char>(content[0])] = true;
    std::size_t node = 0;
    for (const char byte : content) {
      const auto [at, fresh] = nodes_[node].next.try_emplace(byte, nodes_.size());
      node = at->second;
      if (fresh) nodes_.emplace_back();
    }
    nodes_[node].id = id;
  }

  /// Calls found(id) for each token and between(piece) for each non-empty piece between them, in order. A token at
  /// [begin, end) counts only where allowed(id, begin, end).
  template <class Allowed, class Between, class Found>
  void split(std::string_view text, Allowed&& allowed, Between&& between, Found&& found) const {
    std::size_t done = 0;
    for (std::size_t at = 0; at < text.size();) {
      const auto [length, id] = longest(text, at, allowed);
      if (length == 0) {
        ++at;
        continue;
      }
      if (at > done) between(text.substr(done, at - done));
      found(id);
      at += length;
      done = at;
    }
    if (done < text.size()) between(text.substr(done));
  }

 private:
  struct Node {
    std::map<char, std::size_t> next;
    TokenId id = -1;
  };

  template <class Allowed>
  [[nodiscard]] std::pair<std::size_t, TokenId> longest(std::string_view text, std::size_t at,
                                                        const Allowed& allowed) const {
    std::pair<std::size_t, TokenId> best{0, -1};
    if (!starts_[static_cast<unsigned char>(text[at])]) return best;
    std::size_t node = 0;
    for (std::size_t i = at; i < text.size(); ++i) {
      const auto next = nodes_[node].next.find(text[i]);
      if (next == nodes_[node].next.end()) break;
      node = next->second;
      const TokenId id = nodes_[node].id;
      if (id >= 0 && allowed(id, at, i + 1)) best = {i + 1 - at, id};
    }
    return best;
  }

  std::array<bool, 256> starts_{};
  std::vector<Node> nodes_ = std::vector<Node>(1);
};

}  // namespace plume::text
