#include "plume/eval/feature_cache.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"

namespace {

using namespace plume;
using namespace plume::eval;

struct Cache {
  test::Folder folder;
  std::vector<std::string> computed{};
  std::string said{};

  PictureFile file(const std::string& name, const std::string& contents) {
    return {folder.put(name, contents)};
  }
  /// The feature of a picture is its size, and one.
  Tensor<float> get(const std::string& encoder, const std::vector<PictureFile>& files) {
    computed.clear();
    return cached_features(
        folder.file("f.safetensors"), encoder, files,
        [&](std::span<const PictureFile> missing) {
          Tensor<float> x = full<float>(Shape{std::ssize(missing), 2}, 1.0F);
          for (std::size_t i = 0; i < missing.size(); ++i) {
            x(static_cast<index_t>(i), 0) = static_cast<float>(fs::file_size(missing[i].path));
            computed.push_back(missing[i].path.filename().string());
          }
          return x;
        },
        [&](const std::string& why) { said += why + "\n"; });
  }
};
using Names = std::vector<std::string>;

}  // namespace

TEST_CASE("feature_cache: a row is found by what its picture holds, not by its place or name") {
  Cache cache;
  const PictureFile a = cache.file("a.png", "a"), b = cache.file("b.png", "bb"),
                    c = cache.file("c.png", "ccc");
  const std::vector<PictureFile> first{a, b}, turned{c, b, a, b}, again{a, c};
  CHECK(cache.get("e", first)(1, 0) == 2);
  CHECK(cache.computed == Names{"a.png", "b.png"});
  const Tensor<float> got = cache.get("e", turned);
  CHECK(cache.computed == Names{"c.png"});
  CHECK(got.shape() == Shape{4, 2});
  CHECK(got(0, 0) == 3);
  CHECK(got(1, 0) == 2);
  CHECK(got(2, 0) == 1);
  CHECK(got(3, 0) == 2);
  CHECK(cache.get("e", again)(1, 0) == 3);
  CHECK(cache.computed.empty());

  const std::vector<PictureFile> moved{cache.file("elsewhere.png", "bb")};
  CHECK(cache.get("e", moved)(0, 0) == 2);
  CHECK(cache.computed.empty());
  // Another picture of the same name and size.
  const std::vector<PictureFile> changed{a, cache.file("b.png", "xx")};
  (void)cache.get("e", changed);
  CHECK(cache.computed == Names{"b.png"});
  const std::vector<PictureFile> as_rgb{{a.path, true}};
  (void)cache.get("e", as_rgb);
  CHECK(cache.computed == Names{"a.png"});
  CHECK(cache.said.empty());
  const std::vector<PictureFile> none{{cache.folder.path / "none.png"}};
  CHECK_THROWS((void)cache.get("e", none));
}

TEST_CASE("feature_cache: features of something else are computed anew, with a word") {
  Cache cache;
  const std::vector<PictureFile> files{cache.file("a.png", "a")};
  const std::string path = cache.folder.file("f.safetensors");
  (void)cache.get("e", files);
  (void)cache.get("other", files);
  CHECK(cache.computed.size() == 1);
  CHECK(cache.said.find("another encoder") != std::string::npos);
  cache.folder.put("f.safetensors", "not a file of features");
  (void)cache.get("e", files);
  CHECK(cache.computed.size() == 1);
  const auto holds = [&](const Shape& features, const Shape& pictures) {
    io::StateDict tensors;
    tensors.add("features", io::StoredTensor(zeros<float>(features)));
    tensors.add("pictures", io::StoredTensor(zeros<std::int64_t>(pictures)));
    io::write_safetensors(path, tensors, {{"encoder", "e"}});
  };
  holds({2, 3}, {3, 4});
  (void)cache.get("e", files);
  CHECK(cache.said.find("another shape") != std::string::npos);
  CHECK(cache.computed.size() == 1);
  holds({2, 3}, {2, 4});  // rows of another length than those that are computed
  CHECK_THROWS_AS((void)cache.get("e", files), ShapeError);
}
