#pragma once
// The small language model: an MPT, which learns to look up within a page what the page calls things. ALiBi's steep
// heads look at the token before from the first step on, which is half of what looking up takes.
//
// It reads text.txt of the world as one long text, its documents in a new order each time around, cut into rows. The
// table has rows for the tokens that Flamingo adds, which no text holds: they keep their first values, as those of a
// published model do.

#include <numeric>
#include <set>

#include "pages.hpp"
#include "plume/models/mpt.hpp"
#include "plume/text/tokenizer.hpp"
#include "pretrain.hpp"

namespace world {

struct LanguageOptions {
  Course course{.steps = 600};
  index_t width = 96, layers = 3, heads = 8;
  index_t batch = 16, length = 128;  ///< rows, and tokens of a row
  std::uint64_t seed = 1;
};

/// The last of every 21 documents is held out: 21 shares no factor with the order of their kinds.
struct LanguageTexts {
  std::vector<plume::text::Ids> train, held_out;
};

/// Documents end with <|endoftext|> and a line end, as world make writes them. Throws FormatError where the file has
/// none.
inline LanguageTexts read_texts(const std::string& path, const plume::text::Tokenizer& words) {
  const plume::io::Source source = plume::io::Source::file(path);
  std::string_view rest = source.text();
  constexpr std::string_view end = "<|endoftext|>\n";
  LanguageTexts out;
  std::size_t count = 0;
  for (std::size_t at; (at = rest.find(end)) != std::string_view::npos; ++count) {
    plume::text::Ids ids = words.encode(rest.substr(0, at + end.size() - 1));
    (count % 21 == 20 ? out.held_out : out.train).push_back(std::move(ids));
    rest.remove_prefix(at + end.size());
  }
  if (out.held_out.empty()) plume::fail<plume::FormatError>(path, "at least 21 documents", count);
  return out;
}

/// Rows cut from the documents in random order, one after the other.
class RowStream {
 public:
  RowStream(const std::vector<plume::text::Ids>& documents, std::uint64_t seed)
      : documents_(documents), random_(seed) {}

  plume::Tensor<std::int64_t> next(index_t rows, index_t length) {
    plume::Tensor<std::int64_t> out(plume::Shape{rows, length});
    for (index_t i = 0; i < out.numel(); ++i) {
      if (at_ == left_.size()) more();
      out.data()[i] = left_[at_++];
    }
    return out;
  }

 private:
  void more() {
    if (place_ == order_.size()) {
      order_.resize(documents_.size());
      std::iota(order_.begin(), order_.end(), std::size_t{0});
      for (std::size_t i = order_.size(); i > 1; --i)
        std::swap(order_[i - 1],
                  order_[static_cast<std::size_t>(random_.below(static_cast<index_t>(i)))]);
      place_ = 0;
    }
    left_ = documents_[order_[place_++]];
    at_ = 0;
  }

