#pragma once
// A longest-match scanner over code points, from a table of patterns.
//
// Patterns know: letters (either case) and other literal characters; \ before a character that means something
// else; \uXXXX; . for any character; classes [a-z] and [^a-z] (case as written); \p a letter, \d a decimal
// digit, \s horizontal space, the last three in classes too; ( ) | * + ? {m,n}; {name} for a definition.
//
// The patterns become one nondeterministic automaton (Thompson, 1968), whose deterministic states are made
// when first needed, over classes of characters that no pattern tells apart: one table look-up per character.

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "plume/core/error.hpp"
#include "plume/text/unicode_case.hpp"
#include "plume/text/unicode_classes.hpp"

namespace plume::eval {

/// Sorted, disjoint ranges of code points, both ends inside.
class CharacterSet {
 public:
  using Range = std::pair<char32_t, char32_t>;
  static constexpr char32_t last = 0x10FFFF;

  void add(char32_t from, char32_t to) { ranges_.emplace_back(from, to); }
  void add(const CharacterSet& other) {
    ranges_.insert(ranges_.end(), other.ranges_.begin(), other.ranges_.end());
  }
  [[nodiscard]] std::vector<Range> ranges(bool complement) const {
    std::vector<Range> sorted = ranges_, merged;
    std::sort(sorted.begin(), sorted.end());
    for (const Range& r : sorted) {
      if (!merged.empty() && r.first <= merged.back().second + 1) {
        merged.back().second = std::max(merged.back().second, r.second);
      } else {
        merged.push_back(r);
      }
    }
    if (!complement) return merged;
    std::vector<Range> gaps;
    char32_t from = 0;
    for (const Range& r : merged) {
      if (r.first > from) gaps.emplace_back(from, r.first - 1);
      from = r.second + 1;
    }
    if (from <= last) gaps.emplace_back(from, last);
    return gaps;
  }

  static CharacterSet letters() {
    CharacterSet out;
    bool inside = false;
    char32_t from = 0;
    for (const std::uint32_t at : text::tables::letters) {
      if (inside) out.add(from, at - 1);
      from = at;
      inside = !inside;
    }
    return out;
  }
  static CharacterSet digits() {
    CharacterSet out;
    for (const std::uint32_t zero : text::tables::zeros) out.add(zero, zero + 9);
    return out;
  }
  static CharacterSet spaces() {
    CharacterSet out;
    for (const char32_t c : {U' ', U'\t', U'\u00A0', U'\u3000'}) out.add(c, c);
    out.add(0x2000, 0x200A);
    return out;
  }

 private:
  std::vector<Range> ranges_;
};

class Scanner {
 public:
  struct Definition {
    std::string_view name, pattern;
  };
  /// A match of `pattern` counts with what `before` matches after it, which is then given back.
  struct Rule {
    int kind;
    std::string_view pattern, before = {};
  };
  struct Match {
    int kind = -1;  ///< -1: no rule matches here
    std::size_t length = 1;
  };

  Scanner(const std::vector<Definition>& definitions, const std::vector<Rule>& rules) {
    for (const Definition& d : definitions) definitions_[d.name] = d.pattern;
    for (const Rule& rule : rules) {
      Compiled t{rule.kind, {}, {}};
      t.head = parse(rule.pattern);
      int end = t.head.end;
      if (!rule.before.empty()) {
        t.tail = parse(rule.before);
        join(end, t.tail->start);
        end = t.tail->end;
      }
      states_[static_cast<std::size_t>(end)].accepts = static_cast<int>(rules_.size());
      rules_.push_back(t);
      starts_.push_back(t.head.start);
    }
    sort_characters();
    stamp_.resize(states_.size());
    initial_ = deterministic(closure(starts_));
  }

  /// How far a match is looked for past the longest one so far, so that no text takes time quadratic in its length.
  static constexpr std::size_t patience = 4096;

