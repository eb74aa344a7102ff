#include "plume/eval/feature_cache.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"

namespace {

using namespace plume;
using namespace plume::eval;

struct Cache {
  test::Folder folder;
  int computed = 0;
  std::string said{};

  Tensor<float> get(const std::string& key, index_t rows = 3) {
    return cached_features(
        folder.file("f.safetensors"), key, rows,
        [&] {
          ++computed;
          Tensor<float> x(Shape{rows, 2});
          for (index_t i = 0; i < x.numel(); ++i) x.data()[i] = static_cast<float>(i);
          return x;
        },
        [&](const std::string& why) { said += why + "\n"; });
  }
};

}  // namespace

TEST_CASE("feature_cache: what was kept is given again") {
  Cache cache;
  (void)cache.get("a");
  const Tensor<float> again = cache.get("a");
  CHECK(cache.computed == 1);
  CHECK(cache.said.empty());
  CHECK(again.shape() == Shape{3, 2});
  CHECK(again(2, 1) == 5);
}

TEST_CASE("feature_cache: features of something else are computed anew, with a word") {
  Cache cache;
  (void)cache.get("a");
  (void)cache.get("b");
  CHECK(cache.computed == 2);
  CHECK(cache.said.find("another encoder") != std::string::npos);
  (void)cache.get("b");
  CHECK(cache.computed == 2);
  (void)cache.get("b", 4);
  CHECK(cache.computed == 3);
  CHECK(cache.said.find("another shape") != std::string::npos);
  cache.folder.put("f.safetensors", "not a file of features");
  (void)cache.get("b", 4);
  CHECK(cache.computed == 4);
  (void)cache.get("b", 4);
  CHECK(cache.computed == 4);
}

TEST_CASE("feature_cache: the key knows the encoder and each picture's name and size") {
  const test::Folder folder;
  const std::vector<PictureFile> files{{folder.put("a.png", "aa")}, {folder.put("b.png", "b")}};
  const std::string key = feature_key("weights", files);
  CHECK(feature_key("weights", files) == key);
  CHECK(feature_key("other", files) != key);
  folder.put("b.png", "bb");
  CHECK(feature_key("weights", files) != key);
  const std::vector<PictureFile> turned{files[1], files[0]}, none{{folder.path / "c.png"}};
  CHECK(feature_key("weights", turned) != feature_key("weights", files));
  CHECK_THROWS_AS((void)feature_key("weights", none), FormatError);
}
