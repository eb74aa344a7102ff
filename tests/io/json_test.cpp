#include "plume/io/json.hpp"

#include <doctest/doctest.h>

#include <bit>
#include <cstdio>

// Texts and what Python's json module makes of them (tests/cases/json/make.py), strict reading, depth, printing.

using namespace plume;
using namespace plume::io;

namespace {

std::string hex(std::string_view bytes) {
  std::string out;
  char two[3];
  for (const char c : bytes) {
    std::snprintf(two, sizeof two, "%02x", static_cast<unsigned char>(c));
    out += two;
  }
  return out;
}

std::string bytes_of(const std::string& digits) {
  std::string out;
  for (std::size_t i = 0; i < digits.size(); i += 2)
    out += static_cast<char>(std::stoi(digits.substr(i, 2), nullptr, 16));
  return out;
}

/// A value as make.py renders it.
std::string render(const Json& json) {
  if (json.is_null()) return "n";
  if (json.is_boolean()) return json.get<bool>() ? "t" : "F";
  if (json.is_string()) return "s" + hex(json.get<std::string>());
  if (json.is_number_unsigned()) return cat("i", json.get<std::uint64_t>());
  if (json.is_number_integer()) return cat("i", json.get<std::int64_t>());
  if (json.is_number_float()) {
    const auto value = json.get<double>();
    if (std::isnan(value)) return "fnan";
    char digits[17];
    std::snprintf(digits, sizeof digits, "%016llx",
                  static_cast<unsigned long long>(std::bit_cast<std::uint64_t>(value)));
    return cat("f", std::string(digits));
  }
  std::string out, separator;
  for (const auto& [key, value] : json.items()) {
    out += separator;
    if (json.is_object()) out += "s" + hex(key) + ":";
    out += render(value);
    separator = ",";
  }
  return json.is_object() ? "{" + out + "}" : "[" + out + "]";
}

Json read(std::string_view text, JsonForm form = JsonForm::text) {
  return parse_json("text", text, form);
}

std::string refusal(std::string_view text, JsonForm form = JsonForm::text) {
  try {
    return "read: " + print_json(read(text, form));
  } catch (const FormatError& error) {
    return error.what();
  }
}

TEST_CASE("json: accepted, refused and read as Python's json module does") {
  int refused = 0, same = 0;
  for (const Json& row : read_json_lines("tests/cases/json/cases.jsonl")) {
    const std::string text = bytes_of(row.at("hex"));
    INFO(row.at("form").get<std::string>(), " ", text.substr(0, 60));
    const JsonForm form = row.at("form") == "text" ? JsonForm::text : JsonForm::bytes;
    if (row.at("value").is_null()) {
      ++refused;
      CHECK_THROWS_AS((void)read(text, form), FormatError);
    } else {
      ++same;
      std::string got;
      CHECK_NOTHROW(got = render(read(text, form)));
      CHECK(got == row.at("value").get<std::string>());
      // Printed as Python prints it, it reads as the same; but two halves that stood side by side become one.
      if (got != "seda0bdedb880")
        CHECK(render(read(print_json(read(text, form), 1, Nonfinite::python))) == got);
    }
  }
  CHECK(refused > 200);
  CHECK(same > 150);
}

TEST_CASE("json: strict reading keeps to RFC 8259, with each key once") {
  for (const char* text : {"NaN", "[-Infinity]", R"("\ud800")", R"({"a":1,"b":2,"a":3})"})
    CHECK_THROWS_AS((void)read(text, JsonForm::strict), FormatError);
  CHECK(read(R"({"a":"\ud83d\ude00","b":{"a":1}})", JsonForm::strict).at("a") == "\U0001F600");
}

TEST_CASE("json: nesting is bounded, whatever the text") {
  const auto nested = [](std::size_t depth, std::string open, std::string close) {
    std::string out;
    for (std::size_t i = 0; i < depth; ++i) out += open;
    for (std::size_t i = 0; i < depth; ++i) out += close;
    return out;
  };
  const Json deepest = read(nested(500, "[", "]"));
  CHECK(print_json(Json(deepest)) == nested(500, "[", "]"));
  for (const std::size_t depth : {std::size_t{501}, std::size_t{100'000}}) {
    CHECK_THROWS_AS((void)read(nested(depth, "[", "]")), FormatError);
    CHECK_THROWS_AS((void)read(nested(depth, "[", "")), FormatError);
    CHECK_THROWS_AS((void)read(nested(depth, R"({"a":[)", "]}")), FormatError);
  }
  Json built;
  for (int i = 0; i < 2000; ++i) built = Json::array({std::move(built)});
  CHECK_THROWS_AS((void)print_json(built), ValueError);
}

TEST_CASE("json: a refusal names the place") {
  CHECK(refusal("{\n  \"a\": 01}") ==
        "[text] expected JSON with a ',' or '}' in line 2 at byte 9, got 1}");
  CHECK(refusal("[\"a\xE9\"]") ==
        "[text] expected JSON with UTF-8 in line 1 at byte 4, got \\xe9\"]");
  CHECK(refusal("\xEF\xBB\xBF{}") ==
        "[text] expected JSON with no byte order mark in line 1 at byte 1, got \\xef\\xbb\\xbf{}");
  CHECK(refusal("{\"a\":1") ==
        "[text] expected JSON with a ',' or '}' in line 1 at byte 7, got the end of the text");
}

TEST_CASE("json: any bytes are printed, and come back") {
  CHECK(print_json(Json{{"a", "\xE9t\xE9"}, {"b", NAN}}) == R"({"a":"\udce9t\udce9","b":null})");
  CHECK(print_json(Json("\xED\xA0\x80 \xC3\xA9\n\"")) == "\"\\ud800 \xC3\xA9\\n\\\"\"");
  CHECK(print_json(Json{{"\xFF", {1, 2.5, true}}}, 2) ==
        "{\n  \"\\udcff\": [\n    1,\n    2.5,\n    true\n  ]\n}");
  const Json plain = {{"a", {{"b", Json::array()}, {"c", Json::object()}}}, {"d", {1, "x\u00e9"}}};
  CHECK(print_json(plain) == plain.dump());
  CHECK(print_json(plain, 1) == plain.dump(1));
  for (const std::string path : {"a/\xE9.jpg", "plain", "\xC3\xA9 \xC3", "\xED\xB3\xA9"}) {
    const std::string text = json_text(path);
    CHECK(read(print_json(text)).get<std::string>() == text);
    if (path != "\xED\xB3\xA9") CHECK(bytes_of_json_text(text) == path);
  }
}

}  // namespace
