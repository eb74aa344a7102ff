#include <doctest/doctest.h>

#include "verify/generation_case.hpp"

// Texts of whole small Flamingos against the PyTorch reference: token for token, text for text, score for score;
// and the log-probabilities of class names.

using namespace plume;
using flamingo::Report;

namespace {

struct Case {
  std::string folder;
  std::unique_ptr<models::Flamingo<double>> model;
  Tensor<double> images;
  models::TextInput prompt;
  std::vector<generate::Options> options;  // of each recorded run

  explicit Case(const char* name)
      : folder(std::string("tests/golden/models/") + name),
        model(flamingo::open_case<double>(folder)),
        options(flamingo::case_options(folder, io::read_json(folder + "/generation.json"))) {
    const flamingo::CasePrompt recorded(folder);
    images = recorded.images;
    prompt = recorded.text;
  }
};

/// Reads everything anew at every step, through the model's own forward pass.
class Uncached : public generate::Reader {
 public:
  explicit Uncached(const Case& c) : c_(c), width_(c.prompt.ids.size(1)) {
    for (index_t b = 0; b < c.prompt.ids.size(0); ++b) {
      rows_.emplace_back(&c.prompt.ids(b, 0), &c.prompt.ids(b, 0) + width_);
      prompts_.push_back(b);
    }
  }
  std::vector<double> start() override { return read(); }
  std::vector<double> advance(std::span<const index_t> parents,
                              std::span<const std::int64_t> tokens) override {
    std::vector<generate::Ids> rows;
    std::vector<index_t> prompts;
    for (std::size_t i = 0; i < parents.size(); ++i) {
      rows.push_back(rows_[static_cast<std::size_t>(parents[i])]);
      rows.back().push_back(tokens[i]);
      prompts.push_back(prompts_[static_cast<std::size_t>(parents[i])]);
    }
    rows_ = std::move(rows);
    prompts_ = std::move(prompts);
    return read();
  }
  [[nodiscard]] const std::vector<generate::Ids>& rows() const { return rows_; }

 private:
  std::vector<double> read() const {
    std::vector<double> out;
    for (std::size_t r = 0; r < rows_.size(); ++r) {
      const index_t b = prompts_[r], T = static_cast<index_t>(rows_[r].size());
      models::TextInput input{Tensor<std::int64_t>({1, T}), full<bool>({1, T}, true)};
      std::copy(rows_[r].begin(), rows_[r].end(), input.ids.data());
      for (index_t t = 0; t < width_; ++t) input.mask(0, t) = c_.prompt.mask(b, t);
      const Var<double> logits =
          no_grad([&] { return (*c_.model)(c_.images.slice(0, b, b + 1), input); });
      const Tensor<double> last = logits.value().select(0, 0).select(0, T - 1).contiguous();
      out.insert(out.end(), last.data(), last.data() + last.numel());
    }
    return out;
  }
  const Case& c_;
  index_t width_;
  std::vector<generate::Ids> rows_;
  std::vector<index_t> prompts_;
};

TEST_CASE("golden: generated texts, and class names") {
  for (const char* name : {"mpt1b-every1", "redpajama-every2", "llama-every1"}) {
    const Case c(name);
    Report report;
    flamingo::check_generation(*c.model, c.folder, report);
    CHECK(report.comparisons().size() == 24);
    flamingo::check_classification(*c.model, c.folder, report);
    CHECK(report.comparisons().size() == 33);
    for (const flamingo::Comparison& x : report.comparisons())
      CHECK_MESSAGE(x.passes(), name, ": ", x.name, ": error ", x.error, " ", x.detail);
  }
}

TEST_CASE("golden: a model that was changed is told apart") {
  const Case c("mpt1b-every1");
  c.model->fusion[1].attn_gate.set_value(full<double>({1}, 0.9));
  Report report;
  flamingo::check_generation(*c.model, c.folder, report);
  flamingo::check_classification(*c.model, c.folder, report);
  const auto failed = std::count_if(report.comparisons().begin(), report.comparisons().end(),
                                    [](const flamingo::Comparison& x) { return !x.passes(); });
  CHECK(failed > 6);
}

TEST_CASE("classify: names that cannot be") {
  const Case c("mpt1b-every1");
  CHECK_THROWS_AS(generate::classify(*c.model, c.images, c.prompt, {generate::Ids{}}), ValueError);
  CHECK_THROWS_AS(generate::classify(*c.model, c.images, c.prompt, {{5, 1 << 20}}), ValueError);
  CHECK(generate::classify(*c.model, c.images, c.prompt, {}).mean.shape() == Shape{3, 0});
}

TEST_CASE("generate: with a cache as without, token for token") {
  const Case c("mpt1b-every1");
  for (const index_t beams : {1, 3}) {
    generate::Options o = c.options[0];
    o.num_beams = beams;
    o.max_new_tokens = 6;
    o.suppressed.push_back(c.model->plan.image_token);
    const generate::Result cached = generate::generate(*c.model, c.images, c.prompt, o);
    Uncached reader(c);
    const generate::Result whole = decode(reader, Uncached(c).rows(), o);
    CHECK(cached.tokens == whole.tokens);
    for (std::size_t i = 0; i < cached.scores.size(); ++i)
      CHECK(cached.scores[i] == doctest::Approx(whole.scores[i]).epsilon(1e-9));
  }
}

TEST_CASE("generate: a prompt alone gives what it gives in a batch; samples come in number") {
  const Case c("redpajama-every2");
  generate::Options o = c.options[1];
  const generate::Result batch = generate::generate(*c.model, c.images, c.prompt, o);
  for (index_t b = 0; b < 3; ++b) {
    const models::TextInput one{c.prompt.ids.slice(0, b, b + 1), c.prompt.mask.slice(0, b, b + 1)};
    const generate::Result r = generate::generate(*c.model, c.images.slice(0, b, b + 1), one, o);
    CHECK(r.scores[0] == doctest::Approx(batch.scores[static_cast<std::size_t>(b)]).epsilon(1e-9));
  }
  // Of the five rows here only three have images of their own.
  const std::vector<index_t> rows{2, 0, 2, 1, 0};
  const models::TextInput again{
      generate::detail::take_rows(c.prompt.ids.cast<double>(), rows).cast<std::int64_t>(),
      generate::detail::take_rows(c.prompt.mask.cast<double>(), rows).cast<bool>()};
  const generate::Result five =
      generate::generate(*c.model, generate::detail::take_rows(c.images, rows), again, o);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const auto row = static_cast<std::size_t>(rows[i]);
    CHECK(five.tokens[i] == batch.tokens[row]);
    CHECK(five.scores[i] == doctest::Approx(batch.scores[row]).epsilon(1e-9));
  }
  o.num_beams = 1;
  o.sample = true;
  o.num_return_sequences = 2;
  CHECK(generate::generate(*c.model, c.images, c.prompt, o).tokens.size() == 6);
}

