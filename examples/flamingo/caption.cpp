// flamingo caption: pictures and a prompt in, text out; few-shot with --shot or --shots.

#include <filesystem>
#include <iostream>

#include "commands.hpp"
#include "model_options.hpp"
#include "option_checks.hpp"
#include "pictures.hpp"
#include "plume/generate/generate.hpp"
#include "plume/generate/prompt.hpp"
#include "plume/io/json.hpp"
#include "plume/nn/hold_frozen.hpp"

using namespace plume;

namespace flamingo {

namespace {

struct Shot {
  std::string image, text;
};

struct CaptionOptions {
  ModelOptions model;
  std::vector<std::string> images, shots;
  std::string shots_file, prompt = "<image>Output:";
  generate::Options generation;
  bool json = false, bf16 = false;
};

/// PICTURE=TEXT; a picture's name may hold no '='.
Shot parse_shot(const std::string& given) {
  const std::size_t at = given.find('=');
  if (at == std::string::npos || at == 0) fail<ValueError>("caption", "--shot PICTURE=TEXT", given);
  return {given.substr(0, at), given.substr(at + 1)};
}

/// [{"image": "a.jpg", "text": "A cat."}, ...], paths relative to the file.
std::vector<Shot> read_shots(const std::string& path) {
  const io::Json list = io::read_json(path);
  if (!list.is_array())
    fail<FormatError>(path, "a list of {\"image\", \"text\"}", list.type_name());
  std::vector<Shot> out;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  for (const io::Json& entry : list) {
    for (const char* key : {"image", "text"}) {
      if (!entry.is_object() || !entry.contains(key) || !entry[key].is_string())
        fail<FormatError>(path, cat("a text \"", key, "\" in each entry"), io::print_json(entry));
    }
    const std::string image = io::bytes_of_json_text(entry["image"].get<std::string>());
    out.push_back({(folder / image).string(), entry["text"]});
  }
  return out;
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++n;
  return n;
}

/// Prints what a text has grown by; a character that is not whole yet waits.
class Stream {
 public:
  explicit Stream(const text::Tokenizer& words) : words_(words) {}
  void hear(std::int64_t token) {
    ids_.push_back(token);
    const std::string text = words_.decode(ids_, {.skip_special_tokens = true});
    if (text.ends_with("\xEF\xBF\xBD") || text.size() < shown_) return;
    std::cout << text.substr(shown_) << std::flush;
    shown_ = text.size();
  }

