#include <doctest/doctest.h>

#include <set>

#include "examples/world/score.hpp"
#include "examples/world/write.hpp"
#include "plume/data/loader.hpp"
#include "plume/data/shard_list.hpp"
#include "plume/eval/benchmarks.hpp"
#include "plume/image/decode.hpp"
#include "tests/support/folder.hpp"

// The generated world of the demo: what is drawn is what is said, what is said can be read back, and its files are
// those that training and evaluation read.

using namespace plume;
using world::Content;
using world::Part;

namespace {

constexpr std::uint64_t seed = 5;

/// A small world, made once.
const test::Folder& made() {
  static const test::Folder folder;
  static const bool once = [] {
    world::MakeOptions options;
    options.seed = seed;
    options.pairs = 70;
    options.documents = 90;
    options.texts = 40;
    options.demonstrations = 12;
    options.held_out = 40;
    options.pairs_a_shard = 30;
    options.documents_a_shard = 50;
    world::make_world(folder.path.string(), options);
    return true;
  }();
  REQUIRE(once);
  return folder;
}

text::Tokenizer tokenizer() { return text::Tokenizer::load(made().file("model/tokenizer")); }

std::string bytes_of_file(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A point of the figure's inside, from its centre in its radii.
std::array<double, 2> inside(index_t thing) {
  if (thing == 4) return {0.74, 0};
  if (thing < world::shapes) return {0, 0};
  return {thing == world::shapes + 2 ? -0.5 : 0.5,
          0.42};  // the lower strokes: 2 has the left one alone
}

/// The colour whose value is nearest to the pixel in the middle of the figure.
index_t colour_at(const image::Picture& picture, const world::Figure& figure) {
  const auto [dx, dy] = inside(figure.thing);
  const auto pixel = [&](double at) {
    return static_cast<index_t>(at * static_cast<double>(picture.width));
  };
  const index_t row = pixel(figure.y + dy * figure.radius);
  const index_t column = pixel(figure.x + dx * figure.radius);
  const auto* at = picture.bytes.data() + (row * picture.width + column) * 3;
  index_t best = 0;
  double least = 1e9;
  for (index_t c = 0; c < world::colours; ++c) {
    double distance = 0;
    for (std::size_t i = 0; i < 3; ++i) {
      const double d = at[i] - world::colour_values[static_cast<std::size_t>(c)][i];
      distance += d * d;
    }
    if (distance < least) {
      least = distance;
      best = c;
    }
  }
  return best;
}

/// Whether all figures of the scene are there, in its colour.
bool shows(const image::Picture& picture, const world::Scene& scene) {
  const world::Look look = world::look_of(scene);
  if (static_cast<index_t>(look.figures.size()) != scene.content.count) return false;
  return std::all_of(look.figures.begin(), look.figures.end(), [&](const world::Figure& figure) {
    return colour_at(picture, figure) == scene.content.colour;
  });
}

data::Losses read_all(const std::string& shards, const data::Maker& make) {
  data::SourceOptions source;
  source.shards = data::expand_shards(made().file(shards));
  source.sampling = data::Sampling::once;
  data::Loader loader(source, make);
  while (loader.next()) {
  }
  return loader.losses();
}

TEST_CASE("world: every caption of every scene is read back, in every dialect") {
  std::set<std::string> seen;
  for (index_t c = 0; c < world::combinations; ++c) {
    for (index_t cloth = 0; cloth < world::cloths; ++cloth) {
      Content content = world::content_at(c, cloth);
      REQUIRE(world::combination(content) == c);
      for (const world::Names& names : {world::no_names, world::held_out_names(seed)}) {
        for (index_t dialect = 0; dialect < world::dialects; ++dialect) {
          const std::string text = world::caption(content, dialect, names);
          const auto read = world::content_of(" " + text + "\n");
          REQUIRE_MESSAGE(read, text);
          REQUIRE(read->content == content);
          REQUIRE(read->name == names[static_cast<std::size_t>(cloth)]);
          REQUIRE(seen.insert(text).second);
        }
      }
    }
  }
  CHECK_THROWS_AS(world::caption({}, world::dialects), ValueError);
}

TEST_CASE("world: what is no caption is not taken for one") {
  for (const char* text :
       {"", "two red circles", "two red circle on the left over stripes",
        "two red blue circles on the left over stripes", "two red circles on the left over",
        "two red circles on the left over stripes over dots",
        "five red circles on the left over stripes", "two red circles on the left over dax",
        "two red circles on the left over stripes dax wug",
        "a red digit seven on the left over stripes Output", "red circles, two, left"}) {
    CHECK_MESSAGE(!world::content_of(text), text);
  }
  const world::Told told = world::told_by("two red blue circle, left");
  CHECK(told.thing == 0);
  CHECK(told.count == 2);
  CHECK(told.place == 0);
  CHECK(!told.colour);
}

TEST_CASE(
    "world: a scene is its number's alone, and training shows no combination that is kept back") {
  index_t kept_back = 0;
  for (index_t c = 0; c < world::combinations; ++c) kept_back += world::is_kept_back(seed, c);
  CHECK(kept_back > world::combinations / 15);
  CHECK(kept_back < world::combinations / 7);
  for (const Part part : {Part::pairs, Part::documents, Part::strays, Part::text,
                          Part::demonstrations, Part::known_queries, Part::new_queries}) {
    std::set<index_t> combinations;
    for (std::uint64_t i = 0; i < 300; ++i) {
      const world::Scene scene = world::draw_scene(seed, part, i);
      const index_t c = world::combination(scene.content);
      CHECK(world::is_kept_back(seed, c) == (part == Part::new_queries));
      combinations.insert(c);
      const world::Scene again = world::draw_scene(seed, part, i);
      CHECK(again.content == scene.content);
      CHECK(again.look.state() == scene.look.state());
    }
    CHECK(combinations.size() > 80);
  }
  CHECK(world::jpeg(world::draw(world::draw_scene(seed, Part::pairs, 0), 64)) !=
        world::jpeg(world::draw(world::draw_scene(seed + 1, Part::pairs, 0), 64)));
}

TEST_CASE("world: a picture's file shows each thing in its colour") {
  for (const index_t side : {48, 64, 96}) {
    for (std::uint64_t i = 0; i < 150; ++i) {
      const world::Scene scene = world::draw_scene(seed, Part::pairs, i);
      const image::Picture picture = image::decode("scene", world::jpeg(world::draw(scene, side)));
      REQUIRE(picture.width == side);
      CHECK_MESSAGE(shows(picture, scene), world::caption(scene.content, 0));
    }
  }
}

TEST_CASE("world: cloths differ by more than noise") {
  world::Scene scene = world::draw_scene(seed, Part::pairs, 0);
  for (index_t a = 0; a < world::cloths; ++a) {
    for (index_t b = 0; b < a; ++b) {
      scene.content.cloth = a;
      const image::Picture one = world::draw(scene, 64);
      scene.content.cloth = b;
      const image::Picture other = world::draw(scene, 64);
      double sum = 0;
      for (std::size_t i = 0; i < one.bytes.size(); ++i)
        sum += std::abs(one.bytes[i] - other.bytes[i]);
      CHECK(sum / static_cast<double>(one.bytes.size()) > 12);
    }
  }
}

TEST_CASE("world: every document survives, with each picture at what is said about it") {
  const text::Tokenizer words = tokenizer();
  std::size_t alone = 0, strays = 0;
  for (std::uint64_t i = 0; i < 120; ++i) {
    const io::Json json = world::document(seed, i, 64);
    data::Record record{"shard", "page"};
    const std::string text = json.dump();
    const auto* bytes = reinterpret_cast<const std::byte*>(text.data());
    record.files.emplace_back("json", data::FileBytes(bytes, bytes + text.size()));
    const data::Sample sample = data::make_document(record, words, 0.9);
    const bool generated = json.contains("is_gpt");
    CHECK(generated == (i % 8 == 7));
    const std::size_t pictures = sample.pictures.size();
    alone += pictures == 1 ? 1 : 0;
    if (!generated) strays += json["image_info"].size() - pictures;
    const auto most = static_cast<index_t>(pictures == 1 ? 1 : 6);
    const world::Page page =
        world::draw_page(seed, Part::documents, i, pictures == 1 ? 1 : 2, most);
    REQUIRE(page.turns.size() == pictures);
    std::string expected = page.title;
    for (std::size_t k = 0; k < pictures; ++k) {
      expected += (k == 0 ? "" : "<|endofchunk|>") + ("<image>" + page.turns[k].said);
      CHECK(shows(sample.pictures[k].pixels, page.turns[k].scene));
    }
    CHECK(sample.text == expected + "<|endofchunk|><|endoftext|>");
    CHECK(sample.ids.size() < 128);
    CHECK(words.decode(sample.ids) == sample.text);
  }
  CHECK(alone > 0);
  CHECK(strays > 0);
}

TEST_CASE("world: shards are read whole, and lose only what the recipe leaves out") {
  const text::Tokenizer words = tokenizer();
  const data::Losses pairs = read_all("pairs-{000000..000002}.tar", data::pair_maker(words));
  CHECK(pairs.emitted_count() == 70);
  CHECK(pairs.dropped_count() == 0);
  const data::Losses documents =
      read_all("documents-{000000..000001}.tar", data::document_maker(words));
  CHECK(documents.seen() == 90);
  CHECK(documents.damaged() == 0);
  CHECK(documents.emitted_count() > 75);
  const io::Json world = io::read_json(made().file("world.json"));
  CHECK(world["pair_shards"] == "pairs-{000000..000002}.tar");
  CHECK(world["document_shards"] == "documents-{000000..000001}.tar");
}

TEST_CASE("world: made twice it is the same, byte for byte") {
  const test::Folder first, second;
  world::MakeOptions options;
  options.pairs = options.documents = options.texts = 9;
  options.demonstrations = options.held_out = 3;
  world::make_world(first.path.string(), options);
  world::make_world(second.path.string(), options);
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(first.path)) {
    if (!entry.is_regular_file()) continue;
    ++files;
    const auto name = std::filesystem::relative(entry.path(), first.path);
    CHECK_MESSAGE(bytes_of_file(entry.path()) == bytes_of_file(second.path / name), name.string());
  }
  CHECK(files == 24);
  // Over a larger one, nothing of that is left.
  options.pairs_a_shard = 2;
  world::make_world(second.path.string(), options);
  options.pairs_a_shard = 1'000;
  world::make_world(second.path.string(), options);
  std::size_t again = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(second.path))
    again += entry.is_regular_file() ? 1 : 0;
  CHECK(again == files);
  const test::Folder other;
  const std::string kept = other.put("coco/picture.jpg", "mine");
  CHECK_THROWS_AS(world::make_world(other.path.string(), options), ValueError);
  CHECK(bytes_of_file(kept) == "mine");
  options.held_out = 0;
  CHECK_THROWS_AS(world::make_world(first.path.string(), options), ValueError);
}

