#include "plume/eval/ok_vqa.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"
#include "verify/vqa_case.hpp"

using namespace plume::eval;

TEST_CASE("ok_vqa: what is recorded, step by step") {
  for (const char* folder : {"tests/golden/metrics", "tests/golden/metrics_edge"}) {
    flamingo::Report report;
    flamingo::check_vqa(folder, report);
    CHECK(report.comparisons().size() > 500);
    for (const flamingo::Comparison& c : report.comparisons()) {
      CHECK_MESSAGE(c.passes(), c.name, ": ", c.detail);
    }
  }
}

TEST_CASE("ok_vqa: guessing plurals, the share that agrees with the tagger's") {
  const plume::io::Json main = plume::io::read_json("tests/golden/metrics/ok_vqa.json"),
                        edge = plume::io::read_json("tests/golden/metrics_edge/ok_vqa.json");
  std::size_t same = 0;
  for (const auto& row : main["postprocess"]) {
    same += ok_vqa_answer_of(row["raw"].get<std::string>()) == row["stem"].get<std::string>();
  }
  for (const auto& row : edge["answers"]) {
    same += ok_vqa_answer_of(row["raw"].get<std::string>()) == row["stemmed"].get<std::string>();
  }
  const std::size_t all = main["postprocess"].size() + edge["answers"].size();
  MESSAGE(same << " of " << all << " stems agree without a tagger");
  CHECK(static_cast<double>(same) >= 0.98 * static_cast<double>(all));
}

TEST_CASE("word_tokenize: quotes, contractions, stops") {
  using Words = std::vector<std::string>;
  CHECK(word_tokenize("I can't, \"really\" (3,000)...") ==
        Words{"I", "ca", "n't", ",", "``", "really", "''", "(", "3,000", ")", "..."});
  CHECK(word_tokenize("cannot wanna gimme 'tis") ==
        Words{"can", "not", "wan", "na", "gim", "me", "'t", "is"});
  CHECK(word_tokenize("the U.S. dogs' bowls.") == Words{"the", "U.S.", "dogs", "'", "bowls", "."});
  CHECK(word_tokenize(" ").empty());
}

TEST_CASE("singular_of: endings whatever the case") {
  CHECK(singular_of("FRIES") == "FRy");
  CHECK(singular_of("Women") == "Woman");
  CHECK(singular_of("fried-rice") == "fried-rice");
  CHECK(singular_of("prices") == "price");
  CHECK(singular_of("Kine") == "Cow");
  CHECK(singular_of("ies") == "ie");
  CHECK(singular_of("").empty());
}

TEST_CASE("verb_lemma: WordNet's own files, where they are there") {
  const plume::test::Folder folder;
  const std::filesystem::path& dict = folder.path;
  CHECK_THROWS_AS((void)Verbs::wordnet(dict / "none"), plume::FormatError);
  folder.put("index.verb", "  1 a licence\nrid v 1\nride v 2\nrun v 3\nrunn v 1\n");
  folder.put("verb.exc", "running run\n");
  const Verbs verbs = Verbs::wordnet(dict);
  CHECK(verbs.lemma("riding") == "rid");
  CHECK(verbs.lemma("running") == "run");
  CHECK(verbs.lemma("swimming") == "swimming");
  CHECK_FALSE(verbs.contains("1"));
  CHECK(Verbs::common().lemma("swimming") == "swim");
  CHECK(Verbs::common().lemma("ing") == "ing");
}
