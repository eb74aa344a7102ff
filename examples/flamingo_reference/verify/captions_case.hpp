#pragma once
// Golden captions: tokens of the PTB tokenizer exactly, scores to 1e-9.

#include <algorithm>
#include <filesystem>
#include <map>

#include "plume/eval/captions.hpp"
#include "verify/report.hpp"

namespace flamingo {

namespace captions_detail {

using plume::io::Json;

constexpr double tolerance = 1e-9;

/// One text: as a line that another follows, and as the last of a file.
inline void check_text(const Json& recorded, bool at_end, Report& report) {
  const auto text = recorded.at("text").get<std::string>();
  const auto tokens = recorded.at("tokens").get<std::string>();
  const std::string name = "tokens of " + plume::io::print_json(Json(text));
  report.equal(name, plume::eval::joined(plume::eval::ptb_tokenize({text, ""}).front()), tokens);
  if (at_end) {
    report.equal(name + " at the end of a file",
                 plume::eval::joined(plume::eval::ptb_tokenize({text}).front()),
                 recorded.value("tokens_at_end_of_file", tokens));
  }
}

/// A character in place of {c}, by its name U+XXXX.
inline void check_line_ends(const Json& recorded, Report& report) {
  for (const auto& [name, tokens] : recorded.at("tokens").items()) {
    std::string character;
    plume::text::append_utf8(character,
                             static_cast<char32_t>(std::stoul(name.substr(2), nullptr, 16)));
    auto texts = recorded.at("texts").get<std::vector<std::string>>();
    for (std::string& text : texts) text = plume::eval::replaced(text, "{c}", character);
    Json got = Json::array();
    for (const plume::eval::Tokens& line : plume::eval::ptb_tokenize(texts))
      got.push_back(plume::eval::joined(line));
    report.equal("lines with " + name, got, tokens);
  }
}

/// Scores by the names of either format: cider, rouge_l, bleu [1..4]; or CIDEr, ROUGE_L, Bleu_1 ... Bleu_4.
inline void check_scores(const std::string& name, const plume::eval::CaptionScores& got,
                         const Json& recorded, Report& report) {
  std::map<std::string, double> scores{{"cider", got.cider},
                                       {"CIDEr", got.cider},
                                       {"rouge_l", got.rouge_l},
                                       {"ROUGE_L", got.rouge_l},
                                       {"reported", 100 * got.cider}};
  for (std::size_t n = 0; n < got.bleu.size(); ++n)
    scores[plume::cat("Bleu_", n + 1)] = scores[plume::cat("bleu ", n + 1)] = got.bleu[n];
  const auto compare = [&](const std::string& key, double expected) {
    const double d = std::abs(scores.at(key) - expected);
    report.within(name + " " + key, d / std::max(1.0, std::abs(expected)), tolerance);
  };
  for (const auto& [key, value] : recorded.items()) {
    if (key == "bleu") {
      for (std::size_t n = 0; n < value.size(); ++n)
        compare(plume::cat("bleu ", n + 1), value[n].get<double>());
    } else if (scores.contains(key)) {
      compare(key, value.get<double>());
    }
  }
}

/// `folder` holds annotations.json and results.json; `expected` is {images, corpus}.
inline void check_evaluation(const std::filesystem::path& folder, const std::string& prefix,
                             const Json& expected, Report& report) {
  const plume::eval::CaptionEvaluation got = plume::eval::evaluate_captions(
      (folder / "annotations.json").string(), (folder / "results.json").string());
  std::map<std::string, const plume::eval::CaptionedImage*> images;
  for (const auto& image : got.images) images[plume::io::print_json(image.id)] = &image;
  report.equal(prefix + "images in number", got.images.size(), expected.at("images").size());
  for (const Json& e : expected.at("images")) {
    const std::string id = plume::io::print_json(e.contains("id") ? e["id"] : e.at("image_id"));
    const std::string name = prefix + "image " + id;
    const auto found = images.find(id);
    if (found == images.end()) {
      report.wrong(name, "no scores for it");
      continue;
    }
    const plume::eval::CaptionedImage& image = *found->second;
    if (e.contains("references"))
      report.equal(name + " references", image.references, e["references"]);
    if (e.contains("candidate")) report.equal(name + " candidate", image.candidate, e["candidate"]);
    Json references = Json::array();
    for (const auto& tokens : image.reference_tokens)
      references.push_back(plume::eval::joined(tokens));
    report.equal(name + " reference_tokens", references, e.at("reference_tokens"));
    report.equal(name + " candidate_tokens", plume::eval::joined(image.candidate_tokens),
                 e.at("candidate_tokens"));
    check_scores(name, image.scores, e.contains("scores") ? e["scores"] : e, report);
  }
  check_scores(prefix + "corpus", got.corpus, expected.at("corpus"), report);
}

}  // namespace captions_detail

/// captions.json with captions/; captions/ptb.json, captions/line_ends.json, and every folder of captions/ that has an
/// expected.json. What is absent is not looked for.
inline void check_captions(const std::filesystem::path& folder, Report& report) {
  using namespace captions_detail;
  namespace fs = std::filesystem;
  const auto when_present = [](const fs::path& file, const auto& check) {
    if (fs::exists(file)) check(plume::io::read_json(file.string()));
  };
  when_present(folder / "captions.json", [&](const Json& recorded) {
    for (const Json& text : recorded.value("ptb", Json::array())) check_text(text, true, report);
    if (recorded.contains("images")) check_evaluation(folder / "captions", "", recorded, report);
  });
  const fs::path more = folder / "captions";
  when_present(more / "ptb.json", [&](const Json& recorded) {
    for (const Json& text : recorded)
      check_text(text, text.contains("tokens_at_end_of_file"), report);
  });
  when_present(more / "line_ends.json",
               [&](const Json& recorded) { check_line_ends(recorded, report); });
  if (!fs::is_directory(more)) return;
  std::vector<fs::path> sets;
  for (const auto& entry : fs::directory_iterator(more))
    if (fs::exists(entry.path() / "expected.json")) sets.push_back(entry.path());
  std::sort(sets.begin(), sets.end());
  for (const fs::path& set : sets) {
    when_present(set / "expected.json", [&](const Json& expected) {
      check_evaluation(set, set.filename().string() + " ", expected, report);
    });
  }
}

}  // namespace flamingo