  const std::vector<plume::text::Ids>& documents_;
  plume::Generator random_;
  std::vector<std::size_t> order_;
  std::size_t place_ = 0;
  plume::text::Ids left_;
  std::size_t at_ = 0;
};

/// How often, from 0 to 1, the model continues a page in words with the page's second name of a cloth, where an earlier
/// line of the page has told it: what it has learnt to learn. Pages that it has not read.
inline double naming(const plume::models::Mpt<float>& model, const plume::text::Tokenizer& words,
                     std::uint64_t seed, index_t pages = 100) {
  const plume::NoGrad scope;
  const plume::EvaluationMode mode;
  index_t right = 0, asked = 0;
  for (std::uint64_t i = 1'000'000; asked < pages; ++i) {
    const Page page = draw_page(seed, Part::text, i, 4, 8);
    if (page.names == no_names) continue;
    std::set<index_t> named;
    std::string before, name;
    std::string text = page.title.empty() ? "" : page.title + "\n";
    for (const Turn& turn : page.turns) {
      const Content& content = turn.scene.content;
      text += in_words(content);
      const std::string_view word = page.names[static_cast<std::size_t>(content.cloth)];
      const std::size_t at = turn.said.find(word);
      if (at != std::string::npos && named.contains(content.cloth)) {
        const std::size_t cut = at - 1;  // the space belongs to it
        before = text + turn.said.substr(0, cut);
        name = turn.said.substr(cut, at + word.size() - cut);
      }
      if (at != std::string::npos) named.insert(content.cloth);
      text += turn.said + "\n";
    }
    if (name.empty()) continue;
    ++asked;
    plume::text::Ids ids = words.encode(before);
    const plume::text::Ids rest = words.encode(name);
    const auto first = std::ssize(ids);
    ids.insert(ids.end(), rest.begin(), rest.end());
    plume::Tensor<std::int64_t> row(plume::Shape{1, std::ssize(ids)});
    std::copy(ids.begin(), ids.end(), row.data());
    const plume::Tensor<float> logits = model(plume::models::TextInput{row}).value();
    bool all = true;
    for (index_t t = first; t < std::ssize(ids); ++t) {
      const float* z = logits.data() + (t - 1) * logits.size(2);
      all = all && std::max_element(z, z + logits.size(2)) - z == ids[static_cast<std::size_t>(t)];
    }
    right += all ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(asked);
}

/// Trains on DATA/text.txt and writes config.json, model.safetensors and log.jsonl below `out`. Returns what is to be
/// known of it: {"steps", "parameters", "loss", "held_out_loss", "naming"}.
inline plume::io::Json pretrain_language(const std::string& data, const std::string& out,
                                         const LanguageOptions& o) {
  using plume::Var;
  namespace models = plume::models;
  const auto words = plume::text::Tokenizer::load(data + "/model/tokenizer");
  const LanguageTexts texts = read_texts(data + "/text.txt", words);
  std::filesystem::create_directories(out);
  const index_t vocabulary = (words.size() + 63) / 64 * 64;
  models::MptSizes sizes{models::MptSizes::Names::mpt, vocabulary, o.width, o.layers, o.heads};
  sizes.qk_norm = false;
  plume::nn::Module root;
  models::Mpt<float> model(root, "lm", sizes);
  plume::nn::initialize(root, o.seed);
  // At the usual 0.02 the words of so short a course are told apart late.
  plume::Generator random(o.seed);
  model.transformer.wte.weight.set_value(
      plume::normal<float>(model.transformer.wte.weight.shape(), random, 0, 0.3));
  const auto loss_of = [&](const plume::Tensor<std::int64_t>& ids) {
    const models::TextInput input{ids};
    const auto step = model.begin(input, nullptr);
    Var<float> x = model.embed(input);
    for (index_t i = 0; i < model.layer_count(); ++i) x = model.layer(i, x, step);
    return model.loss(x, ids);
  };
  RowStream rows(texts.train, o.seed);
  const double loss = pretrain(root, o.course, out + "/log.jsonl",
                               [&](index_t) { return loss_of(rows.next(o.batch, o.length)); });
  double held_out = 0;
  constexpr index_t batches = 8;
  {
    const plume::NoGrad scope;
    const plume::EvaluationMode mode;
    RowStream others(texts.held_out, o.seed);
    for (index_t i = 0; i < batches; ++i)
      held_out += static_cast<double>(loss_of(others.next(o.batch, o.length)).value().item());
  }
  save_weights(model, out + "/model.safetensors");
  save_json({{"architectures", {"MPTForCausalLM"}},
             {"model_type", "mpt"},
             {"vocab_size", vocabulary},
             {"d_model", o.width},
             {"n_layers", o.layers},
             {"n_heads", o.heads},
             {"expansion_ratio", sizes.multiple},
             {"max_seq_len", 2048},
             {"no_bias", true},
             {"attn_config",
              {{"alibi", true}, {"alibi_bias_max", sizes.alibi_bias_max}, {"qk_ln", false}}},
             {"tie_word_embeddings", true},
             {"bos_token_id", words.bos().value()},
             {"eos_token_id", words.eos().value()}},
            out + "/config.json");
  return {{"steps", o.course.steps},
          {"parameters", plume::nn::parameter_count(root)},
          {"loss", loss},
          {"held_out_loss", held_out / static_cast<double>(batches)},
          {"naming", naming(model, words, o.seed)}};
}

}  // namespace world
