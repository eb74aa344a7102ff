// Golden tokenizers: text to ids, ids to text, batches, special tokens.

#include "plume/text/tokenizer.hpp"
#include "verify/groups.hpp"

using namespace plume;

namespace flamingo {

namespace {

using text::Ids;

template <class Id>
io::Json or_null(const std::optional<Id>& id) {
  return id ? io::Json(*id) : io::Json();
}

}  // namespace

void verify_tokenizer(const std::filesystem::path& folder, Report& report) {
  const text::Tokenizer tokenizer = text::Tokenizer::load(folder.string());
  for (const char* file : {"cases.jsonl", "decode.jsonl"}) {
    if (!std::filesystem::exists(folder / file)) continue;
    std::size_t n = 0;
    for (const io::Json& line : io::read_json_lines((folder / file).string())) {
      const std::string where = cat(file, ":", ++n, " ");
      const Ids ids = line.at("ids").get<Ids>();
      if (line.contains("text"))
        report.equal(where + "ids", tokenizer.encode(line["text"].get<std::string>()), ids);
      report.equal(where + "decoded", tokenizer.decode(ids), line.at("decoded"));
      report.equal(where + "decoded_skip", tokenizer.decode(ids, {.skip_special_tokens = true}),
                   line.at("decoded_skip"));
    }
  }
  if (std::filesystem::exists(folder / "batches.json")) {
    std::size_t n = 0;
    for (const io::Json& batch : io::read_json((folder / "batches.json").string())) {
      const io::Json& args = batch.at("args");
      text::BatchOptions options;
      options.special_tokens = args.value("add_special_tokens", true);
      if (args.contains("max_length")) options.max_length = args["max_length"].get<std::size_t>();
      const io::Json padding = args.value("padding", io::Json(false));
      options.padding = padding == "max_length"                   ? text::Padding::max_length
                        : padding == "longest" || padding == true ? text::Padding::longest
                                                                  : text::Padding::none;
      options.padding_side =
          batch.at("padding_side") == "left" ? text::Side::left : text::Side::right;
      const auto texts = batch.at("texts").get<std::vector<std::string>>();
      const text::Batch got = tokenizer.encode_batch(texts, options);
      const std::string where = cat("batch ", n++, " ", batch.value("kind", ""), " ");
      report.equal(where + "input_ids", got.ids, batch.at("input_ids"));
      report.equal(where + "attention_mask", got.mask, batch.at("attention_mask"));
    }
  }
  const io::Json s = io::read_json((folder / "specials.json").string());
  const auto special = [&](const char* key, const io::Json& got) {
    if (s.contains(key)) report.equal(cat("special ", key), got, s[key]);
  };
  special("endofchunk", or_null(tokenizer.end_of_chunk()));
  special("image", or_null(tokenizer.image()));
  special("pad", or_null(tokenizer.pad()));
  special("bos", or_null(tokenizer.bos()));
  special("eos", or_null(tokenizer.eos()));
  special("unk", or_null(tokenizer.unknown()));
  special("len", tokenizer.size());
  special("model_vocab", tokenizer.model_size());
  special("clean_up_tokenization_spaces", tokenizer.cleans_up());
  special("default_padding_side", tokenizer.padding_side() == text::Side::left ? "left" : "right");
  if (s.contains("all_special_ids"))
    report.equal("special all_special_ids", tokenizer.special_ids(),
                 s["all_special_ids"].get<std::set<text::TokenId>>());
}

}  // namespace flamingo