  /// The longest match at the start of `text` (with what must follow it); of equally long ones the first rule's.
  Match match(std::u32string_view text) {
    int state = initial_, best = -1;
    std::size_t length = 0;
    for (std::size_t i = 0; i < text.size() && i < length + patience; ++i) {
      state = next(state, class_of(text[i]));
      const Deterministic& d = table_[static_cast<std::size_t>(state)];
      if (d.states.empty()) break;
      if (d.accepts < 0) continue;
      best = d.accepts;
      length = i + 1;
    }
    if (best < 0) return {};
    const Compiled& rule = rules_[static_cast<std::size_t>(best)];
    return {rule.kind, rule.tail ? without_tail(rule, text.substr(0, length)) : length};
  }

 private:
  struct Fragment {
    int start, end;
  };
  struct Compiled {
    int kind;
    Fragment head;
    std::optional<Fragment> tail;
  };
  struct State {
    int set = -1, to = -1;      // reads a character of the set
    std::vector<int> silent{};  // reads nothing
    int accepts = -1;
  };
  struct Deterministic {
    std::vector<int> states;
    int accepts = -1;
    std::vector<int> next{};  // by class of character; -1 where not made yet
  };

  // ---- patterns

  int state() {
    states_.emplace_back();
    return static_cast<int>(states_.size()) - 1;
  }
  void join(int from, int to) { states_[static_cast<std::size_t>(from)].silent.push_back(to); }

  Fragment parse(std::string_view pattern) {
    std::size_t at = 0;
    const Fragment f = alternatives(pattern, at);
    if (at != pattern.size()) malformed(pattern, at);
    return f;
  }
  [[noreturn]] static void malformed(std::string_view pattern, std::size_t at) {
    fail<ValueError>("Scanner", "a well-formed pattern", cat(pattern, " at ", at));
  }

  Fragment alternatives(std::string_view p, std::size_t& at) {
    const Fragment all{state(), state()};
    for (;;) {
      const Fragment one = sequence(p, at);
      join(all.start, one.start);
      join(one.end, all.end);
      if (at == p.size() || p[at] != '|') return all;
      ++at;
    }
  }

  Fragment sequence(std::string_view p, std::size_t& at) {
    const int start = state();
    int end = start;
    while (at < p.size() && p[at] != '|' && p[at] != ')') {
      const Fragment one = repeated(p, at);
      join(end, one.start);
      end = one.end;
    }
    return {start, end};
  }

  Fragment repeated(std::string_view p, std::size_t& at) {
    const std::size_t from = at;
    Fragment one = atom(p, at);
    int least = 1, most = 1;  // most < 0: any number
    if (at < p.size() && (p[at] == '*' || p[at] == '+' || p[at] == '?')) {
      least = p[at] == '+' ? 1 : 0;
      most = p[at] == '?' ? 1 : -1;
      ++at;
    } else if (at + 1 < p.size() && p[at] == '{' && p[at + 1] >= '0' && p[at + 1] <= '9') {
      const auto number = [&] {
        int n = 0;
        while (at < p.size() && p[at] >= '0' && p[at] <= '9') n = n * 10 + (p[at++] - '0');
        return n;
      };
      ++at;
      least = most = number();
      if (at < p.size() && p[at] == ',') {
        ++at;
        most = number();
      }
      if (at == p.size() || p[at] != '}' || most < least || most == 0) malformed(p, at);
      ++at;
    }
    const int start = state(), end = state();
    int last = start;
    for (int i = 0; i < std::max(most, 1); ++i) {
      if (i > 0) {
        std::size_t again = from;
        one = atom(p, again);
      }
      if (i >= least) join(last, end);
      join(last, one.start);
      last = one.end;
    }
    if (most < 0) join(one.end, one.start);
    join(last, end);
    return {start, end};
  }

