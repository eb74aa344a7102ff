#pragma once
// Whether text is well-formed: what a browser would quietly repair is a mistake of ours.

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "plume/core/error.hpp"

namespace plume::test {

/// Empty where every element is closed in order, attributes are quoted and met once, and every & begins a known
/// entity; else what is wrong. Elements of HTML that have no end are known.
inline std::string markup_mistake(std::string_view text) {
  static constexpr std::string_view names =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:-";
  std::vector<std::string> open;
  std::size_t at = 0;
  const auto here = [&](const char* what) {
    return cat(what, " at ", at, ": ", text.substr(at, 60));
  };
  const auto take_name = [&] {
    const std::size_t end = std::min(text.find_first_not_of(names, at), text.size());
    std::string out(text.substr(at, end - at));
    at = end;
    return out;
  };
  const auto skip_space = [&] { at = std::min(text.find_first_not_of(" \n", at), text.size()); };
  const auto entity = [&] {
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
      if (text.substr(at).starts_with(known)) return true;
    return false;
  };
  while (at < text.size()) {
    const char c = text[at];
    if (c == '&' && !entity()) return here("a bare &");
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t')
      return here("a control character");
    if (c != '<') {
      ++at;
      continue;
    }
    if (text.substr(at).starts_with("<!DOCTYPE html>")) {
      at += 15;
      continue;
    }
    ++at;
    if (text.substr(at, 1) == "/") {
      ++at;
      const std::string name = take_name();
      if (open.empty() || open.back() != name) return here("an end that is of no element");
      open.pop_back();
      if (text.substr(at, 1) != ">") return here("an end with more in it");
      ++at;
      continue;
    }
    const std::string name = take_name();
    if (name.empty()) return here("a bare <");
    std::set<std::string> attributes;
    for (;;) {
      skip_space();
      if (text.substr(at, 1) == ">" || text.substr(at, 2) == "/>") break;
      const std::string attribute = take_name();
      if (attribute.empty()) return here("no attribute");
      if (!attributes.insert(attribute).second) return here("an attribute met twice");
      if (name == "details" && attribute == "open") continue;
      if (text.substr(at, 2) != "=\"") return here("an attribute without quotes");
      for (at += 2; at < text.size() && text[at] != '"'; ++at) {
        if (text[at] == '<') return here("a < in an attribute");
        if (text[at] == '&' && !entity()) return here("a bare & in an attribute");
      }
      if (at == text.size()) return here("an attribute that does not end");
      ++at;
    }
    const bool ended = text[at] == '/' || name == "meta" || name == "img";
    at += text[at] == '/' ? 2 : 1;
    if (!ended) open.push_back(name);
  }
  return open.empty() ? "" : cat(open.back(), " is not closed");
}

inline std::size_t count(std::string_view text, std::string_view what) {
  std::size_t out = 0;
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string_view::npos; at += what.size())
    ++out;
  return out;
}

}  // namespace plume::test
