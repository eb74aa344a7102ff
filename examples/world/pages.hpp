#pragma once
// Pages: several pictures with what is said about each, in one dialect and with one set of second names for the cloths;
// as the text a language model reads, and as the documents of MMC4.
//
// On every fourth page the cloths have no second names, on the others invented ones. Half of the pages show two
// cloths alone, so that what they are called is soon seen twice.

#include "draw.hpp"
#include "plume/io/base64.hpp"
#include "plume/io/json.hpp"
#include "words.hpp"

namespace world {

struct Turn {
  Scene scene;
  std::string said;  ///< "Output:..." or "Question:... Short answer:..."
};

struct Page {
  Names names{};
  index_t dialect = 0;
  std::string title{};  ///< stands before the first picture; often empty
  std::vector<Turn> turns{};
};

inline constexpr std::uint64_t page_numbers = 16;  ///< of its part, for a page and its scenes
inline constexpr index_t most_turns = 12;

inline std::string said_of(const Content& c, Question question, const Names& names) {
  return plume::cat("Question:", text_of(question), " Short answer:", answer(c, question, names));
}

/// Page `index` of a part, of `fewest` to `largest` turns, 1 to most_turns.
inline Page draw_page(std::uint64_t seed, Part part, std::uint64_t index, index_t fewest,
                      index_t largest) {
  if (fewest < 1 || largest < fewest || largest > most_turns)
    plume::fail<plume::ValueError>("draw_page", "1 <= fewest <= largest <= 12 turns",
                                   plume::cat(fewest, " to ", largest));
  plume::Generator random = numbers_of(seed, part, index * page_numbers + page_numbers - 1);
  Page out;
  if (random.below(4) != 0) {
    do {
      out.names = draw_names(random);
    } while (out.names == held_out_names(seed));
  }
  out.dialect = random.below(dialects);
  if (random.below(3) == 0) out.title = "Here are some pictures.";
  const index_t turns = fewest + random.below(largest - fewest + 1);
  const bool two_cloths = random.below(2) == 0;
  const index_t one = random.below(cloths), other = (one + 1 + random.below(cloths - 1)) % cloths;
  const index_t kind = random.below(10);  // below 5: captions, below 8: questions, else both
  for (index_t i = 0; i < turns; ++i) {
    Scene scene = draw_scene(seed, part, index * page_numbers + static_cast<std::uint64_t>(i));
    Content& content = scene.content;
    if (two_cloths) content.cloth = content.cloth % 2 == 0 ? one : other;
    const bool tells = kind < 5 || (kind >= 8 && random.below(2) == 0);
    std::string said = tells ? plume::cat("Output:", caption(content, out.dialect, out.names))
                             : said_of(content, draw_question(content, random), out.names);
    out.turns.push_back({scene, std::move(said)});
  }
  return out;
}

/// What stands for a picture where a page is read as text.
enum class Stand : std::uint8_t {
  nothing,
  words,  ///< what it shows, as a page of the web has it: "[two circle red left stripes]"
  tag,    ///< <image>, and <|endofchunk|> after what is said
};

inline std::string in_words(const Content& c) {
  return plume::cat("[", c.is_digit() ? "digit" : c.count_word(), " ", c.thing_word(), " ",
                    c.colour_word(), " ", c.place_word(), " ", c.cloth_word(), "]");
}

/// Turns end their lines.
inline std::string text_of(const Page& page, Stand stand) {
  std::string out = page.title;
  if (!out.empty()) out += '\n';
  for (const Turn& turn : page.turns) {
    if (stand == Stand::words) out += in_words(turn.scene.content);
    if (stand == Stand::tag) out += "<image>";
    out += turn.said;
    if (stand == Stand::tag) out += "<|endofchunk|>";
    out += '\n';
  }
  return out;
}

/// What the cloths of a page are called, again and again: "stripes dax, dots wug, stripes dax". Who reads it learns to
/// look up what followed a word before.
inline std::string cloth_list(std::uint64_t seed, std::uint64_t index) {
  plume::Generator random = numbers_of(seed, Part::text, index * page_numbers);
  const Names names = draw_names(random);
  const index_t shown = 2 + random.below(cloths - 1), first = random.below(cloths);
  std::string out;
  for (index_t i = 0; i < 5 * shown; ++i) {
    Content content;
    content.cloth = (first + random.below(shown)) % cloths;
    out += plume::cat(i == 0 ? "" : ", ", detail::cloth(content, names));
  }
  return out;
}

/// Number `index` of the texts that the language model reads: of eight, one is a caption, one a page without its
/// pictures, four are pages with words in place of them and two lists of cloths. With `tags`, one of the four pages
/// has tags.
inline std::string model_text(std::uint64_t seed, std::uint64_t index, bool tags = false) {
  const std::uint64_t kind = index % 8;
  if (kind == 0) {
    Scene scene = draw_scene(seed, Part::text, index * page_numbers);
    const std::string said = caption(scene.content, scene.talk.below(dialects));
    return tags ? plume::cat("<image>", said, "<|endofchunk|>") : said;
  }
  if (kind >= 6) return cloth_list(seed, index);
  const Page page = draw_page(seed, Part::text, index, 2, 10);
  return text_of(page, kind == 1 ? Stand::nothing : tags && kind == 2 ? Stand::tag : Stand::words);
}

/// The pictures of documents: as large as the rule asks that drops files below 11,000 bytes.
inline constexpr index_t document_side = 96;
inline constexpr std::size_t document_bytes = 11'000;

inline std::vector<std::byte> document_jpeg(const Scene& scene) {
  for (double noise = 6;; noise *= 1.5) {
    std::vector<std::byte> out = jpeg(draw(scene, document_side, noise), 100);
    if (out.size() >= document_bytes) return out;
  }
}

/// A document of MMC4: its sentences, its pictures in an order of their own, and how alike they are. One document in
/// ten has a picture more, which fits no sentence.
inline plume::io::Json mmc4_document(const Page& page, std::uint64_t seed, std::uint64_t index) {
  using plume::io::Json;
  plume::Generator random = numbers_of(seed, Part::strays, 3 * index);
  Json sentences = Json::array(), info = Json::array(), similarity = Json::array();
  if (!page.title.empty()) sentences.push_back(page.title);
  const std::size_t first = sentences.size(), turns = page.turns.size();
  for (const Turn& turn : page.turns) sentences.push_back(turn.said);
  const std::size_t pictures = turns + (random.below(10) == 0 ? 1 : 0);
  std::vector<std::size_t> order(pictures);
  for (std::size_t i = 0; i < pictures; ++i) {
    order[i] = i;
    std::swap(order[i], order[static_cast<std::size_t>(random.below(static_cast<index_t>(i) + 1))]);
  }
  for (const std::size_t p : order) {
    const bool fits = p < turns;
    const Scene scene = fits ? page.turns[p].scene : draw_scene(seed, Part::strays, 3 * index + 1);
    Json row = Json::array();
    for (std::size_t s = 0; s < sentences.size(); ++s) {
      const double low = fits && s == first + p ? 0.28 : 0.08;
      row.push_back(std::round((low + 0.1 * random.uniform()) * 1e4) / 1e4);
    }
    similarity.push_back(row);
    info.push_back({{"image_name", plume::cat("page", index, "_", p, ".jpg")},
                    {"image_base64", plume::io::base64_encode(document_jpeg(scene))}});
  }
  return {{"text_list", sentences}, {"image_info", info}, {"similarity_matrix", similarity}};
}

/// A generated sequence: the text with marks where its pictures belong, and the pictures, which may be small.
inline plume::io::Json generated_document(const Page& page, index_t side) {
  std::string text = page.title;
  plume::io::Json map = plume::io::Json::object();
  for (std::size_t i = 0; i < page.turns.size(); ++i) {
    const std::string mark = plume::cat("_!_IMAGE", i + 1, "_!_");
    text += plume::cat(mark, page.turns[i].said);
    map[mark] = {{"base64_image", plume::io::base64_encode(jpeg(draw(page.turns[i].scene, side)))}};
  }
  return {{"is_gpt", true}, {"example", text}, {"image_map", map}};
}

/// Document `index`: of one picture in sixteen cases, else of two to six; every eighth is a generated sequence.
inline plume::io::Json document(std::uint64_t seed, std::uint64_t index, index_t side) {
  const bool single = numbers_of(seed, Part::strays, 3 * index + 2).uniform() < 1.0 / 16;
  const Page page = draw_page(seed, Part::documents, index, single ? 1 : 2, single ? 1 : 6);
  return index % 8 == 7 ? generated_document(page, side) : mmc4_document(page, seed, index);
}

}  // namespace world
