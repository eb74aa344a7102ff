#pragma once
// The verb behind a word in "-ing", as WordNet's morphy finds it: of the forms that are verbs, the shortest among
//
//   the word itself    the word without "ing"    that and "e"
//
// or what the list of exceptions says (running: run, lying: lie). Which words are verbs is WordNet's own files' to
// say, read by `Verbs::wordnet`. Without them a list of common verbs stands in, with rules in place of the
// exceptions: a doubled consonant, "y" for "ie", "ck" for "c". A verb that the list lacks leaves the word as it is.

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "plume/core/error.hpp"
#include "plume/eval/python_text.hpp"

namespace plume::eval {

namespace detail {

inline constexpr std::string_view common_verbs =
    "accept ache act add adjust admire advertise age agree aim allow amuse analyze answer "
    "appear applaud apply approach argue arrange arrive ask assemble assist attach attack "
    "attend attract avoid back bake balance bank bar barbecue bare bark bat bath bathe "
    "bathroom be beach beam bear beat befit beg begin behave bend bet bicycle bike bind bird "
    "bite blast bleed blend bless blind blink block bloom blow board boat boil bomb book boost "
    "border bore borrow bounce bow bowl box brake branch brave bread break breathe breed brew "
    "bridge bring broadcast brown browse brush bubble buckle bud build bump burn burst bury "
    "bus butter button buy buzz call calm camp can cancel candle cap care carpet carry carve "
    "cast catch cater cause celebrate challenge change charge chase chat cheat check cheer "
    "chew chill choke choose chop circle claim clap clash clean clear climb cling clip close "
    "clothe cloud club coach coast coat cod code collect color colour comb combine come "
    "comfort communicate commute compete complain complete compute concentrate connect "
    "consider consume contain continue control convert cook cool cop cope copy cough count "
    "couple cover crack craft crash crawl cream create cross crouch crowd cruise crush cry "
    "cuddle cure curl cut cycle dam damage dance dare date deal decay decide deck decorate "
    "deliver depend deposit describe design destroy develop die dig din dine dip direct "
    "discover discuss display dive divide do dock dodge double doubt draft drag drain draw "
    "dream dress drift drill drink drip drive drool drop drown dry dump dust dye earn eat edit "
    "educate embarrass employ empty end engrave enjoy enter entertain erase even examine "
    "exercise exhibit exist expand explain explode explore express face fade fail fall farm "
    "fasten father fatten favor fear feast feed feel fence ferment fight file fill film filter "
    "find finish fire fish fit fix flap flash flat flavor flip float flood floor flow flower "
    "fly focus fold follow fool force form frame free freeze frost frown fry fuel function "
    "gain gallop gamble game garden gather get give glaze glide glow glue go golf grab "
    "graduate grant graze greet grill grin grind grip groom group grow growl guard guess guide "
    "gut hail hammer hand handle hang happen harvest hat hatch hate haul have head heal hear "
    "heat help herd hibernate hide hike hit hitch hold hop hope horn host hover howl hug hum "
    "hunt hurry hurt ice identify illuminate imagine improve include increase inspect install "
    "instruct interest interview invest invite iron itch jab jam jog join joke judge juggle "
    "jump keep kick kid kill kiss kit kite kneel knit knock knot know lace land landscape "
    "laugh launch lay lead leak lean leap learn leash leave lend let level lick lie lift light "
    "like limp line link list listen litter live load lock log look loose lose love lunch mail "
    "make man manage march mark market marry mash mat match mate mean measure meditate meet "
    "melt mend microwave milk mine miss mix moan model mop mope mount mourn move mow mug "
    "multiply murder nail name nap need nest nod note notice number nurse obey observe offer "
    "open operate order organize out overlook own pack paddle paint pan panic par parachute "
    "parade pare park part pass paste pat patch patrol pave pay peck pedal peek peel peer "
    "perch perform persuade pet phone photograph pick picnic pile pilot pin pinch pine ping "
    "pip pipe pitch place plan plane plant plat plate play plead please plow plug plumb poach "
    "point poke polarize pole polish pop pose post pot pound pour practice practise praise "
    "pray preach prepare present preserve press pretend prevent prick prim prime print produce "
    "program promise protect protest prove provide prune pull pump punch puncture punish "
    "purchase purr push put putt puzzle queue quilt race rain raise rap rat rate reach read "
    "receive recline recognize record recycle reduce reflect refrigerate refuse reign rejoice "
    "relax release rely remain remember remind remodel remove rent repair repeat replace reply "
    "report rescue resist rest retire return rhyme rid ride ring rinse rip rise risk roam roar "
    "roast rob robe rock roll roof root rope rot row rub ruin rule run rush sack sag sail salt "
    "salute sand save saw say scar scare scatter scoop score scrape scratch scream screen "
    "screw scrub seal search season seat see seed seek sell send separate serve set settle sew "
    "shade shake shampoo shape share sharpen shave shed shell shelter shift shine shingle ship "
    "shiver shock shoot shop short shout shove shovel show shower shred shrug shut side "
    "sightsee sign signal sing singe sink sip sit skate skateboard sketch ski skid skip sky "
    "slam slap sled sleep sleet slice slide sling slip slop slope slow smash smell smile smoke "
    "snack snap snatch sneak sneeze sniff snooze snore snorkel snow snowboard soak soap "
    "socialize sort sound spar spare spark sparkle spat speak speed spell spend spill spin "
    "spit splash split spoil sponsor spoon spot spray spread spring sprinkle sprint sprout spy "
    "squash squat squeak squeal squeeze stack staff stain stand star stare start state station "
    "stay steal steam steer step stick stimulate sting stir stitch stock stoop stop store "
    "storm strap stream stretch string strip stripe stroke stroll strum study stuff style "
    "subtract succeed suck suffer suggest suit sun sunbathe supply support surf surface "
    "surprise surround survey swallow swarm sway swear sweat sweep swell swim swing switch "
    "tackle take talk tan tap tape target taste tax teach tear tease tee teethe tell tempt "
    "tend test thank thaw think thread throw tick tickle tie till tilt time tip tire toast "
    "tone toss touch tour tow toy trace track trade trail train transport trap travel tread "
    "treat tremble trick trim trip trot trouble trust try tuck tug tumble turn twirl twist "
    "type umpire understand undress unicycle unite unload unlock unpack urinate use vacation "
    "vaccinate vacuum vend vent vie view visit vote wad wade wag wager wail wait wake walk "
    "wallow wander want warm warn wash waste watch water wave wax weaken wear weather weave "
    "wed weed weigh welcome weld whip whirl whisk whisper whistle will win wind wing wink wipe "
    "wire wish wonder work worry worship wrap wreck wrestle wriggle write xerox yawn yell "
    "yield zip zoom";

}  // namespace detail

class Verbs {
 public:
  static const Verbs& common() {
    static const Verbs verbs = [] {
      Verbs out;
      for (const std::string_view verb : python_split(detail::common_verbs)) {
        out.verbs_.emplace(verb);
      }
      return out;
    }();
    return verbs;
  }

