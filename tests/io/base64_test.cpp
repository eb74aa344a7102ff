#include "plume/io/base64.hpp"

#include <doctest/doctest.h>

using namespace plume;

namespace {

std::string encoded(std::string_view text) {
  return io::base64_encode({reinterpret_cast<const std::byte*>(text.data()), text.size()});
}
std::optional<std::string> decoded(std::string_view text) {
  const auto bytes = io::base64_decode(text);
  if (!bytes) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes->data()), bytes->size());
}

TEST_CASE("base64_encode: the examples of RFC 4648") {
  CHECK(encoded("") == "");
  CHECK(encoded("f") == "Zg==");
  CHECK(encoded("fo") == "Zm8=");
  CHECK(encoded("foo") == "Zm9v");
  CHECK(encoded("foobar") == "Zm9vYmFy");
  CHECK(encoded("\xfb\xff\xbf") == "+/+/");
}

TEST_CASE("base64: what is encoded is decoded, whatever the bytes and their number") {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    CHECK(decoded(encoded(bytes)) == bytes);
    bytes += static_cast<char>(i * 37 & 255);
  }
}

TEST_CASE("base64_decode: as Python reads it") {
  CHECK(decoded("") == "");
  CHECK(decoded("TWFu") == "Man");
  CHECK(decoded("TWE=") == "Ma");
  CHECK(decoded("TQ==") == "M");
  CHECK(decoded("T W\nF.u") == "Man");
  CHECK(decoded("TQ==TWFu") == "M");
  CHECK(decoded("=TWFu") == "Man");
  CHECK(!decoded("T"));
  CHECK(!decoded("TWE"));
  CHECK(!decoded("TQ="));
  CHECK(!decoded("TWFu\xc3\xa9"));
}

}  // namespace
