#include "plume/data/loader.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <set>

#include "plume/data/mixture.hpp"
#include "plume/data/preflight.hpp"
#include "plume/data/shard_list.hpp"
#include "plume/data/tar_writer.hpp"
#include "tests/support/folder.hpp"

// The sequence of samples: the same for every number of threads, different for every seed and rank, restored exactly;
// and what becomes of what is damaged.

using namespace plume;
using namespace plume::data;
namespace fs = std::filesystem;

namespace {

using Files = std::vector<std::pair<std::string, std::string>>;

/// A tar of these files, as bytes.
std::string tar_of(const Files& files) {
  const test::Folder folder;
  const std::string path = folder.file();
  TarWriter tar(path);
  for (const auto& [name, bytes] : files) tar.add(name, bytes);
  tar.commit();
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// `count` shards of `records` records, each with one text that is its name.
std::vector<std::string> make_shards(const test::Folder& folder, int count, int records) {
  std::vector<std::string> out;
  for (int s = 0; s < count; ++s) {
    Files files;
    for (int r = 0; r < records; ++r) files.emplace_back(cat("r", r, ".txt"), cat("s", s, "r", r));
    out.push_back(folder.put(cat("shard", s, ".tar"), tar_of(files)));
  }
  return out;
}

/// A sample is the text of a record; those whose text ends in 3 are dropped. Some take longer than others.
Sample text_maker(Record record, double uniform) {
  if (!record.problem.empty()) throw Drop(record.problem);
  const FileBytes* file = record.find("txt");
  if (file == nullptr) throw Drop("no text");
  Sample out{record.shard, record.key, std::string(characters(*file))};
  if (out.text.ends_with('3')) throw Drop("three", Drop::Kind::rule);
  if (out.text.ends_with('5')) std::this_thread::sleep_for(std::chrono::microseconds(300));
  out.text += cat(" ", uniform < 0.5 ? "low" : "high");
  return out;
}

std::vector<std::string> take(Loader& loader, std::size_t count) {
  std::vector<std::string> out;
  while (out.size() < count) {
    auto sample = loader.next();
    if (!sample) break;
    out.push_back(sample->text);
  }
  return out;
}

SourceOptions options_of(std::vector<std::string> shards, Sampling sampling, std::size_t shuffle) {
  SourceOptions out;
  out.shards = std::move(shards);
  out.sampling = sampling;
  out.seed = 11;
  out.shuffle = shuffle;
  return out;
}

constexpr std::size_t everything = 1U << 20;

TEST_CASE("loader: one sequence, whatever the number of threads") {
  const test::Folder folder;
  const auto shards = make_shards(folder, 7, 23);
  for (const Sampling sampling : {Sampling::resampled, Sampling::shuffled}) {
    const SourceOptions source = options_of(shards, sampling, 40);
    std::vector<std::string> expected;
    io::Json state;
    for (const std::size_t threads : {0U, 1U, 2U, 4U}) {
      Loader loader(source, text_maker, {.threads = threads, .ahead = 5});
      const auto got = take(loader, 400);
      if (threads == 0) {
        expected = got;
        state = loader.state();
      }
      CHECK(got == expected);
      CHECK(loader.state() == state);
      const Losses& losses = loader.losses();
      CHECK(losses.seen() == losses.emitted_count() + losses.dropped_count());
      CHECK(losses.emitted_count() == 400);
    }
    auto other = source;
    other.seed = 12;
    Loader of_seed(other, text_maker);
    CHECK(take(of_seed, 400) != expected);
    other = source;
    other.world = 2;
    other.rank = 1;
    Loader of_rank(other, text_maker);
    CHECK(take(of_rank, 400) != expected);
    other = source;
    other.stream = 1;
    Loader of_stream(other, text_maker);
    CHECK(take(of_stream, 400) != expected);
  }
}

TEST_CASE("loader: ranks share an epoch, each sample once") {
  const test::Folder folder;
  const auto shards = make_shards(folder, 6, 10);
  for (const Sampling sampling : {Sampling::once, Sampling::shuffled}) {
    std::multiset<std::string> seen;
    for (std::uint64_t rank = 0; rank < 3; ++rank) {
      SourceOptions source = options_of(shards, sampling, 5);
      source.rank = rank;
      source.world = 3;
      Loader loader(source, text_maker);
      for (std::string text : take(loader, 2 * 9)) seen.insert(text.substr(0, text.find(' ')));
      if (sampling == Sampling::once) CHECK(!loader.next());
      if (sampling == Sampling::once) CHECK(!loader.next());
    }
    CHECK(seen.size() == 54);
    CHECK(std::set<std::string>(seen.begin(), seen.end()).size() == 54);
  }
}

TEST_CASE("loader: its state goes on exactly, from every position and with other threads") {
  const test::Folder folder;
  auto shards = make_shards(folder, 5, 12);
  shards.push_back(folder.put("page.tar", "<html>not found</html>"));
  shards.push_back(folder.put("empty.tar", tar_of({})));
  const LossLimits loose{.most_damage = 1};
  for (const Sampling sampling : {Sampling::resampled, Sampling::shuffled}) {
    for (const std::size_t shuffle : {1U, 12U, 17U}) {
      SourceOptions source = options_of(shards, sampling, shuffle);
      if (shuffle == 17) source.shuffle_bytes = 30;  // less than 17 records of 4 or 5 bytes
      Loader whole(source, text_maker, {.threads = 0, .limits = loose});
      const auto expected = take(whole, 160);
      Loader resumed(source, text_maker, {.threads = 2, .ahead = 9, .limits = loose});
      Loader walker(source, text_maker, {.threads = 0, .limits = loose});
      for (std::size_t at = 0; at < 60; ++at) {
        resumed.set_state(io::Json::parse(walker.state().dump()));
        const auto got = take(resumed, 40);
        CHECK(
            std::equal(got.begin(), got.end(), expected.begin() + static_cast<std::ptrdiff_t>(at)));
        take(walker, 1);
      }
      take(resumed, 160 - 59 - 40);
      CHECK(resumed.state() == whole.state());
    }
  }
  Loader loader(options_of(shards, Sampling::resampled, 4), text_maker);
  Loader other(options_of(shards, Sampling::resampled, 5), text_maker);
  CHECK_THROWS_AS(other.set_state(loader.state()), ValueError);
}

TEST_CASE("loader: a shard cut at every block obeys seen = emitted + dropped") {
  const test::Folder folder;
  Files files;
  for (int r = 0; r < 6; ++r) {
    files.emplace_back(cat("r", r, ".txt"), std::string(static_cast<std::size_t>(r * 300), 'x'));
    files.emplace_back(cat("r", r, ".jpg"), std::string(700, 'y'));
  }
  const std::string whole = tar_of(files);
  const auto both = [](Record record, double) {
    if (!record.problem.empty()) throw Drop(record.problem);
    if (record.find("txt") == nullptr || record.find("jpg") == nullptr) throw Drop("half");
    return Sample{record.shard, record.key, "whole"};
  };
  std::uint64_t before = 0;
  for (std::size_t bytes = 0; bytes <= whole.size(); bytes += 256) {
    const std::string path = folder.put("cut.tar", whole.substr(0, bytes));
    Loader loader(options_of({path}, Sampling::once, 1), both, {.threads = 2});
    while (loader.next()) {
    }
    const Losses& losses = loader.losses();
    INFO(bytes, losses.summary());
    CHECK(losses.seen() == losses.emitted_count() + losses.dropped_count());
    CHECK(losses.seen() >= 1);
    CHECK(losses.emitted_count() >= before);
    before = losses.emitted_count();
  }
  CHECK(before == 6);
}

TEST_CASE("loader: too much damage stops the run and names the worst shards") {
  const test::Folder folder;
  auto shards = make_shards(folder, 8, 20);
  shards[2] = folder.put("broken.tar", tar_of({{"a.jpg", "x"}, {"b.jpg", "x"}}));
  shards[5] = folder.put("none.tar", "");
  const SourceOptions source = options_of(shards, Sampling::shuffled, 1);
  Loader strict(source, text_maker, {.limits = {.most_damage = 0.01, .after = 400}});
  std::string what;
  try {
    take(strict, everything);
  } catch (const DataLossError& error) {
    what = error.what();
  }
  CHECK(what.find("broken.tar (") != std::string::npos);
  CHECK(what.find("none.tar (") != std::string::npos);
  CHECK(what.find("no text: ") != std::string::npos);
  CHECK(what.find("shard: an empty file: ") != std::string::npos);
  Loader loose(source, text_maker, {.limits = {.most_damage = 0.1, .after = 100}});
  CHECK(take(loose, 500).size() == 500);
  // What the recipe leaves out is no damage, but nothing else for ever is an error too.
  const auto never = [](Record, double) -> Sample { throw Drop("never", Drop::Kind::rule); };
  Loader fruitless(source, never, {.limits = {.most_damage = 1, .fruitless = 300}});
  CHECK_THROWS_AS(fruitless.next(), DataLossError);
}

TEST_CASE("loader: an error of the maker reaches who asks; a stalled reader is named") {
  const test::Folder folder;
  const auto shards = make_shards(folder, 1, 4);
  const SourceOptions source = options_of(shards, Sampling::once, 1);
  const auto broken = [](Record, double) -> Sample { throw std::out_of_range("a bug"); };
  Loader loader(source, broken);
  CHECK_THROWS_AS(loader.next(), std::out_of_range);

  std::atomic<bool> go = false;
  std::string named;
  LoaderOptions options{.threads = 1, .stall_seconds = 0.02};
  options.stalled = [&](const std::string& what) {
    named = what;
    go = true;
  };
  Loader slow(
      source,
      [&](Record record, double uniform) {
        while (!go) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        return text_maker(std::move(record), uniform);
      },
      options);
  CHECK(slow.next());
  CHECK(named.find("reader 0 is making r0 of") != std::string::npos);
  CHECK(named.find("shard0.tar") != std::string::npos);
}

TEST_CASE("mixture: two pairs for each document, and tensors of them") {
  const std::string golden = "tests/golden/data/";
  const text::Tokenizer tokenizer = text::Tokenizer::load(golden + "tokenizer");
  const LoaderOptions options{
      .threads = 2, .ahead = 8, .image_size = 16, .limits = {.most_damage = 1}};
  const auto source = [&](const char* shard, std::uint64_t stream) {
    SourceOptions out = options_of({golden + shard}, Sampling::resampled, 8);
    out.stream = stream;
    return out;
  };
  Loader pairs(source("pairs-000000.tar", 0), pair_maker(tokenizer), options);
  Loader documents(source("documents-000000.tar", 1), document_maker(tokenizer), options);
  Mixture mixture(pairs, documents, 3);
  mixture.next();
  const io::Json state = mixture.state();
  const auto step = mixture.next();
  CHECK(step.pairs.size() == 6);
  CHECK(step.documents.size() == 3);
  const Specials specials = Specials::of(tokenizer);
  const auto batch = collate(step.documents, Stream::documents, specials, 6, 256);
  CHECK(batch.ids.shape() == Shape{3, 256});
  CHECK(batch.images.shape() == Shape{3, 6, 1, 3, 16, 16});
  CHECK(collate(step.pairs, Stream::pairs, specials, 1).ids.size(1) <= 32);
  CHECK_THROWS_AS(collate(step.documents, Stream::documents, specials, 6, 5), ValueError);
  mixture.set_state(state);
  const auto again = collate(mixture.next().documents, Stream::documents, specials, 6, 256);
  const auto same = [](const auto& a, const auto& b) {
    return std::equal(a.data(), a.data() + a.numel(), b.data(), b.data() + b.numel());
  };
  CHECK(same(again.ids, batch.ids));
  CHECK(same(again.labels, batch.labels));
  CHECK(same(again.mask, batch.mask));
  CHECK(same(again.images, batch.images));
}

TEST_CASE("preflight: every problem of a list of shards in a sentence") {
  const test::Folder folder;
  auto shards = make_shards(folder, 2, 1);
  SourceOptions source = options_of(shards, Sampling::shuffled, 1);
  source.world = 2;
  CHECK(preflight(source).empty());
  CHECK_NOTHROW(require_preflight(source));
  source.world = 6;
  source.shards.push_back(folder.put("page.tar", "<html>"));
  source.shards.push_back(folder.put("empty.tar", tar_of({})));
  source.shards.push_back((folder.path / "missing.tar").string());
  const auto problems = preflight(source);
  REQUIRE(problems.size() == 4);
  CHECK(problems[0] == "5 shards for 6 ranks: each rank needs one of its own");
  CHECK(problems[1].ends_with("page.tar: shard: no tar"));
  CHECK(problems[2].ends_with("empty.tar: shard: no record"));
  CHECK(problems[3].ends_with("missing.tar: shard: no such file"));
  CHECK_THROWS_AS(require_preflight(source), FormatError);
}

TEST_CASE("expand_shards: braces, ranges, globs and lists") {
  using List = std::vector<std::string>;
  CHECK(expand_shards("a.tar") == List{"a.tar"});
  CHECK(expand_shards("{08..11}.tar") == List{"08.tar", "09.tar", "10.tar", "11.tar"});
  CHECK(expand_shards("{2..0}") == List{"2", "1", "0"});
  CHECK(expand_shards("{0..6..3}x") == List{"0x", "3x", "6x"});
  CHECK(expand_shards("{a,b{1..2}}/{x,y}") == List{"a/x", "a/y", "b1/x", "b1/y", "b2/x", "b2/y"});
  CHECK(expand_shards("p{,q}::r") == List{"p", "pq", "r"});
  for (const char* bad : {"", "a::", "{a", "{a}", "{1..}", "{0..99999999999}", "{1..5..0}",
                          "/nowhere-at-all/*.tar"}) {
    INFO(bad);
    CHECK_THROWS_AS(expand_shards(bad), ValueError);
  }
  const test::Folder folder;
  const auto shards = make_shards(folder, 3, 1);
  CHECK(expand_shards((folder.path / "*.tar").string()) == shards);
  CHECK(expand_shards((folder.path / "shard{0,2}*").string()) == List{shards[0], shards[2]});
  // The name of a file stands for that file, whatever signs and bytes it has.
  for (const char* name : {"a[x].tar", "a{b,c}.tar", "a::b.tar", "caf\xe9 '*'\n.tar", "{1..3}"}) {
    const std::string path = folder.put(name, "");
    CHECK(expand_shards(path) == List{path});
    if (std::string(name).find("::") == std::string::npos)
      CHECK(expand_shards(path + "::r") == List{path, "r"});
  }
  const std::string first = folder.put("run[1]/0.tar", ""), second = folder.put("run[1]/1.tar", "");
  CHECK(expand_shards(folder.file("run[1]/{0..1}.tar")) == List{first, second});
}

TEST_CASE("TarWriter: what it writes is read again; a name it cannot write is refused") {
  const test::Folder folder;
  const std::string path = (folder.path / "new.tar").string();
  const std::string longest(100, 'n');
  const Files files{{"a.txt", ""}, {"dir/b.txt", std::string(512, 'b')}, {longest, "c"}};
  {
    TarWriter tar(path);
    for (const auto& [name, bytes] : files) tar.add(name, bytes);
    CHECK_THROWS_AS(tar.add(longest + "n", "x"), ValueError);
    CHECK_THROWS_AS(tar.add("", "x"), ValueError);
    CHECK(!fs::exists(path));
    tar.commit();
  }
  CHECK(fs::file_size(path) == 512 * (3 + 2 + 2));
  Tar tar(path);
  for (const auto& [name, bytes] : files) {
    const auto member = tar.next();
    REQUIRE(member);
    CHECK(member->name == name);
    CHECK(characters(member->bytes) == bytes);
  }
  CHECK(!tar.next());
  TarWriter(path + ".never").add("a", "b");
  CHECK(!fs::exists(path + ".never"));
}

}  // namespace
