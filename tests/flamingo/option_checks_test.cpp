// Values of options: what is taken, and what each refusal says.

#include "option_checks.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"

namespace {

using namespace flamingo;

/// What the check says of that text, and what becomes of the text.
std::string said(const CLI::Validator& check, std::string text) { return check(text); }

/// The message of a command line with `--x`; empty where it is taken.
template <class V>
std::string parsed(const CLI::Validator& check, const std::string& text, V& value) {
  CLI::App app;
  app.add_option("--x", value)->transform(check);
  try {
    app.parse(std::vector<std::string>{"--x=" + text});
  } catch (const CLI::ParseError& error) {
    return error.what();
  }
  return {};
}

}  // namespace

TEST_CASE("integers are decimal, whole and in their range") {
  long value = 7;
  CHECK(parsed(checks::integer(1), "010", value).empty());
  CHECK(value == 10);
  CHECK(parsed(checks::integer(-1), "-1", value).empty());
  CHECK(value == -1);
  for (const char* text : {"2.5", "1e3", "0", "-3", " 3", "3 ", "3x", "0x10", "nan", "+3", "1_0",
                           "9223372036854775808", "99999999999999999999999"}) {
    const std::string message = parsed(checks::integer(1), text, value);
    INFO(text, ": ", message);
    CHECK(message.find("--x: expected an integer of 1 ") == 0);
    CHECK(message.ends_with(std::string(", got ") + text));
  }
  CHECK(said(checks::integer(1), "") == "expected an integer of 1 or more, got an empty text");
  CHECK(said(checks::integer(0, 3), "4") == "expected an integer of 0 to 3, got 4");
  CHECK(said(checks::integer(-5, 3), "-6") == "expected an integer of -5 to 3, got -6");

  std::uint64_t seed = 0;
  CHECK(parsed(checks::integer(0, checks::any_seed), "18446744073709551615", seed).empty());
  CHECK(seed == ~std::uint64_t{0});
  for (const char* text : {"-1", "18446744073709551616"})
    CHECK_FALSE(parsed(checks::integer(0, checks::any_seed), text, seed).empty());
}

TEST_CASE("numbers are finite and in their range") {
  double value = 0;
  for (const char* text : {"1e-4", "0", "-2.5", ".5", "5."})
    CHECK(parsed(checks::finite(), text, value).empty());
  for (const char* text :
       {"nan", "inf", "-inf", "infinity", "1e400", "1,5", "", "1.0f", " 1", "0x1p3"}) {
    INFO(text);
    for (const CLI::Validator& check : {checks::finite(), checks::positive(), checks::probability(),
                                        checks::non_negative(), checks::between_0_and_1()})
      CHECK_FALSE(parsed(check, text, value).empty());
  }
  CHECK(said(checks::positive(), "0") == "expected a finite number above 0, got 0");
  CHECK(said(checks::non_negative(), "-1") == "expected a finite number of 0 or more, got -1");
  CHECK(said(checks::non_negative(), "0").empty());
  CHECK(said(checks::probability(), "1").empty());
  CHECK_FALSE(said(checks::probability(), "0").empty());
  CHECK_FALSE(said(checks::probability(), "1.1").empty());
  CHECK(said(checks::between_0_and_1(), "2") == "expected a number of 0 to 1, got 2");
}

TEST_CASE("files to read are there, and files to write can be made") {
  const plume::test::Folder folder;
  const std::string file = folder.put("a file \xe9", "x");
  CHECK(said(checks::readable_file(), file).empty());
  CHECK(said(checks::readable_file(), folder.file("none")).find("none (no such file)") !=
        std::string::npos);
  CHECK(said(checks::readable_file(), folder.file(".")).find("(a folder)") != std::string::npos);
  CHECK(said(checks::writable_file(), file).empty());
  CHECK(said(checks::writable_file(), folder.file("new")).empty());
  CHECK(said(checks::writable_folder(), folder.file("a/b/c")).empty());
  const std::pair<std::string, const char*> refused[] = {
      {folder.file("."), "(a folder)"},      {folder.file("new/"), "(a folder)"},
      {folder.file("a/b"), "is not there"},  {file + "/b", "is not a folder"},
      {"/dev/full", "(not a regular file)"}, {"", "(no name)"}};
  for (const auto& [name, why] : refused) {
    const std::string& path = name;  // clang 14 captures no structured binding
    INFO(path);
    CHECK(said(checks::writable_file(), path).find(why) != std::string::npos);
  }
  CHECK(said(checks::writable_folder(), file + "/b").find("is not a folder") != std::string::npos);
  CHECK(said(checks::writable_folder(), file).find("is not a folder") != std::string::npos);
}

TEST_CASE("a list that names a value twice is refused by its option") {
  checks::require_distinct<int>("--shots", {0, 4, 8});
  CHECK_THROWS_WITH(checks::require_distinct<int>("--shots", {0, 4, 0}),
                    "--shots: expected each value once, got 0 twice");
}
