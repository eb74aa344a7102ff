#pragma once
// The generated world: a scene is one to four equal shapes, or a digit, of one colour at one place on one cloth.
// What is in it (its Content) is known exactly, so the right caption and the right answers are too.
//
// Scene number i of a part of the world is a function of (seed, part, i) alone; parts share no random number.
// Some combinations of thing, colour, count and place are kept back: scenes to train on never show them.

#include <array>
#include <string>
#include <string_view>

#include "plume/core/random.hpp"

namespace world {

using plume::index_t;

inline constexpr std::array<std::string_view, 6> shape_words{"circle", "square", "triangle",
                                                             "cross",  "ring",   "bar"};
inline constexpr std::array<std::string_view, 6> shape_plurals{"circles", "squares", "triangles",
                                                               "crosses", "rings",   "bars"};
inline constexpr std::array<std::string_view, 10> digit_words{
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"};
inline constexpr std::array<std::string_view, 8> colour_words{"red",  "orange", "yellow", "green",
                                                              "cyan", "blue",   "purple", "black"};
inline constexpr std::array<std::string_view, 4> count_words{"one", "two", "three", "four"};
inline constexpr std::array<std::string_view, 5> place_words{"left", "right", "top", "bottom",
                                                             "middle"};
inline constexpr std::array<std::string_view, 4> cloth_words{"plain", "stripes", "dots", "checks"};

inline constexpr index_t shapes = 6, digits = 10, colours = 8, most = 4, places = 5, cloths = 4;

/// What is in a picture. Numbers are places in the lists of words above.
struct Content {
  index_t thing = 0;  ///< below `shapes` a shape, then the digits
  index_t colour = 0;
  index_t count = 1;  ///< 1 to 4; of a digit 1
  index_t place = 0;
  index_t cloth = 0;
  friend bool operator==(const Content&, const Content&) = default;

  [[nodiscard]] constexpr bool is_digit() const noexcept { return thing >= shapes; }
  [[nodiscard]] std::string_view thing_word() const {
    return is_digit() ? digit_words[static_cast<std::size_t>(thing - shapes)]
                      : shape_words[static_cast<std::size_t>(thing)];
  }
  [[nodiscard]] std::string_view colour_word() const {
    return colour_words[static_cast<std::size_t>(colour)];
  }
  [[nodiscard]] std::string_view count_word() const {
    return count_words[static_cast<std::size_t>(count - 1)];
  }
  [[nodiscard]] std::string_view place_word() const {
    return place_words[static_cast<std::size_t>(place)];
  }
  [[nodiscard]] std::string_view cloth_word() const {
    return cloth_words[static_cast<std::size_t>(cloth)];
  }
};

/// Things, colours, counts and places that go together: a digit is alone. Without the cloth.
inline constexpr index_t combinations = (shapes * most + digits) * colours * places;

/// 0 to combinations - 1, by all but the cloth.
constexpr index_t combination(const Content& c) noexcept {
  const index_t what =
      c.is_digit() ? shapes * most + c.thing - shapes : c.thing * most + c.count - 1;
  return (what * colours + c.colour) * places + c.place;
}

/// The content of that combination on that cloth.
constexpr Content content_at(index_t combination, index_t cloth) noexcept {
  Content out;
  out.cloth = cloth;
  out.place = combination % places;
  out.colour = combination / places % colours;
  const index_t what = combination / places / colours;
  const bool digit = what >= shapes * most;
  out.thing = digit ? shapes + what - shapes * most : what / most;
  out.count = digit ? 1 : what % most + 1;
  return out;
}

/// What scenes are drawn for. Those to train on never show a combination that is kept back.
enum class Part : std::uint64_t {
  pairs,
  documents,
  strays,          ///< of documents: their form, and the pictures that fit no sentence
  text,            ///< what the language model reads, without pictures
  demonstrations,  ///< held out, of the combinations of training
  known_queries,   ///< held out, of the combinations of training
  new_queries,     ///< held out, of the combinations that are kept back
  splits,          ///< no scenes: what is kept back
};

/// One in ten combinations is kept back.
inline bool is_kept_back(std::uint64_t seed, index_t combination) noexcept {
  const auto words = plume::philox(seed, static_cast<std::uint64_t>(Part::splits) << 56U,
                                   static_cast<std::uint64_t>(combination));
  return words[0] % 10 == 0;
}

/// Random numbers of number `index` of a part: 65,536 of them before those of the next index begin.
inline plume::Generator numbers_of(std::uint64_t seed, Part part, std::uint64_t index) {
  plume::Generator out;
  out.set_state({seed, static_cast<std::uint64_t>(part) << 56U | index << 16U});
  return out;
}

struct Scene {
  Content content;
  plume::Generator look;  ///< sizes, places and hues within their limits, and noise
  plume::Generator talk;  ///< which of the things that can be said is said
};

/// One scene in four shows a digit; otherwise all that may be shown is equally likely.
inline Scene draw_scene(std::uint64_t seed, Part part, std::uint64_t index) {
  Scene out{{}, numbers_of(seed, part, index), plume::Generator()};
  out.talk.set_state({seed, out.look.state().stream + (1U << 15U)});
  plume::Generator& random = out.look;
  do {
    const bool digit = random.below(4) == 0;
    out.content.thing = digit ? shapes + random.below(digits) : random.below(shapes);
    out.content.count = digit ? 1 : 1 + random.below(most);
    out.content.colour = random.below(colours);
    out.content.place = random.below(places);
    out.content.cloth = random.below(cloths);
  } while (is_kept_back(seed, combination(out.content)) != (part == Part::new_queries));
  return out;
}

}  // namespace world
