#pragma once
// OK-VQA's answers are stemmed; a generated answer must be stemmed alike before it is compared. Word by word:
//
//   in the table of exceptions    what it says
//   ends in "ing"                 the verb (verb_lemma.hpp)
//   a noun in the plural          its singular (singular.hpp)
//
// The reference asks NLTK's perceptron tagger which words are plurals (NNS, NNPS). Its weights are not here; by
// default `looks_plural` decides by the word and the one before it. docs/limits.md says how often that agrees.

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plume/eval/postprocess.hpp"
#include "plume/eval/singular.hpp"
#include "plume/eval/verb_lemma.hpp"
#include "plume/eval/word_tokenize.hpp"

namespace plume::eval {

namespace detail {

/// Of the reference: "word stem word stem ...", found by comparing raw with published answers.
inline constexpr std::string_view ok_vqa_stems =
    "police police las las vegas vegas yes yes jeans jean hell's hell domino's domino morning "
    "morn clothes cloth are are riding ride leaves leaf dangerous danger clothing cloth "
    "texting text kiting kite firefighters firefight ties tie married married teething teeth "
    "gloves glove tennis tennis dining dine directions direct waves wave christmas christmas "
    "drives drive pudding pud coding code plating plate quantas quanta hornes horn graves "
    "grave mating mate paned pane alertness alert sunbathing sunbath tenning ten wetness wet "
    "urinating urine sickness sick braves brave firefighting firefight lenses lens reflections "
    "reflect backpackers backpack eatting eat designers design curiousity curious playfulness "
    "play blindness blind hawke hawk tomatoe tomato rodeoing rodeo brightness bright circuses "
    "circus skateboarders skateboard staring stare electronics electron electicity elect "
    "mountainous mountain socializing social hamburgers hamburg caves cave transitions transit "
    "wading wade creame cream toileting toilet sautee saute buildings build belongings belong "
    "stockings stock walle wall cumulis cumuli travelers travel conducter conduct browsing "
    "brows pooping poop haircutting haircut toppings top hearding heard sunblocker sunblock "
    "bases base markings mark mopeds mope kindergartener kindergarten pies pie scrapbooking "
    "scrapbook couponing coupon meetings meet elevators elev lowes low men's men childrens "
    "children shelves shelve paintings paint raines rain paring pare expressions express "
    "routes rout pease peas vastness vast awning awn boy's boy drunkenness drunken teasing "
    "teas conferences confer ripeness ripe suspenders suspend earnings earn reporters report "
    "kid's kid containers contain corgie corgi porche porch microwaves microwave batter's "
    "batter sadness sad apartments apart oxygenize oxygen striping stripe purring pure "
    "professionals profession piping pipe farmer's farmer potatoe potato emirates emir womens "
    "women veteran's veteran wilderness wilder propellers propel alpes alp charioteering "
    "chariot swining swine illness ill crepte crept adhesives adhesive regent's regent "
    "decorations decor rabbies rabbi overseas oversea travellers travel casings case smugness "
    "smug doves dove nationals nation mustange mustang ringe ring gondoliere gondolier "
    "vacationing vacate reminders remind baldness bald settings set glaced glace coniferous "
    "conifer revelations revel personals person daughter's daughter badness bad projections "
    "project polarizing polar vandalizers vandal minerals miner protesters protest controllers "
    "control weddings wed sometimes sometime earing ear";

inline std::unordered_set<std::string_view> word_set(std::string_view words) {
  const std::vector<std::string_view> list = python_split(words);
  return {list.begin(), list.end()};
}

}  // namespace detail

/// The stem that the table of exceptions has; nullptr if none.
inline const std::string_view* ok_vqa_exception(std::string_view word) {
  static const std::unordered_map<std::string_view, std::string_view> stems = [] {
    std::unordered_map<std::string_view, std::string_view> out;
    const std::vector<std::string_view> words = python_split(detail::ok_vqa_stems);
    for (std::size_t i = 0; i + 1 < words.size(); i += 2) out.emplace(words[i], words[i + 1]);
    return out;
  }();
  const auto found = stems.find(word);
  return found == stems.end() ? nullptr : &found->second;
}

/// A guess at whether a tagger calls `words[at]` a plural noun: it is a known plural, or ends in an s that is not part of
/// a singular (-ss, -us, -is, -'s, a list), of a verb after a pronoun, or of a name inside the sentence.
inline bool looks_plural(const std::vector<std::string>& words, std::size_t at) {
  static const auto plurals = detail::word_set(
      "bacteria bikinis children criteria data feet men people police skis taxis teeth women");
  static const auto singulars = detail::word_set(
      "alas alias always angeles as atlas besides bias canvas chaos christmas Christmas does gas "
      "goes "
      "has hers his its las Las lens los news ours overseas perhaps says series sometimes texas "
      "Texas "
      "theirs twas vegas Vegas was whereas whos yes Yes yours");
  static const auto pronouns = detail::word_set("he she it who that He She It Who That");
  static const auto articles = detail::word_set("A An The");
  const std::string& word = words[at];
  if (plurals.contains(word)) return true;
  if (word.size() < 3 || word.back() != 's' || singulars.contains(word)) return false;
  for (const std::string_view ending : {"ss", "us", "is", "'s"}) {
    if (word.ends_with(ending)) return false;
  }
  if (at == 0) return true;
  const std::string& before = words[at - 1];
  const auto capital = [](const std::string& w) { return w[0] >= 'A' && w[0] <= 'Z'; };
  if (capital(word) && (!capital(before) || articles.contains(before))) return false;
  return !pronouns.contains(before);
}

using IsPlural = std::function<bool(const std::vector<std::string>& words, std::size_t at)>;

/// The stems of `words`, joined by a space.
inline std::string ok_vqa_stem(const std::vector<std::string>& words,
                               const IsPlural& is_plural = looks_plural,
                               const Verbs& verbs = Verbs::common()) {
  std::string out;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) out += ' ';
    if (const std::string_view* stem = ok_vqa_exception(words[i])) {
      out += *stem;
    } else if (words[i].ends_with("ing")) {
      out += verbs.lemma(words[i]);
    } else {
      out += is_plural(words, i) ? singular_of(words[i]) : words[i];
    }
  }
  return out;
}

/// An answer to a question of OK-VQA, stemmed. See answer_of.
inline std::string ok_vqa_answer_of(std::string_view generation,
                                    const IsPlural& is_plural = looks_plural,
                                    const Verbs& verbs = Verbs::common()) {
  return ok_vqa_stem(word_tokenize(answer_of(generation)), is_plural, verbs);
}

}  // namespace plume::eval
