#pragma once
// Everything of the world as files, in the formats of the data sets that a real run reads.
//
//   pairs-000000.tar ...          WebDataset: 000000000.jpg, 000000000.txt
//   documents-000000.tar ...      WebDataset: MMC4's json
//   coco/karpathy.json            Karpathy's split file: demonstrations are of split train, queries of split test
//   coco/annotations.json         the right captions of the queries
//   vqav2/{train,val}_questions.json, vqav2/{train,val}_annotations.json
//   {coco,vqav2}/{train,val}2014/ their pictures, the same for both
//   text.txt                      texts of the language model, each ended by <|endoftext|> and a line end
//   model/tokenizer/              tokenizer.json, tokenizer_config.json
//   world.json                    what was made and the best possible scores; until all is there, "unfinished"

#include <filesystem>
#include <string>

#include "best.hpp"
#include "pages.hpp"
#include "plume/data/sample.hpp"
#include "plume/data/tar_writer.hpp"
#include "tokenizer.hpp"

namespace world {

struct MakeOptions {
  std::uint64_t seed = 1;
  index_t pairs = 20'000, documents = 4'000, texts = 20'000;
  index_t demonstrations = 512, held_out = 400;
  index_t side = 64;  ///< of pictures, but of those of MMC4's documents
  index_t pairs_a_shard = 1'000, documents_a_shard = 200;
  bool tags = false;  ///< a quarter of the texts has <image> and <|endofchunk|>
};

namespace detail {

namespace fs = std::filesystem;
using plume::io::Json;

inline std::string numbered(const std::string& before, index_t number, std::size_t width,
                            const std::string& after) {
  const std::string digits = std::to_string(number);
  return before + std::string(width - std::min(width, digits.size()), '0') + digits + after;
}

/// Calls make(i) for 0 <= i < count, by several threads, and then use(i, made) in order.
template <class Make, class Use>
void in_order(index_t count, Make make, Use use) {
  constexpr index_t block = 64;
  for (index_t begin = 0; begin < count; begin += block) {
    const index_t here = std::min(block, count - begin);
    std::vector<decltype(make(index_t{0}))> made(static_cast<std::size_t>(here));
    plume::parallel_for(here, 1'000'000, [&](index_t first, index_t last) {
      for (index_t i = first; i < last; ++i) made[static_cast<std::size_t>(i)] = make(begin + i);
    });
    for (index_t i = 0; i < here; ++i) use(begin + i, std::move(made[static_cast<std::size_t>(i)]));
  }
}

/// FOLDER/PREFIX000000.tar and so on; make(i) gives the files of record i, by what follows its key.
template <class Make>
void write_shards(const fs::path& folder, const std::string& prefix, index_t count, index_t a_shard,
                  Make make) {
  std::optional<plume::data::TarWriter> tar;
  in_order(count, make, [&](index_t i, auto files) {
    if (i % a_shard == 0) tar.emplace((folder / numbered(prefix, i / a_shard, 6, ".tar")).string());
    for (const auto& [suffix, bytes] : files) tar->add(numbered("", i, 9, suffix), bytes);
    if (i + 1 == count || (i + 1) % a_shard == 0) tar->commit();
  });
}

using Files = std::vector<std::pair<const char*, std::vector<std::byte>>>;

inline std::vector<std::byte> bytes_of(std::string_view text) {
  const auto* from = reinterpret_cast<const std::byte*>(text.data());
  return {from, from + text.size()};
}

inline void write_text(const fs::path& path, const MakeOptions& options) {
  plume::AtomicFile file(path.string());
  for (index_t i = 0; i < options.texts; ++i) {
    const std::string text =
        model_text(options.seed, static_cast<std::uint64_t>(i), options.tags) + "<|endoftext|>\n";
    file.write(text.data(), text.size());
  }
  file.commit();
}

/// A picture of the sets that are held out.
struct HeldOut {
  Scene scene;
  bool query = false;
  index_t id = 0;

