#include "plume/eval/postprocess.hpp"

#include <doctest/doctest.h>

#include "plume/io/json.hpp"

namespace {
const std::string golden = "tests/golden/metrics/";
}

TEST_CASE("postprocess: the recorded generations") {
  const auto check = [](const plume::io::Json& rows, const char* caption) {
    for (const auto& row : rows) {
      const auto raw = row["raw"].get<std::string>();
      CAPTURE(raw);
      CHECK(plume::eval::answer_of(raw) == row["vqa"].get<std::string>());
      CHECK(plume::eval::caption_of(raw) == row[caption].get<std::string>());
    }
  };
  check(plume::io::read_json(golden + "vqa_expected.json")["postprocess"], "caption_unquoted");
  check(plume::io::read_json(golden + "../metrics_edge/vqa/postprocess.json"), "caption");
}
