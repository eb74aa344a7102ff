#include "plume/data/pair_folder.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"

using namespace plume;
using namespace plume::data;

namespace {

using Names = std::vector<std::string>;

TEST_CASE(
    "pair folder: kinds in any case, dots in names; what is left out is known by its reason") {
  const test::Folder folder;
  for (const char* name :
       {"a.jpg",   "a.txt",     "B.JPG",       "B.txt",      "C.Jpeg",     "C.TXT",
        "d.PNG",   "d.txt",     "e.jpg",       "f.1.5x.jpg", "f.1.5x.txt", "._j.jpg",
        "._j.txt", ".DS_Store", "sub/x.jpg",   "sub/x.txt",  "g.png",      "g.jpeg",
        "g.JPG",   "g.txt",     "h.txt",       "h.TXT",      "h.gif",      "i.jpg.txt",
        "i.jpg",   "notes",     "caf\xE9.jpg", "caf\xE9.txt"})
    folder.put(cat("in/", std::string(name)), "x");
  const PairFolder found = read_pair_folder(folder.file("in"));
  Names pairs;
  for (const PairFolder::Pair& pair : found.pairs)
    pairs.push_back(pair.picture.filename().string() + " " + pair.caption.filename().string() +
                    " " + pair.kind);
  CHECK(pairs == Names{"B.JPG B.txt jpg", "C.Jpeg C.TXT jpeg", "a.jpg a.txt jpg",
                       "caf\xE9.jpg caf\xE9.txt jpg", "d.PNG d.txt png",
                       "f.1.5x.jpg f.1.5x.txt jpg", "g.JPG g.txt jpg"});
  CHECK(found.left_out ==
        std::map<std::string, Names>{{"a folder", {"sub"}},
                                     {"a picture without a text", {"e.jpg", "i.jpg"}},
                                     {"a second picture for one text", {"g.jpeg", "g.png"}},
                                     {"a text without a picture", {"h.TXT", "h.txt", "i.jpg.txt"}},
                                     {"hidden", {".DS_Store", "._j.jpg", "._j.txt"}},
                                     {"neither .jpg, .jpeg, .png nor .txt", {"h.gif", "notes"}}});
  std::size_t left_out = 0;
  for (const auto& [reason, names] : found.left_out) left_out += names.size();
  CHECK(found.files == 2 * found.pairs.size() + left_out);
}

TEST_CASE("pair folder: no folder, no pair") {
  const test::Folder folder;
  folder.put("in/a.webp", "x");
  CHECK_THROWS_AS((void)read_pair_folder(folder.file("none")), FormatError);
  CHECK_THROWS_WITH_AS((void)read_pair_folder(folder.file("in")),
                       doctest::Contains("1 neither .jpg, .jpeg, .png nor .txt"), FormatError);
}

}  // namespace
