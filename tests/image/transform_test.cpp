#include "plume/image/transform.hpp"

#include <doctest/doctest.h>

#include "plume/io/weights.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::image;

namespace {

const std::string folder = "tests/golden/images/";

Picture checkerboard(index_t width, index_t height) {
  Picture p{Mode::rgb, width, height, {}};
  for (index_t i = 0; i < width * height; ++i) {
    const auto v = static_cast<std::uint8_t>((i % width + i / width) % 2 == 0 ? 255 : 0);
    p.bytes.insert(p.bytes.end(),
                   {v, static_cast<std::uint8_t>(255 - v), static_cast<std::uint8_t>(i % 256)});
  }
  return p;
}

TEST_CASE("image: the transform gives Pillow's pixels: PNG exactly, JPEG within 3") {
  const io::Json c = io::read_json(folder + "case.json");
  const io::StateDict expected = io::read_weights(folder + "expected.safetensors");
  int files = 0;
  for (const auto& [key, facts] : c["files"].items()) {
    const std::string name = key;
    INFO(name);
    const io::Source file = io::Source::file(folder + "files/" + name);
    const Picture crop = fit(decode(name, file.bytes), facts["size"]);
    const Tensor<std::uint8_t> e = expected.at(name + ".crop").to<std::uint8_t>();
    REQUIRE(static_cast<index_t>(crop.bytes.size()) == e.numel());
    int worst = 0;
    int near = 0;
    for (index_t i = 0; i < e.numel(); ++i) {
      const int d = std::abs(crop.bytes[static_cast<std::size_t>(i)] - e.data()[i]);
      worst = std::max(worst, d);
      near += d <= 1 ? 1 : 0;
    }
    CHECK(worst <= (name.ends_with(".png") ? 0 : 3));
    CHECK(near >= 0.98 * static_cast<double>(e.numel()));
    ++files;
  }
  CHECK(files == 17);
}

TEST_CASE("image: the modes are those in which Pillow opens a file") {
  const std::pair<const char*, Mode> modes[] = {
      {"rgb-61x47.png", Mode::rgb}, {"rgba.png", Mode::rgba},       {"la.png", Mode::la},
      {"gray.png", Mode::l},        {"palette.png", Mode::palette}, {"one-bit.png", Mode::one_bit},
      {"gray16.png", Mode::gray16}, {"q90-444.jpg", Mode::rgb}};
  for (const auto& [file, mode] : modes) {
    const std::string name = file;
    INFO(name);
    CHECK(decode(name, io::Source::file(folder + "files/" + name).bytes).mode == mode);
  }
}

TEST_CASE("image: what cannot be a picture is refused") {
  const io::Source whole = io::Source::file(folder + "files/rgb-61x47.png");
  CHECK_THROWS_AS(decode("x", {}), FormatError);
  CHECK_THROWS_AS(decode("x", whole.bytes.subspan(1)), FormatError);
  CHECK_THROWS_AS(decode("x", whole.bytes, {.side = 60}), FormatError);
  CHECK_THROWS_AS(decode("x", whole.bytes, {.pixels = 2000}), FormatError);
  for (std::size_t size = 0; size < whole.bytes.size(); size += 97) {
    std::vector<std::byte> cut(whole.bytes.begin(),
                               whole.bytes.begin() + static_cast<std::ptrdiff_t>(size));
    CHECK_THROWS_AS(decode("cut", cut), FormatError);
  }
  CHECK_THROWS_AS(resize(checkerboard(4, 4), 0, 3), ShapeError);
}

TEST_CASE("image: resizing to the same size copies; one axis alone leaves the other") {
  const Picture p = checkerboard(8, 6);
  CHECK(resize(p, 8, 6).bytes == p.bytes);
  Picture constant{Mode::l, 9, 5, std::vector<std::uint8_t>(45, 77)};
  for (const std::uint8_t v : resize(constant, 31, 5).bytes) CHECK(v == 77);
  for (const std::uint8_t v : resize(constant, 2, 3).bytes) CHECK(v == 77);
}

TEST_CASE("image: crops round halves to even") {
  Picture p{Mode::rgb, 5, 4, {}};
  for (std::uint8_t i = 0; i < 20; ++i) p.bytes.insert(p.bytes.end(), {i, i, i});
  CHECK(fit(p, 4).bytes[0] == 0);  // left = 0.5 -> 0
  Picture wide{Mode::rgb, 5, 2, {}};
  for (std::uint8_t i = 0; i < 10; ++i) wide.bytes.insert(wide.bytes.end(), {i, i, i});
  CHECK(fit(wide, 2).bytes[0] == 2);  // left = 1.5 -> 2
}

TEST_CASE("image: a part of a resized picture has the bits of the whole") {
  for (const Mode mode : {Mode::rgb, Mode::rgba, Mode::l, Mode::la, Mode::palette, Mode::gray16}) {
    for (const auto& [width, height] : {std::pair<index_t, index_t>{37, 91}, {300, 5}, {70, 70}}) {
      Picture p{mode, width, height, {}};
      const index_t c = channels(mode);
      for (index_t i = 0; i < width * height * c; ++i) {
        const auto v = static_cast<std::int32_t>((i * i * 31 + i / 7) % 65536);
        if (mode == Mode::gray16)
          p.values.push_back(v);
        else
          p.bytes.push_back(static_cast<std::uint8_t>(v));
      }
      for (const auto& [w, h] : {std::pair<index_t, index_t>{50, 123}, {300, 40}, {37, 91}}) {
        const Picture whole = resize(p, w, h);
        const Window part{w / 3, h / 4, w / 2, h / 2};
        const Picture some = resize(p, w, h, part);
        for (index_t y = 0; y < part.height; ++y) {
          for (index_t x = 0; x < part.width * c; ++x) {
            const auto a = static_cast<std::size_t>(y * part.width * c + x);
            const auto b = static_cast<std::size_t>(((y + part.top) * w + part.left) * c + x);
            if (mode == Mode::gray16)
              REQUIRE(some.values[a] == whole.values[b]);
            else
              REQUIRE(some.bytes[a] == whole.bytes[b]);
          }
        }
      }
    }
  }
  CHECK_THROWS_AS(resize(checkerboard(4, 4), 8, 8, {5, 0, 4, 4}), ShapeError);
}

TEST_CASE("image: normalised in float, channels first") {
  Picture p{Mode::rgb, 1, 1, {255, 0, 128}};
  const Tensor<float> x = normalize(p);
  CHECK(x.shape() == Shape{3, 1, 1});
  CHECK(x(0, 0, 0) == (1.0F - 0.48145466F) / 0.26862954F);
  CHECK(x(1, 0, 0) == (0.0F - 0.4578275F) / 0.26130258F);
  CHECK(x(2, 0, 0) == (128.0F / 255.0F - 0.40821073F) / 0.27577711F);
}

}  // namespace
