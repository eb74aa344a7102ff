#include "plume/report/event_file.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

#include "tests/support/folder.hpp"

using namespace plume;
using report::EventFile;

namespace {

std::uint64_t fixed(const std::string& bytes, std::size_t at, std::size_t count) {
  std::uint64_t out = 0;
  for (std::size_t i = count; i-- > 0;)
    out = out << 8 | static_cast<unsigned char>(bytes.at(at + i));
  return out;
}

/// The data of each record; its checksums are checked bit by bit, without a table.
std::uint32_t checksum(const std::string& bytes) {
  std::uint32_t crc = 0xffffffffU;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int k = 0; k < 8; ++k) crc = crc >> 1 ^ ((crc & 1U) * 0x82F63B78U);
  }
  crc = ~crc;
  return (crc >> 15 | crc << 17) + 0xa282ead8U;
}
std::vector<std::string> records(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(in), {}};
  std::vector<std::string> out;
  for (std::size_t at = 0; at < bytes.size();) {
    const std::size_t length = fixed(bytes, at, 8);
    CHECK(fixed(bytes, at + 8, 4) == checksum(bytes.substr(at, 8)));
    REQUIRE(at + 16 + length <= bytes.size());
    out.push_back(bytes.substr(at + 12, length));
    CHECK(fixed(bytes, at + 12 + length, 4) == checksum(out.back()));
    at += 16 + length;
  }
  return out;
}

struct Field {
  unsigned number, kind;
  std::uint64_t value = 0;
  std::string bytes{};
};
std::vector<Field> fields(const std::string& message) {
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t out = 0;
    for (unsigned shift = 0;; shift += 7) {
      const std::uint64_t b = static_cast<unsigned char>(message.at(at++));
      out |= (b & 127U) << shift;
      if (b < 128) return out;
    }
  };
  std::vector<Field> out;
  while (at < message.size()) {
    const std::uint64_t key = varint();
    Field f{static_cast<unsigned>(key >> 3), static_cast<unsigned>(key & 7U)};
    if (f.kind == 0) f.value = varint();
    if (f.kind == 1) f.value = fixed(message, at, 8), at += 8;
    if (f.kind == 5) f.value = fixed(message, at, 4), at += 4;
    if (f.kind == 2) {
      const std::size_t length = varint();
      f.bytes = message.substr(at, length);
      REQUIRE(f.bytes.size() == length);
      at += length;
    }
    out.push_back(f);
  }
  return out;
}
const Field* find(const std::vector<Field>& all, unsigned number) {
  for (const Field& f : all)
    if (f.number == number) return &f;
  return nullptr;
}
float as_float(std::uint64_t bits) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(bits));
}

TEST_CASE("crc32c: of the standard's examples (RFC 3720, B.4), and masked") {
  CHECK(report::crc32c("123456789") == 0xe3069283U);
  CHECK(report::crc32c("") == 0);
  CHECK(report::crc32c(std::string(32, '\0')) == 0x8a9136aaU);
  CHECK(report::crc32c(std::string(32, '\xff')) == 0x62a8ab43U);
  // 0xe3069283 rotated by 15 to the right is 0x2507c60d; and 0xa282ead8 more.
  CHECK(report::masked_crc32c("123456789") == 0xc78ab0e5U);
}

TEST_CASE("record: length, data and their checksums") {
  const std::string bytes = report::record("123456789");
  CHECK(bytes.size() == 8 + 4 + 9 + 4);
  CHECK(fixed(bytes, 0, 8) == 9);
  CHECK(fixed(bytes, 8, 4) == checksum(bytes.substr(0, 8)));
  CHECK(bytes.substr(12, 9) == "123456789");
  CHECK(fixed(bytes, 21, 4) == 0xc78ab0e5U);
}

TEST_CASE("event file: the version, then what was written, read back field by field") {
  const test::Folder folder;
  const std::string events = folder.file("run/events");
  EventFile file(events);
  file.scalar("loss/pairs", 0, 2.5);
  file.scalar(std::string(200, 't'), index_t{1} << 40, -1e-3);
  file.scalar("loss/pairs", 1, std::nan(""));
  file.flush();
  const std::string name = std::filesystem::path(file.path()).filename().string();
  CHECK(name.rfind("events.out.tfevents.", 0) == 0);

  const std::vector<std::string> all = records(file.path());
  REQUIRE(all.size() == 4);
  const auto first = fields(all[0]);
  REQUIRE(find(first, 3) != nullptr);
  CHECK(find(first, 3)->bytes == "brain.Event:2");
  REQUIRE(find(first, 1) != nullptr);
  const double time = std::bit_cast<double>(find(first, 1)->value);
  CHECK(time > 1.7e9);  // seconds since 1970, not something else since 1970
  CHECK(time < 1e11);

  const auto check = [&](std::size_t i, const std::string& tag, std::uint64_t step) {
    const auto event = fields(all[i]);
    REQUIRE(find(event, 1) != nullptr);
    CHECK(find(event, 1)->kind == 1);
    REQUIRE(find(event, 2) != nullptr);
    CHECK(find(event, 2)->value == step);
    REQUIRE(find(event, 5) != nullptr);
    const auto summary = fields(find(event, 5)->bytes);
    REQUIRE(summary.size() == 1);
    CHECK(summary[0].number == 1);
    const auto value = fields(summary[0].bytes);
    REQUIRE(value.size() == 2);
    CHECK(value[0].number == 1);
    CHECK(value[0].bytes == tag);
    CHECK(value[1].number == 2);
    CHECK(value[1].kind == 5);
    return as_float(value[1].value);
  };
  CHECK(check(1, "loss/pairs", 0) == 2.5F);
  CHECK(check(2, std::string(200, 't'), std::uint64_t{1} << 40) == -1e-3F);
  CHECK(std::isnan(check(3, "loss/pairs", 1)));
}

TEST_CASE("event file: one more in the same folder is another file; going on says from where") {
  const test::Folder folder;
  EventFile first(folder.path.string());
  EventFile second(folder.path.string(), 20);
  CHECK(first.path() != second.path());
  CHECK(folder.count() == 2);
  CHECK(records(first.path()).size() == 1);
  const std::vector<std::string> all = records(second.path());
  REQUIRE(all.size() == 2);
  const auto event = fields(all[1]);
  REQUIRE(find(event, 2) != nullptr);
  CHECK(find(event, 2)->value == 21);
  REQUIRE(find(event, 7) != nullptr);
  const auto session = fields(find(event, 7)->bytes);
  REQUIRE(session.size() == 1);
  CHECK(session[0].number == 1);
  CHECK(session[0].value == 1);
}

TEST_CASE("event file: a folder that cannot be made is an error that names it") {
  const test::Folder folder;
  const std::string path = folder.put("file", "x");
  CHECK_THROWS_WITH_AS(EventFile(path + "/events"), doctest::Contains("file"), std::system_error);
}

}  // namespace
