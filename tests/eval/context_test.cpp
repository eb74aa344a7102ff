#include "plume/eval/context.hpp"

#include <doctest/doctest.h>

// Contexts that fit, batches padded on the left, and what a picture is opened as.

namespace {

using namespace plume;
using namespace plume::eval;

const text::Tokenizer& tokenizer() {
  static const text::Tokenizer words =
      text::Tokenizer::load("tests/golden/models/mpt1b-every1/tokenizer");
  return words;
}

struct Captions {
  std::vector<CaptionSample> samples{
      {"a.png", 1, "one two three four"}, {"b.png", 2, "five six"}, {"c.png", 3, "a red bus"}};
  CaptionSample query{"q.png", 4, "unseen"};

  Context fit(index_t limit, index_t shots = 3) const {
    const std::vector<const CaptionSample*> shown{&samples[0], &samples[1], &samples[2]};
    return fitting_context<CaptionSample>(tokenizer(), shown, query, shots, limit,
                                          ZeroShotImages::query);
  }
};

}  // namespace

TEST_CASE("context: demonstrations go whole, the first one first, and their pictures with them") {
  const Captions captions;
  const Context whole = captions.fit(1000);
  CHECK(whole.dropped == 0);
  CHECK(whole.prompt.images == std::vector<fs::path>{"a.png", "b.png", "c.png", "q.png"});
  const index_t length = static_cast<index_t>(whole.ids.size());
  CHECK(captions.fit(length).dropped == 0);

  const Context two = captions.fit(length - 1);
  CHECK(two.dropped == 1);
  CHECK(two.prompt.text.text() ==
        "<image>Output:five six<|endofchunk|>\n<image>Output:a red bus<|endofchunk|>\n"
        "<image>Output:");
  CHECK(two.prompt.images == std::vector<fs::path>{"b.png", "c.png", "q.png"});

  const Context zero_shots = captions.fit(1000, 0);
  CHECK(zero_shots.prompt.images == std::vector<fs::path>{"q.png"});
  const Context none =
      captions.fit(static_cast<index_t>(tokenizer().encode("<image>Output:").size()));
  CHECK(none.dropped == 3);
  CHECK(none.prompt.text.text() == "<image>Output:");
  CHECK_THROWS_AS((void)captions.fit(1), ValueError);
}

TEST_CASE("context: rows are padded on the left, pictures end in zeros") {
  const fs::path file = "tests/golden/images/files/rgb-61x47.png";
  Context small{{{}, {file}}, {7, 8}}, large{{{}, {file, file}}, {1, 2, 3, 4, 5}};
  KeptPictures<float> pictures(9, [](const PictureFile& f) { return pixels_of(f, 16); });
  const std::vector<Context> both{small, large};
  const ContextBatch<float> batch = batch_of<float>(both, 99, pictures);
  CHECK(batch.text.ids.shape() == Shape{2, 5});
  CHECK(batch.text.ids(0, 2) == 99);
  CHECK(batch.text.ids(0, 3) == 7);
  CHECK(batch.text.ids(1, 0) == 1);
  CHECK_FALSE(batch.text.mask(0, 2));
  CHECK(batch.text.mask(0, 3));
  CHECK(batch.pictures.shape() == Shape{2, 2, 3, 16, 16});
  double sum = 0;
  for (index_t i = 0; i < 3 * 16 * 16; ++i)
    sum += std::abs(static_cast<double>(batch.pictures.select(0, 0).select(0, 1).data()[i]));
  CHECK(sum == 0);
  CHECK(batch.pictures.select(0, 0).select(0, 0).data()[5] ==
        batch.pictures.select(0, 1).select(0, 1).data()[5]);
}

TEST_CASE("context: pictures are kept, and let go of when there are too many") {
  KeptPictures<float> pictures(2, [](const PictureFile& f) { return pixels_of(f, 8); });
  const PictureFile a{"tests/golden/images/files/rgb-61x47.png"};
  const Tensor<float> first = pictures(a);
  CHECK(first.shape() == Shape{3, 8, 8});
  CHECK(pictures(a).data() == first.data());
  // Whatever the mode of the file, a class's picture is RGB before it is resized: another entry.
  CHECK(pictures({a.path, true}).data() != first.data());
  (void)pictures(a);
  (void)pictures({"tests/golden/evaluation/coco/val2014/COCO_val2014_000000000731.jpg"});
  CHECK(pictures(a).data() == first.data());  // the other was used longer ago
  CHECK_THROWS_AS((void)pictures({"README.md"}), FormatError);
}
