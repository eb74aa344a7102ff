#include "plume/image/decode.hpp"

#include <doctest/doctest.h>

#include "plume/image/transform.hpp"
#include "plume/io/weights.hpp"
#include "tests/support/compare.hpp"

using namespace plume;
using namespace plume::image;

namespace {

const std::string folder = "tests/cases/images/";
using Decoder = Picture (*)(const std::string&, std::span<const std::byte>, const ImageLimits&);

/// The decoders of this build for JPEG, or for PNG.
std::vector<Decoder> decoders([[maybe_unused]] bool jpeg) {
  std::vector<Decoder> out{decode_stb, decode};
#ifdef PLUME_WITH_JPEG
  if (jpeg) out.push_back(decode_jpeg_turbo);
#endif
#ifdef PLUME_WITH_PNG
  if (!jpeg) out.push_back(decode_png);
#endif
  return out;
}

std::vector<std::byte> bytes_of(const std::string& path) {
  const io::Source file = io::Source::file(path);
  return {file.bytes.begin(), file.bytes.end()};
}

std::string refusal(Decoder decoder, std::span<const std::byte> file, const ImageLimits& l = {}) {
  try {
    decoder("picture", file, l);
  } catch (const FormatError& e) {
    return e.what();
  }
  return "";
}
std::string refusal(std::string_view text) {
  return refusal(decode, std::as_bytes(std::span(text)));
}

int worst(const Picture& got, const Tensor<std::uint8_t>& expected) {
  const Picture rgb = to_rgb(got);
  REQUIRE(Shape{rgb.height, rgb.width, 3} == expected.shape());
  int d = 0;
  for (std::size_t i = 0; i < rgb.bytes.size(); ++i)
    d = std::max(d, std::abs(rgb.bytes[i] - expected.data()[i]));
  return d;
}

bool beyond_stb(const std::string& name) {
  return name.starts_with("cmyk") || name == "ycck.jpg" || name == "idsRGB-jfif.jpg" ||
         name.ends_with("-ari.jpg");
}

TEST_CASE(
    "decode: Pillow's pixels, bit for bit through libjpeg-turbo and libpng, JPEG within 3 through "
    "stb") {
  int files = 0;
  for (const auto& [key, stored] : io::read_weights(folder + "expected.safetensors")) {
    const std::string name = key;
    INFO(name);
    const std::vector<std::byte> file = bytes_of(folder + "files/" + name);
    const Tensor<std::uint8_t> expected = stored.to<std::uint8_t>();
    const bool jpeg = name.ends_with(".jpg");
    if (beyond_stb(name)) {
      CHECK(refusal(decode_stb, file).find("libjpeg-turbo decodes it") != std::string::npos);
    } else {
      CHECK(worst(decode_stb(name, file), expected) <= (jpeg ? 3 : 0));
    }
#ifdef PLUME_WITH_JPEG
    if (jpeg) CHECK(worst(decode_jpeg_turbo(name, file), expected) == 0);
    if (jpeg) CHECK(worst(decode(name, file), expected) == 0);
#endif
#ifdef PLUME_WITH_PNG
    if (!jpeg) CHECK(worst(decode_png(name, file), expected) == 0);
    if (!jpeg) CHECK(decode_png(name, file).mode == decode_stb(name, file).mode);
#endif
    ++files;
  }
  CHECK(files == 43);
}

TEST_CASE(
    "decode: a JPEG is whole at the end mark of its own picture, whatever it holds and what "
    "follows") {
  const std::vector<std::byte> thumbnail = bytes_of(folder + "thumbnail-cut.jpg");
  const std::vector<std::byte> motion = bytes_of(folder + "motion.jpg");
  std::vector<std::byte> whole = bytes_of(folder + "files/rgb-31x15-420-p.jpg");
  for (const Decoder decoder : decoders(true)) {
    CHECK_THROWS_AS(decoder("x", thumbnail, {}), CutError);
    CHECK(decoder("x", motion, {}).width == 160);
    for (std::size_t size = 4; size < whole.size(); size += 7)
      CHECK_THROWS_AS(decoder("x", std::span(whole).first(size), {}), CutError);
    CHECK_THROWS_AS(decoder("x", std::span(whole).first(whole.size() - 1), {}), CutError);
    std::vector<std::byte> longer = whole;
    for (const int b : {0xff, 0xda, 0, 3, 0xff, 0xc4, 0, 9}) longer.push_back(std::byte(b));
    CHECK(decoder("x", longer, {}).bytes == decoder("x", whole, {}).bytes);
  }
#ifdef PLUME_WITH_JPEG
  // Codes that end too early, with an end mark put after them.
  std::vector<std::byte> ended = bytes_of(folder + "files/rgb-31x15-444-b.jpg");
  ended.resize(ended.size() * 9 / 10);
  ended.insert(ended.end(), {std::byte{0xff}, std::byte{0xd9}});
  CHECK_THROWS_AS(decode_jpeg_turbo("x", ended), CutError);
#endif
}

TEST_CASE(
    "decode: the chunks of a PNG: checksums, and an end that may be missing after whole image "
    "data") {
  const std::vector<std::byte> whole = bytes_of(folder + "files/png-c2-d8-i1-9x8.png");
  const std::size_t data_end = whole.size() - 12;
  for (const Decoder decoder : decoders(false)) {
    const Picture expected = decoder("x", whole, {});
    for (const std::size_t left : {0U, 4U, 8U, 11U})
      CHECK(decoder("x", std::span(whole).first(data_end + left), {}).bytes == expected.bytes);
    CHECK(decoder("x", std::span(whole).first(data_end - 2), {}).bytes == expected.bytes);
    for (std::size_t size = 8; size < data_end - 4; size += 5)
      CHECK_THROWS_AS(decoder("x", std::span(whole).first(size), {}), CutError);
    for (const std::size_t at : {std::size_t{20}, std::size_t{31}, data_end - 20, data_end - 1}) {
      std::vector<std::byte> wrong = whole;
      wrong[at] ^= std::byte{1};
      CHECK(refusal(decoder, wrong).find("the checksum of I") != std::string::npos);
    }
    std::vector<std::byte> trailed(whole.begin(), whole.begin() + std::ptrdiff_t(data_end));
    trailed.resize(trailed.size() + 40, std::byte{0xff});
    CHECK(decoder("x", trailed, {}).bytes == expected.bytes);
  }
}

TEST_CASE("decode: what is no JPEG or PNG is called by its name") {
  using namespace std::string_view_literals;
  const std::pair<std::string_view, const char*> files[] = {
      {"", "an empty file"},
      {"GIF89a..", "a GIF"},
      {"RIFF1234WEBPVP8 ", "a WebP"},
      {"II*\0...."sv, "a TIFF"},
      {"BM......", "a BMP"},
      {"\0\0\0\x20"
       "ftypheic"sv,
       "a HEIC"},
      {"\0\0\0\x20"
       "ftypavif"sv,
       "an AVIF"},
      {"\xef\xbb\xbf <!DOCTYPE HTML><html>", "an HTML page"},
      {"<?xml version='1.0'?><svg/>", "an SVG"},
      {"<?xml version='1.0'?><Error/>", "an XML file"},
      {"%PDF-1.7", "a PDF"},
      {"PK\3\4....", "a zip"},
      {"hello, world", "a file that starts with 68 65 6c 6c 6f 2c 20 77"}};
  for (const auto& [text, words] : files) {
    const std::string said = refusal(text);
    INFO(said);
    CHECK(said.ends_with(cat("got ", words)));
  }
  CHECK(refusal("GIF8\0"sv).ends_with("a GIF"));
}

TEST_CASE("decode: panoramas open; size and memory are limited, and the message says to what") {
  const std::vector<std::byte> panorama = bytes_of(folder + "panorama.jpg");
  const std::vector<std::byte> jpeg = bytes_of(folder + "files/rstrow.jpg");
  const std::vector<std::byte> png = bytes_of(folder + "files/png-c6-d16-i1-9x8.png");
  for (const Decoder decoder : decoders(true)) {
    const Picture wide = decoder("x", panorama, {});
    CHECK(wide.width == 17000);
    CHECK(std::abs(wide.bytes[0] - 200) <= 3);
    CHECK(fit(wide, 224).bytes.size() == 224U * 224U * 3U);
    CHECK(refusal(decoder, panorama, {.side = 16384}).find("16384 a side") != std::string::npos);
    // A progressive picture is held as coefficients, three times what its pixels take.
    CHECK(refusal(decoder, jpeg, {.memory = 30000}).find("30000 bytes") != std::string::npos);
    CHECK(refusal(decoder, jpeg, {.memory = 1 << 20}).empty());
  }
  for (const Decoder decoder : decoders(false))
    CHECK(refusal(decoder, png, {.memory = 300}).find("300 bytes") != std::string::npos);
}

}  // namespace
