#include "plume/image/jpeg_tables.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "plume/io/mapped_file.hpp"

using namespace plume;

namespace {

std::vector<std::byte> bytes_of(const char* path) {
  const io::Source file = io::Source::file(path);
  return {file.bytes.begin(), file.bytes.end()};
}

TEST_CASE("jpeg: tables as encoders write them are let through") {
  for (const char* path :
       {"tests/golden/images/files/q90-420.jpg", "tests/golden/images/files/q90-444.jpg"}) {
    CHECK_NOTHROW(image::detail::check_jpeg_tables(path, bytes_of(path)));
  }
}

TEST_CASE("jpeg: a table of more codes than there are bytes is refused, wherever it stands") {
  std::vector<std::byte> file = bytes_of("tests/golden/images/files/q90-420.jpg");
  int tables = 0;
  for (std::size_t at = 2; at + 20 < file.size(); ++at) {
    if (file[at] != std::byte{0xff} || file[at + 1] != std::byte{0xc4}) continue;
    ++tables;
    std::vector<std::byte> broken = file;
    broken[at + 5] = broken[at + 6] = std::byte{200};
    CHECK_THROWS_AS(image::detail::check_jpeg_tables("x", broken), FormatError);
  }
  CHECK(tables >= 1);
  // Cut in the middle of a table, and after a scan.
  std::vector<std::byte> late(file.begin(), file.end() - 2);
  for (const int b :
       {0xff, 0x00, 0x12, 0xff, 0xd0, 0x34, 0xff, 0xff, 0xc4, 0x00, 0x20, 0x00, 0xff, 0x02})
    late.push_back(static_cast<std::byte>(b));
  CHECK_THROWS_AS(image::detail::check_jpeg_tables("x", late), FormatError);
}

TEST_CASE("jpeg: a scan whose tables no segment made is refused") {
  const std::vector<std::byte> file = bytes_of("tests/golden/images/files/q90-420.jpg");
  int tables = 0;
  for (std::size_t at = 2; at + 20 < file.size(); ++at) {
    if (file[at] != std::byte{0xff} || file[at + 1] != std::byte{0xc4}) continue;
    ++tables;
    std::vector<std::byte> without = file;
    without[at + 1] = std::byte{0xe1};  // a segment for applications in its place
    CHECK_THROWS_AS(image::detail::check_jpeg_tables("x", without), FormatError);
  }
  CHECK(tables >= 1);
}

}  // namespace