 private:
  const text::Tokenizer& words_;
  text::Ids ids_;
  std::size_t shown_ = 0;
};

/// Throws ValidationError where options do not go together.
void require_consistent(const generate::Options& o) {
  if (o.min_new_tokens > o.max_new_tokens)
    checks::refuse("--min-new-tokens", cat("at most --max-new-tokens ", o.max_new_tokens),
                   std::to_string(o.min_new_tokens));
  if (o.sample && o.num_beams > 1)
    checks::refuse("--sample", "--beams 1: texts are drawn one by one",
                   cat("--beams ", o.num_beams));
  if (!o.sample && o.num_return_sequences > o.num_beams)
    checks::refuse("--return", cat("at most --beams ", o.num_beams, " without --sample"),
                   std::to_string(o.num_return_sequences));
}

void caption(const CaptionOptions& given) {
  require_consistent(given.generation);
  std::vector<Shot> shots;
  if (!given.shots_file.empty()) shots = read_shots(given.shots_file);
  for (const std::string& shot : given.shots) shots.push_back(parse_shot(shot));

  text::MarkedText context;
  std::vector<std::string> seen;
  for (const Shot& shot : shots) {
    context.markup(given.prompt).data(shot.text).markup("<|endofchunk|>\n");
    seen.push_back(shot.image);
  }
  const std::size_t pictures = count(given.prompt, "<image>");
  if (pictures != 1 && !shots.empty())
    fail<ValueError>("caption", "one <image> in the prompt of few-shot examples", pictures);
  if (pictures == 0 || given.images.size() % pictures != 0)
    fail<ValueError>("caption", cat("pictures for the ", pictures, " <image> of the prompt"),
                     cat(given.images.size(), " pictures"));

  const ModelOptions::Parts parts = given.model.parts();
  const text::Tokenizer& words = parts.words;
  generate::Options options = given.generation;
  generate::end_with_chunk(options, words);
  const models::TextInput prompt = generate::prompt_of(
      words, context.markup(given.prompt), std::ssize(seen) + static_cast<index_t>(pictures));
  {  // what is wrong is said before weights are read and the first text is made
    const auto shape = parts.shape();
    (void)generate::within(shape->lang_encoder->positions(), prompt.ids.size(1), options);
    for (const std::vector<std::string>* files : {&std::as_const(seen), &given.images}) {
      for (const std::string& file : *files)
        (void)load_pictures<float>({file}, shape->vision_encoder->sizes);
    }
  }
  const auto model =
      models::open_flamingo<float>(parts.files, parts.sizes, ModelOptions::tell_adapted);
  if (given.bf16) (void)nn::hold_frozen_in_bf16(*model);
  const bool streams = options.num_beams == 1 && options.num_return_sequences == 1 && !given.json;
  for (std::size_t first = 0; first < given.images.size(); first += pictures) {
    std::vector<std::string> files = seen;
    const auto from = given.images.begin() + static_cast<std::ptrdiff_t>(first);
    files.insert(files.end(), from, from + static_cast<std::ptrdiff_t>(pictures));
    const Tensor<float> images = load_pictures<float>(files, model->vision_encoder->sizes);
    if (!given.json && given.images.size() > pictures) std::cout << *from << ": ";
    Stream stream(words);
    const generate::OnToken hear =
        streams ? generate::OnToken([&](index_t, std::int64_t token) { stream.hear(token); })
                : generate::OnToken();
    const generate::Result result = generate::generate(*model, images, prompt, options, hear);
    io::Json texts = io::Json::array();
    for (const auto& row : result.tokens)
      texts.push_back(words.decode(row, {.skip_special_tokens = true}));
    if (given.json) {
      std::cout << io::print_json(
                       io::Json{{"images", files}, {"texts", texts}, {"scores", result.scores}})
                << std::endl;
    } else if (streams) {
      std::cout << std::endl;
    } else {
      for (const io::Json& text : texts) std::cout << text.get<std::string>() << std::endl;
    }
  }
}

}  // namespace

void add_caption(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("caption", "Continue a prompt about pictures: a caption, or an answer");
  auto given = std::make_shared<CaptionOptions>();
  generate::Options& g = given->generation;
  given->model.add_to(*command);
  command->add_option("--image", given->images, "Pictures; each <image> of the prompt takes one")
      ->required()
      ->check(checks::readable_file());
  command
      ->add_option("--prompt", given->prompt,
                   "The text to continue, with <image> where a picture is")
      ->capture_default_str();
  command->add_option("--shot", given->shots, "An example before the prompt: PICTURE=TEXT");
  command
      ->add_option("--shots", given->shots_file,
                   "Examples from a JSON file: [{\"image\": ..., \"text\": ...}, ...]")
      ->check(checks::readable_file());
  const auto option = [&](const char* name, auto& value, const CLI::Validator& check,
                          const char* help = "") {
    return command->add_option(name, value, help)->transform(check)->capture_default_str();
  };
  command->add_flag("--sample", g.sample, "Draw tokens in place of the likeliest");
  option("--beams", g.num_beams, checks::integer(1, 1024), "Beams; 1 is greedy, and streams");
  option("--max-new-tokens", g.max_new_tokens, checks::integer(1, 1 << 20));
  option("--min-new-tokens", g.min_new_tokens, checks::integer(0, 1 << 20));
  option("--length-penalty", g.length_penalty, checks::finite());
  option("--no-repeat-ngram", g.no_repeat_ngram_size, checks::integer(0, 1 << 20));
  option("--return", g.num_return_sequences, checks::integer(1, 1024), "Texts per prompt");
  option("--temperature", g.temperature, checks::positive(), "Of --sample")->needs("--sample");
  option("--top-k", g.top_k, checks::integer(0), "Of --sample; 0: from all")->needs("--sample");
  option("--top-p", g.top_p, checks::probability(), "Of --sample")->needs("--sample");
  option("--seed", g.seed, checks::integer(0, checks::any_seed), "Of --sample")->needs("--sample");
  command->add_flag("--bf16", given->bf16, "Hold the frozen matrices in bfloat16: half the memory");
  command->add_flag("--json", given->json, "One JSON object per prompt: images, texts, scores");
  command->callback([given] { caption(*given); });
}

}  // namespace flamingo