  [[nodiscard]] std::string folder() const { return query ? "val2014" : "train2014"; }
  [[nodiscard]] std::string file() const {
    return numbered(plume::cat("COCO_", folder(), "_"), id, 12, ".jpg");
  }
};

/// Demonstrations, then queries, of which every second is of a combination that is kept back.
inline std::vector<HeldOut> held_out(const MakeOptions& options) {
  std::vector<HeldOut> out;
  const auto scene = [&](Part part, index_t i) {
    return draw_scene(options.seed, part, static_cast<std::uint64_t>(i));
  };
  for (index_t i = 0; i < options.demonstrations; ++i)
    out.push_back({scene(Part::demonstrations, i), false, i + 1});
  for (index_t i = 0; i < options.held_out; ++i) {
    const Part part = i % 2 == 0 ? Part::known_queries : Part::new_queries;
    out.push_back({scene(part, i / 2), true, options.demonstrations + i + 1});
  }
  return out;
}

inline void write_captions(const fs::path& folder, const std::vector<HeldOut>& pictures,
                           const Names& names) {
  Json split = Json::array(), images = Json::array(), annotations = Json::array();
  for (const HeldOut& picture : pictures) {
    const std::string text = caption(picture.scene.content, evaluated_dialect, names);
    const Json sentence = {
        {"raw", text}, {"tokens", words_of(text)}, {"imgid", picture.id}, {"sentid", picture.id}};
    split.push_back({{"filepath", picture.folder()},
                     {"filename", picture.file()},
                     {"split", picture.query ? "test" : "train"},
                     {"imgid", picture.id},
                     {"cocoid", picture.id},
                     {"sentids", Json::array({picture.id})},
                     {"sentences", Json::array({sentence})}});
    if (!picture.query) continue;
    images.push_back({{"id", picture.id}, {"file_name", picture.file()}});
    annotations.push_back({{"id", picture.id}, {"image_id", picture.id}, {"caption", text}});
  }
  plume::write_whole((folder / "karpathy.json").string(),
                     plume::io::print_json(Json{{"dataset", "coco"}, {"images", split}}));
  plume::write_whole((folder / "annotations.json").string(),
                     plume::io::print_json(Json{{"images", images}, {"annotations", annotations}}));
}

/// One question about each picture, with the ten equal answers that the published form asks for.
inline void write_questions(const fs::path& folder, const std::vector<HeldOut>& pictures,
                            const Names& names) {
  for (const bool query : {false, true}) {
    Json questions = Json::array(), annotations = Json::array();
    for (const HeldOut& picture : pictures) {
      if (picture.query != query) continue;
      plume::Generator talk = picture.scene.talk;
      const Question question = draw_question(picture.scene.content, talk);
      const std::string right = answer(picture.scene.content, question, names);
      Json answers = Json::array();
      for (int k = 1; k <= 10; ++k)
        answers.push_back({{"answer", right}, {"answer_confidence", "yes"}, {"answer_id", k}});
      questions.push_back(
          {{"image_id", picture.id}, {"question", text_of(question)}, {"question_id", picture.id}});
      annotations.push_back({{"image_id", picture.id},
                             {"question_id", picture.id},
                             {"question_type", text_of(question)},
                             {"answer_type", question == Question::how_many ? "number" : "other"},
                             {"multiple_choice_answer", right},
                             {"answers", answers}});
    }
    const std::string part = query ? "val" : "train";
    plume::write_whole((folder / (part + "_questions.json")).string(),
                       plume::io::print_json(Json{{"questions", questions}}));
    plume::write_whole((folder / (part + "_annotations.json")).string(),
                       plume::io::print_json(Json{{"annotations", annotations}}));
  }
}

inline std::string shard_names(const std::string& prefix, index_t count, index_t a_shard) {
  const index_t last = (count - 1) / a_shard;
  return plume::cat(prefix, "{000000..", numbered("", last, 6, "}.tar"));
}

inline Json description(const MakeOptions& options) {
  Json kept_back = Json::array(), captions = Json::object(), questions = Json::object();
  for (index_t c = 0; c < combinations; ++c)
    if (is_kept_back(options.seed, c)) kept_back.push_back(c);
  for (const index_t shots : {0, 2, 4, 8, 16, 32}) {
    captions[std::to_string(shots)] = 100 * best_naming(shots);
    questions[std::to_string(shots)] = 100 * best_answers(shots);
  }
  return {
      {"seed", options.seed},
      {"side", options.side},
      {"pairs", options.pairs},
      {"documents", options.documents},
      {"texts", options.texts},
      {"tags", options.tags},
      {"demonstrations", options.demonstrations},
      {"held_out", options.held_out},
      {"pair_shards", shard_names("pairs-", options.pairs, options.pairs_a_shard)},
      {"document_shards", shard_names("documents-", options.documents, options.documents_a_shard)},
      {"flip", false},
      {"dialect", evaluated_dialect},
      {"cloth_names", held_out_names(options.seed)},
      {"attributes",
       {{"shape", shape_words},
        {"digit", digit_words},
        {"colour", colour_words},
        {"count", count_words},
        {"place", place_words},
        {"cloth", cloth_words}}},
      {"words", vocabulary()},
      {"combinations", combinations},
      {"combinations_kept_back", kept_back},
      {"best",
       {{"content", 100}, {"names_by_shots", captions}, {"questions_by_shots", questions}}}};
}

/// Leaves nothing of a world that was in `root`, but what was trained on it. Throws ValueError where there is
/// something else.
inline void clear(const fs::path& root) {
  fs::create_directories(root);
  if (!fs::exists(root / "world.json") && !fs::is_empty(root))
    plume::fail<plume::ValueError>("world", "an empty folder or one with a world", root.string());
  plume::write_whole((root / "world.json").string(),
                     plume::io::print_json(Json{{"unfinished", true}}) + "\n");
  for (const char* set : {"coco", "vqav2"}) fs::remove_all(root / set);
  std::vector<fs::path> shards;
  for (const auto& entry : fs::directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if ((name.starts_with("pairs-") || name.starts_with("documents-")) && name.ends_with(".tar"))
      shards.push_back(entry.path());
  }
  for (const fs::path& shard : shards) fs::remove(shard);
}

}  // namespace detail

/// Makes the world in `folder`, in place of one that is there. Throws ValueError where something is to be made 0 times
/// or the folder holds something else, std::system_error where it cannot be written.
inline void make_world(const std::string& folder, const MakeOptions& options) {
  using detail::fs::path;
  for (const index_t count :
       {options.pairs, options.documents, options.texts, options.demonstrations, options.held_out,
        options.side, options.pairs_a_shard, options.documents_a_shard}) {
    if (count < 1) plume::fail<plume::ValueError>("world", "at least 1 of everything", count);
  }
  const path root = folder;
  detail::clear(root);
  for (const char* sub :
       {"coco/train2014", "coco/val2014", "vqav2/train2014", "vqav2/val2014", "model/tokenizer"})
    detail::fs::create_directories(root / sub);
  plume::write_whole((root / "model/tokenizer/tokenizer.json").string(),
                     plume::io::print_json(tokenizer_json()));
  plume::write_whole((root / "model/tokenizer/tokenizer_config.json").string(),
                     plume::io::print_json(tokenizer_config()));
  detail::write_text(root / "text.txt", options);
  detail::write_shards(root, "pairs-", options.pairs, options.pairs_a_shard, [&](index_t i) {
    Scene scene = draw_scene(options.seed, Part::pairs, static_cast<std::uint64_t>(i));
    const std::string text = caption(scene.content, scene.talk.below(dialects));
    return detail::Files{{".jpg", jpeg(draw(scene, options.side))},
                         {".txt", detail::bytes_of(text)}};
  });
  detail::write_shards(
      root, "documents-", options.documents, options.documents_a_shard, [&](index_t i) {
        const auto made = document(options.seed, static_cast<std::uint64_t>(i), options.side);
        return detail::Files{{".json", detail::bytes_of(plume::io::print_json(made))}};
      });
  const std::vector<detail::HeldOut> pictures = detail::held_out(options);
  detail::in_order(
      static_cast<index_t>(pictures.size()),
      [&](index_t i) {
        return jpeg(draw(pictures[static_cast<std::size_t>(i)].scene, options.side));
      },
      [&](index_t i, const std::vector<std::byte>& file) {
        const detail::HeldOut& picture = pictures[static_cast<std::size_t>(i)];
        for (const char* set : {"coco", "vqav2"})
          plume::write_whole((root / set / picture.folder() / picture.file()).string(),
                             plume::data::characters(file));
      });
  const Names names = held_out_names(options.seed);
  detail::write_captions(root / "coco", pictures, names);
  detail::write_questions(root / "vqav2", pictures, names);
  plume::write_whole((root / "world.json").string(),
                     plume::io::print_json(detail::description(options), 2) + "\n");
}

}  // namespace world