  /// `dict`: the folder of WordNet 3.0 that holds index.verb and verb.exc. Throws FormatError.
  static Verbs wordnet(const std::filesystem::path& dict) {
    Verbs out;
    out.complete_ = true;
    for (const char* name : {"index.verb", "verb.exc"}) {
      const bool index = std::string_view(name) == "index.verb";
      std::ifstream file(dict / name);
      if (!file) fail<FormatError>("WordNet", cat("a file ", (dict / name).string()), "none");
      for (std::string line; std::getline(file, line);) {
        const std::vector<std::string_view> words = python_split(line);
        if (words.empty() || line[0] == ' ') continue;  // the licence, at the top
        if (index) out.verbs_.emplace(words[0]);
        for (std::size_t i = 1; !index && i < words.size(); ++i) {
          out.exceptions_[std::string(words[0])].emplace_back(words[i]);
        }
      }
    }
    if (out.verbs_.empty()) fail<FormatError>((dict / "index.verb").string(), "verbs", "none");
    return out;
  }

  [[nodiscard]] bool contains(std::string_view word) const {
    return verbs_.contains(std::string(word));
  }

  /// The verb that `word`, which ends in "ing", is a form of; itself where there is none.
  [[nodiscard]] std::string lemma(std::string_view word) const {
    const std::string stem(word.substr(0, word.size() - 3));
    std::vector<std::string> forms{std::string(word)};
    const auto found = exceptions_.find(forms[0]);
    if (found != exceptions_.end()) {
      forms.insert(forms.end(), found->second.begin(), found->second.end());
    } else if (const std::string verb = complete_ ? "" : exception(stem); !verb.empty()) {
      forms.push_back(verb);
    } else {
      forms.insert(forms.end(), {stem + "e", stem});
    }
    std::string best;
    for (const std::string& form : forms) {
      if (contains(form) && (best.empty() || form.size() < best.size())) best = form;
    }
    return best.empty() ? std::string(word) : best;
  }

 private:
  /// What the file of exceptions would list, by rule; empty where there is no such verb.
  [[nodiscard]] std::string exception(const std::string& stem) const {
    const std::size_t n = stem.size();
    if (n < 2 || contains(stem)) return {};
    const std::string shorter = stem.substr(0, n - 1);
    if (stem[n - 1] == 'y' && contains(shorter + "ie")) return shorter + "ie";
    const bool doubled = stem[n - 1] == stem[n - 2] || stem.ends_with("ck");
    return doubled && contains(shorter) ? shorter : std::string();
  }

  std::unordered_set<std::string> verbs_;
  std::unordered_map<std::string, std::vector<std::string>> exceptions_;
  bool complete_ = false;
};

}  // namespace plume::eval