TEST_CASE("world: each of its words is one token, alone and after a space") {
  const text::Tokenizer words = tokenizer();
  const std::vector<std::string> all = world::vocabulary();
  CHECK(all.size() < 400);
  for (const std::string& word : all) {
    CHECK_MESSAGE(words.encode(word).size() == 1, word);
    CHECK_MESSAGE(words.encode(" " + word).size() == 1, word);
  }
  CHECK(words.encode("Output:two red circles on the left over stripes dax").size() == 11);
  // Nothing of the texts is spelt letter by letter.
  const std::set<std::string> known(all.begin(), all.end());
  for (std::uint64_t i = 0; i < 200; ++i) {
    for (const bool tags : {false, true}) {
      const std::string text = world::model_text(seed, i, tags);
      CHECK(words.decode(words.encode(text)) == text);
      text::split_words(text, [&](std::string_view word) {
        if (word.front() == ' ') word.remove_prefix(1);
        const bool letters = word.front() >= 'A';
        if (letters && word != "[" && word.find_first_of("]<>|") == std::string_view::npos &&
            word != "image" && word != "endofchunk")
          CHECK_MESSAGE(known.count(std::string(word)) == 1, word);
      });
    }
  }
}

TEST_CASE(
    "world: the held-out sets are read as the published ones, and the right answers score 100 %") {
  const std::filesystem::path root = made().path;
  const auto queries =
      eval::read_captions(eval::CaptionSet::coco, root / "coco/karpathy.json",
                          {root / "coco/train2014", root / "coco/val2014"}, "test");
  const auto shots = eval::read_captions(eval::CaptionSet::coco, root / "coco/karpathy.json",
                                         {root / "coco/train2014", root / "coco/val2014"}, "train");
  REQUIRE(queries.size() == 40);
  REQUIRE(shots.size() == 12);
  std::string right, wrong;
  for (const eval::CaptionSample& sample : queries) {
    CHECK(std::filesystem::is_regular_file(sample.image));
    const auto line = [&](const std::string& said) {
      return io::Json{{"image", sample.image.string()}, {"prediction", said}}.dump() + "\n";
    };
    right += line(" " + sample.caption);
    Content other = world::content_of(sample.caption)->content;
    other.colour = (other.colour + 1) % world::colours;
    wrong += line(world::caption(other, 1, world::held_out_names(seed)));
  }
  const test::Folder folder;
  const std::string world = root.string();
  const auto of = [&](const std::string& lines) {
    return world::score(root.string(), folder.put("predictions.jsonl", lines)).at(0);
  };
  const world::Score all = of(right);
  CHECK(all.all.captions == 40);
  CHECK(all.known.captions == 20);
  CHECK(all.kept_back.captions == 20);
  CHECK(all.all.content == 40);
  CHECK(all.all.both == 40);
  const world::Score none = of(wrong);
  CHECK(none.all.content == 0);
  CHECK(none.all.colour == 0);
  CHECK(none.all.thing == 40);
  CHECK(none.all.cloth == 40);
  CHECK(none.all.name == 40);
  CHECK_THROWS_AS(of(""), FormatError);
  CHECK_THROWS_AS(of(R"({"image": "x.jpg", "prediction": "a"})"), FormatError);

  const std::string annotations = (root / "vqav2/val_annotations.json").string();
  const auto questions = eval::read_questions(
      eval::VqaSet::vqav2, root / "vqav2/val_questions.json", annotations, root / "vqav2/val2014");
  REQUIRE(questions.size() == 40);
  io::Json results = io::Json::array();
  for (const eval::VqaSample& sample : questions) {
    CHECK(std::filesystem::is_regular_file(sample.image));
    results.push_back({{"question_id", sample.id}, {"answer", sample.answers.front()}});
  }
  const io::Json known = io::read_json(annotations);
  const text::Field truth("annotations", known), said("results", results);
  CHECK(eval::vqa_accuracy(truth, said).overall == 100);
  std::string lines;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    const std::string answer = i < 30 ? " " + questions[i].answers.front() : "nothing";
    lines += io::Json{{"benchmark", "vqav2"},
                      {"shots", 4},
                      {"image", questions[i].image.string()},
                      {"prediction", answer},
                      {"truth", known["annotations"][i]}}
                 .dump() +
             "\n";
  }
  const auto by_shots = world::score(root.string(), folder.put("answers.jsonl", lines));
  CHECK(by_shots.at(4).answers.asked == 40);
  CHECK(by_shots.at(4).answers.right == 30);
  CHECK(by_shots.at(4).by_question.at("What cloth?").asked > 12);
}

