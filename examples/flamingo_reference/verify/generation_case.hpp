#pragma once
// What a golden Flamingo case records of decoding: texts with their scores, and log-probabilities of class names.

#include "plume/generate/classify.hpp"
#include "plume/generate/generate.hpp"
#include "plume/text/tokenizer.hpp"
#include "verify/model_case.hpp"

namespace flamingo {

/// The recorded options of one run, all of which must be known.
inline plume::generate::Options recorded_options(const std::string& file,
                                                 const plume::io::Json& run) {
  plume::generate::Options o;
  o.suppressed = run.at("suppressed").get<plume::generate::Ids>();
  for (const auto& [key, value] : run.at("options").items()) {
    const auto is = [&k = key](const char* name) { return k == name; };
    if (is("max_new_tokens"))
      o.max_new_tokens = value;
    else if (is("min_new_tokens"))
      o.min_new_tokens = value;
    else if (is("num_beams"))
      o.num_beams = value;
    else if (is("length_penalty"))
      o.length_penalty = value;
    else if (is("num_return_sequences"))
      o.num_return_sequences = value;
    else if (is("no_repeat_ngram_size"))
      o.no_repeat_ngram_size = value;
    else if (is("early_stopping") && value.is_boolean())
      o.early_stopping = value.get<bool>() ? plume::generate::EarlyStopping::yes
                                           : plume::generate::EarlyStopping::no;
    else if (is("early_stopping") && value == "never")
      o.early_stopping = plume::generate::EarlyStopping::never;
    else
      plume::fail<plume::FormatError>(file, "options of generate",
                                      key + " " + plume::io::print_json(value));
  }
  return o;
}

/// What the reference fills ended texts with: the language model's padding token, or else what ends them.
inline std::int64_t fill_token(const std::string& folder) {
  for (const char* name : {"/lm/generation_config.json", "/lm/config.json"}) {
    if (!std::filesystem::exists(folder + name)) continue;
    const plume::io::Json config = plume::io::read_json(folder + name);
    const plume::io::Json pad = config.value("pad_token_id", plume::io::Json());
    return pad.is_number_integer() ? pad.get<std::int64_t>() : -1;
  }
  return -1;
}

/// Prompts and images that a case decodes from.
struct CasePrompt {
  plume::Tensor<double> images;
  plume::models::TextInput text;
  explicit CasePrompt(const std::string& folder) {
    const plume::io::StateDict in = plume::io::read_weights(folder + "/inputs.safetensors");
    images = in.at("eval.vision_x").to<double>();
    text = text_of(in, "eval");
  }
};

inline std::vector<plume::generate::Options> case_options(const std::string& folder,
                                                          const plume::io::Json& runs) {
  std::vector<plume::generate::Options> out;
  for (const plume::io::Json& run : runs) {
    out.push_back(recorded_options(folder + "/generation.json", run));
    out.back().eos = plume::io::read_json(folder + "/case.json").at("endofchunk_token");
    out.back().pad = fill_token(folder);
  }
  return out;
}

/// Every run of generation.json: tokens in order, texts, and scores to 1e-4 (of 1, or of the score if it is larger).
inline void check_generation(const plume::models::Flamingo<double>& model,
                             const std::string& folder, Report& report) {
  const CasePrompt prompt(folder);
  const auto tokenizer = plume::text::Tokenizer::load(folder + "/tokenizer");
  const plume::io::Json runs = plume::io::read_json(folder + "/generation.json");
  const auto options = case_options(folder, runs);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const plume::io::Json& run = runs[i];
    const std::string name =
        plume::cat("generation ", i, " ", plume::io::print_json(run.at("options")), " ");
    const auto got = plume::generate::generate(model, prompt.images, prompt.text, options[i]);
    report.equal(name + "new_tokens", got.tokens, run.at("new_tokens"));
    std::vector<std::string> texts;
    for (const auto& row : got.tokens)
      texts.push_back(tokenizer.decode(row, {.skip_special_tokens = true}));
    report.equal(name + "text", texts, run.at("text"));
    if (!run.contains("sequence_scores")) continue;
    const auto scores = run["sequence_scores"].get<std::vector<double>>();
    report.equal(name + "scores in number", got.scores.size(), scores.size());
    double worst = 0;
    for (std::size_t j = 0; j < std::min(scores.size(), got.scores.size()); ++j) {
      const double error = std::abs(got.scores[j] - scores[j]) / std::max(1.0, std::abs(scores[j]));
      if (!(error <= worst)) worst = std::isnan(error) ? HUGE_VAL : error;
    }
    report.within(name + "sequence_scores", worst, 1e-4);
  }
}

/// Log-probabilities of class names, each to 1e-5.
inline void check_classification(const plume::models::Flamingo<double>& model,
                                 const std::string& folder, Report& report) {
  const CasePrompt prompt(folder);
  const plume::io::Json file = plume::io::read_json(folder + "/classification.json");
  const auto tokens = file.at("class_tokens").get<std::vector<plume::generate::Ids>>();
  const auto names = file.at("class_names").get<std::vector<std::string>>();
  const auto tokenizer = plume::text::Tokenizer::load(folder + "/tokenizer");
  std::vector<plume::generate::Ids> own;
  for (const std::string& name : names)
    own.push_back(tokenizer.encode(name, {.special_tokens = false}));
  report.equal("class_tokens", own, tokens);
  const auto got = plume::generate::classify(model, prompt.images, prompt.text, tokens);
  const auto compare = [&](const char* key, const plume::Tensor<double>& x) {
    const auto expected = file.at(key).get<std::vector<std::vector<double>>>();
    report.equal(plume::cat(key, " rows"), x.size(0), expected.size());
    for (std::size_t b = 0; b < expected.size() && x.size(0) == std::ssize(expected); ++b) {
      double worst = x.size(1) == std::ssize(expected[b]) ? 0 : HUGE_VAL;
      for (std::size_t c = 0; c < expected[b].size() && worst < HUGE_VAL; ++c) {
        const double error = std::abs(x(b, c) - expected[b][c]);
        if (!(error <= worst)) worst = std::isnan(error) ? HUGE_VAL : error;
      }
      report.within(plume::cat(key, "[", b, "]"), worst, 1e-5);
    }
  };
  compare("mean_log_probability", got.mean);
  compare("total_log_probability", got.total);
}

}  // namespace flamingo