  Fragment atom(std::string_view p, std::size_t& at) {
    if (p[at] == '(') {
      const Fragment inner = alternatives(p, ++at);
      if (at == p.size() || p[at] != ')') malformed(p, at);
      ++at;
      return inner;
    }
    if (p[at] == '{') {
      const std::size_t close = p.find('}', at);
      const auto found = definitions_.find(p.substr(at + 1, close - at - 1));
      if (found == definitions_.end()) malformed(p, at);
      at = close + 1;
      return parse(found->second);
    }
    if (p[at] == '[') return character(members(p, at));
    CharacterSet one;
    if (p[at] == '.') {
      ++at;
      one.add(0, CharacterSet::last);
    } else if (const auto c = single(p, at, one)) {
      one.add(*c, *c);
      const char32_t lower = *c | 0x20U;
      if (lower >= U'a' && lower <= U'z')
        one.add(lower ^ 0x20U, lower ^ 0x20U), one.add(lower, lower);
    }
    return character(one.ranges(false));
  }

  std::vector<CharacterSet::Range> members(std::string_view p, std::size_t& at) {
    CharacterSet set;
    const bool complement = p.substr(at).starts_with("[^");
    at += complement ? 2 : 1;
    while (at < p.size() && p[at] != ']') {
      const auto from = single(p, at, set);
      if (!from) continue;
      const bool range = at + 1 < p.size() && p[at] == '-' && p[at + 1] != ']';
      if (range) ++at;
      set.add(*from, range ? single(p, at, set).value() : *from);
    }
    if (at == p.size()) malformed(p, at);
    ++at;
    return set.ranges(complement);
  }

  /// One character, or nothing where it was a named set, then added to `set`.
  static std::optional<char32_t> single(std::string_view p, std::size_t& at, CharacterSet& set) {
    if (p[at] != '\\') return static_cast<unsigned char>(p[at++]);
    if (at + 1 == p.size()) malformed(p, at);
    const char what = p[at + 1];
    at += 2;
    switch (what) {
      case 'p':
        set.add(CharacterSet::letters());
        return {};
      case 'd':
        set.add(CharacterSet::digits());
        return {};
      case 's':
        set.add(CharacterSet::spaces());
        return {};
      case 't':
        return U'\t';
      case 'n':
        return U'\n';
      case 'r':
        return U'\r';
      case 'u':
        if (at + 4 > p.size()) malformed(p, at);
        at += 4;
        return static_cast<char32_t>(std::stoul(std::string(p.substr(at - 4, 4)), nullptr, 16));
      default:
        return static_cast<unsigned char>(what);
    }
  }

  Fragment character(const std::vector<CharacterSet::Range>& ranges) {
    const int id = set_ids_.try_emplace(ranges, static_cast<int>(set_ids_.size())).first->second;
    const Fragment f{state(), state()};
    states_[static_cast<std::size_t>(f.start)].set = id;
    states_[static_cast<std::size_t>(f.start)].to = f.end;
    return f;
  }

  // ---- characters

  /// Characters beyond the basic plane are in complements alone, like U+FFFF, which is no character.
  int class_of(char32_t c) const { return classes_[std::min<std::size_t>(c, 0xFFFF)]; }

  void sort_characters() {
    std::set<char32_t> cuts{0};
    for (const auto& [ranges, id] : set_ids_) {
      for (const auto& [from, to] : ranges) {
        cuts.insert(from);
        cuts.insert(to + 1);
      }
    }
    const std::vector<char32_t> from(cuts.begin(), cuts.end());
    std::vector<std::string> membership(from.size(), std::string(set_ids_.size(), '0'));
    for (const auto& [ranges, id] : set_ids_) {
      for (const auto& [first, last] : ranges) {
        auto i = static_cast<std::size_t>(std::lower_bound(from.begin(), from.end(), first) -
                                          from.begin());
        for (; i < from.size() && from[i] <= last; ++i)
          membership[i][static_cast<std::size_t>(id)] = '1';
      }
    }
    std::map<std::string, int> ids;
    classes_.resize(0x10000);
    for (std::size_t i = 0; i < from.size(); ++i) {
      const int id = ids.try_emplace(membership[i], static_cast<int>(ids.size())).first->second;
      if (static_cast<std::size_t>(id) == members_.size()) members_.push_back(membership[i]);
      const std::size_t end = i + 1 < from.size() ? from[i + 1] : 0x10000;
      for (std::size_t c = from[i]; c < std::min<std::size_t>(end, 0x10000); ++c) classes_[c] = id;
    }
  }