TEST_CASE("world: an evaluation finds the sets below the world's folder, with their truth") {
  const auto read = [](const char* name) {
    const eval::Benchmark& b = eval::benchmark(name);
    return eval::read_benchmark(b, eval::benchmark_paths(b, {}, made().path));
  };
  const auto coco = std::get<eval::BenchmarkData<eval::CaptionSample>>(read("coco"));
  REQUIRE(coco.test.size() == 40);
  CHECK(coco.train.size() == 12);
  const auto vqa = std::get<eval::BenchmarkData<eval::VqaSample>>(read("vqav2"));
  REQUIRE(vqa.test.size() == 40);
  CHECK(vqa.train.size() == 12);
  for (std::size_t i = 0; i < 40; ++i) {
    CHECK(coco.truth[i]["references"] == io::Json::array({coco.test[i].caption}));
    CHECK(vqa.truth[i]["question_type"] == vqa.test[i].question);
    CHECK(vqa.truth[i]["answers"].size() == 10);
  }
}

TEST_CASE("world: the best possible naming, against counting") {
  CHECK(world::best_naming(0) == world::best_naming(2));
  CHECK(world::best_naming(1) == doctest::Approx(0.25 + 0.75 / 15));
  CHECK(world::best_naming(1, 0) == doctest::Approx(1.0 / 16));
  // All 4^3 ways of three demonstrations, for the query's cloth 0.
  double sum = 0;
  for (int way = 0; way < 64; ++way) {
    const std::set<int> shown{way % 4, way / 4 % 4, way / 16};
    sum += shown.count(0) == 1 ? 1 : 1.0 / (16 - static_cast<double>(shown.size()));
  }
  CHECK(world::best_naming(3) == doctest::Approx(sum / 64));
  CHECK(world::best_naming(32) > 0.99);
}

}  // namespace