TEST_CASE("generate: images seen before give what they give when they are seen") {
  const Case c("redpajama-every2");
  const Var<double> latents = c.model->see(c.images).detach();
  const generate::Result seen = generate::generate(*c.model, latents, c.prompt, c.options[1]);
  const generate::Result fresh = generate::generate(*c.model, c.images, c.prompt, c.options[1]);
  CHECK(seen.tokens == fresh.tokens);
  for (std::size_t i = 0; i < seen.scores.size(); ++i)
    CHECK(seen.scores[i] == doctest::Approx(fresh.scores[i]).epsilon(1e-9));
  const auto names = std::vector<generate::Ids>{{5}, {6, 7}};
  const Tensor<double> a = generate::classify(*c.model, latents, c.prompt, names).mean;
  const Tensor<double> b = generate::classify(*c.model, c.images, c.prompt, names).mean;
  for (index_t i = 0; i < a.numel(); ++i)
    CHECK(a.data()[i] == doctest::Approx(b.data()[i]).epsilon(1e-9));
  const Var<double> two(latents.value().slice(0, 0, 2));
  CHECK_THROWS_AS((void)generate::generate(*c.model, two, c.prompt, c.options[1]), ShapeError);
}

TEST_CASE("generate: equal images are encoded once") {
  const Tensor<double> x({4, 2}, {1, 2, 3, 4, 1, 2, 3, 5});
  const auto [distinct, place] = generate::detail::distinct_rows(x);
  CHECK(distinct.shape() == Shape{3, 2});
  CHECK(place == std::vector<index_t>{0, 1, 0, 2});
  CHECK(distinct(2, 1) == 5);
  CHECK(generate::detail::take_rows(distinct, place)(2, 1) == 2);
  CHECK(generate::detail::distinct_rows(Tensor<double>({0, 2})).second.empty());
}

TEST_CASE("generate: text without images, and prompts that cannot be") {
  const Case c("mpt1b-every1");
  const generate::Options o = c.options[0];
  const index_t S = c.images.size(-1);
  const Tensor<std::int64_t> ids({1, 3}, {5, 6, 7});
  const Tensor<double> blank = zeros<double>({1, 1, 1, 3, S, S});
  const auto with_blank = generate::generate(*c.model, blank, {ids}, o).tokens;
  CHECK(generate::generate(*c.model, zeros<double>({1, 0, 1, 3, S, S}), {ids}, o).tokens ==
        with_blank);
  CHECK(generate::generate(*c.model, blank, {ids, full<bool>({1, 3}, true)}, o).tokens ==
        with_blank);
  const auto refuse = [&](const models::TextInput& prompt, const char* what) {
    CHECK_THROWS_WITH_AS(generate::generate(*c.model, blank, prompt, o), doctest::Contains(what),
                         std::invalid_argument);
  };
  refuse({ids, Tensor<bool>({1, 3}, {true, true, false})}, "padding on the left");
  refuse({ids, Tensor<bool>({1, 3}, {true, false, true})}, "padding on the left");
  refuse({ids, full<bool>({1, 2}, true)}, "a mask of shape");
  refuse({Tensor<std::int64_t>({1, 0})}, "prompts [B >= 1, T >= 1]");
  refuse({Tensor<std::int64_t>({0, 3})}, "prompts [B >= 1, T >= 1]");
  refuse({ids, {}, 2}, "prompts from their start");
  refuse({Tensor<std::int64_t>({2, 1}, {5, 6})}, "images [2");
  generate::Options bad = o;
  bad.suppressed.push_back(1 << 20);
  CHECK_THROWS_AS(generate::generate(*c.model, blank, {ids}, bad), ValueError);
}

}  // namespace