  // ---- states

  /// `states` and all that silent steps reach from them, sorted.
  std::vector<int> closure(std::vector<int> states) {
    ++round_;
    std::vector<int> open, out;
    const auto visit = [&](int s) {
      if (std::exchange(stamp_[static_cast<std::size_t>(s)], round_) != round_) open.push_back(s);
    };
    for (const int s : states) visit(s);
    while (!open.empty()) {
      const int s = open.back();
      open.pop_back();
      const State& here = states_[static_cast<std::size_t>(s)];
      out.push_back(s);
      for (const int t : here.silent) visit(t);
    }
    std::sort(out.begin(), out.end());
    return out;
  }

  std::vector<int> step(const std::vector<int>& states, int character) {
    std::vector<int> reached;
    for (const int s : states) {
      const State& here = states_[static_cast<std::size_t>(s)];
      if (here.set >= 0 &&
          members_[static_cast<std::size_t>(character)][static_cast<std::size_t>(here.set)] == '1')
        reached.push_back(here.to);
    }
    return closure(std::move(reached));
  }

  int deterministic(std::vector<int> states) {
    // What distinguishes a state is what it reads and accepts; dropping the rest merges equals.
    std::erase_if(states, [&](int s) {
      const State& here = states_[static_cast<std::size_t>(s)];
      return here.set < 0 && here.accepts < 0;
    });
    const auto [found, fresh] = known_.try_emplace(states, static_cast<int>(table_.size()));
    if (fresh) {
      Deterministic d{std::move(states), -1, std::vector<int>(members_.size(), -1)};
      for (const int s : d.states) {
        const int rule = states_[static_cast<std::size_t>(s)].accepts;
        if (rule >= 0 && (d.accepts < 0 || rule < d.accepts)) d.accepts = rule;
      }
      table_.push_back(std::move(d));
    }
    return found->second;
  }

  int next(int from, int character) {
    const auto f = static_cast<std::size_t>(from), c = static_cast<std::size_t>(character);
    if (table_[f].next[c] < 0) {
      const int made = deterministic(step(table_[f].states, character));
      table_[f].next[c] = made;
    }
    return table_[f].next[c];
  }

  /// Where a match of head and tail is split: as late as it can be.
  std::size_t without_tail(const Compiled& rule, std::u32string_view text) {
    const std::vector<std::size_t> heads = ends(rule.head, text);
    for (auto at = heads.rbegin(); at != heads.rend(); ++at) {
      const std::vector<std::size_t> tails = ends(*rule.tail, text.substr(*at));
      if (!tails.empty() && *at + tails.back() == text.size()) return *at;
    }
    return text.size();
  }

  std::vector<std::size_t> ends(const Fragment& f, std::u32string_view text) {
    std::vector<std::size_t> out;
    std::vector<int> states = closure({f.start});
    for (std::size_t i = 0;; ++i) {
      if (std::binary_search(states.begin(), states.end(), f.end)) out.push_back(i);
      if (i == text.size() || states.empty()) return out;
      states = step(states, class_of(text[i]));
    }
  }

  std::map<std::string_view, std::string_view> definitions_;
  std::vector<Compiled> rules_;
  std::vector<int> starts_;
  std::vector<State> states_;
  std::map<std::vector<CharacterSet::Range>, int> set_ids_;
  std::vector<int> classes_;          // by code point
  std::vector<std::string> members_;  // by class and set: '1' inside
  std::vector<Deterministic> table_;
  std::map<std::vector<int>, int> known_;
  std::vector<unsigned> stamp_;
  unsigned round_ = 0;
  int initial_ = 0;
};

}  // namespace plume::eval
