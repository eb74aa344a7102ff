#include "plume/data/mmc4.hpp"

#include <doctest/doctest.h>

#include "plume/data/documents.hpp"
#include "tests/support/folder.hpp"

// MMC4 as it is published, put together with its pictures, is what training reads.

using namespace plume;
using namespace plume::data;

namespace {

/// A zip of these files, compressed.
void write_zip(const std::string& path,
               const std::vector<std::pair<std::string, std::string>>& files) {
  archive* a = archive_write_new();
  REQUIRE(archive_write_set_format_zip(a) == ARCHIVE_OK);
  REQUIRE(archive_write_open_filename(a, path.c_str()) == ARCHIVE_OK);
  for (const auto& [name, bytes] : files) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, name.c_str());
    archive_entry_set_size(entry, static_cast<la_int64_t>(bytes.size()));
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    REQUIRE(archive_write_header(a, entry) == ARCHIVE_OK);
    REQUIRE(archive_write_data(a, bytes.data(), bytes.size()) ==
            static_cast<la_ssize_t>(bytes.size()));
    archive_entry_free(entry);
  }
  REQUIRE(archive_write_close(a) == ARCHIVE_OK);
  archive_write_free(a);
}

std::string document(const std::vector<std::string>& pictures) {
  io::Json out = {{"text_list", {"One.", "Two."}}, {"image_info", io::Json::array()}};
  for (const std::string& name : pictures) {
    out["image_info"].push_back({{"image_name", name}, {"raw_url", "https://example.org/x"}});
    out["similarity_matrix"].push_back({0.5, 0.25});
  }
  return out.dump();
}

std::string png() {
  std::ifstream in("tests/golden/images/files/rgb-61x47.png", std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

using Reasons = std::map<std::string, std::uint64_t>;

TEST_CASE("mmc4: documents get their pictures; what is missing is counted by reason") {
  const test::Folder folder;
  folder.put("pictures/a.png", png());
  folder.put("pictures/3/b.png", png());
  folder.put("pictures/page.jpg", "<html>404</html>");
  folder.put("secret.png", png());
  const std::string lines = document({"a.png", "gone.png", "b.png"}) + "\n\n" +
                            document({"gone.png"}) + "\n" + document({}) + "\r\n" +
                            "{\"text_list\": [\n" + "{\"text_list\": []}\n" +
                            document({"page.jpg", "../secret.png", "", "a.png"});
  write_zip(folder.file("docs_shard_3_v2.jsonl.zip"), {{"docs_shard_3_v2.jsonl", lines}});
  folder.put("plain.jsonl", lines);
  const std::vector<std::filesystem::path> where{folder.path / "pictures/3",
                                                 folder.path / "pictures"};
  for (const char* name : {"docs_shard_3_v2.jsonl.zip", "plain.jsonl"}) {
    INFO(name);
    Mmc4Counts counts;
    std::vector<io::Json> out;
    for_each_mmc4_document(folder.file(name), where, counts, [&](const std::string& text) {
      out.push_back(io::parse_json("document", text));
    });
    REQUIRE(out.size() == 2);
    CHECK(counts.documents == 6);
    CHECK(counts.used_documents == 2);
    CHECK(counts.left_out_documents == Reasons{{"a line that is not JSON", 1},
                                               {"no image_info", 1},
                                               {"no picture of it is there", 2}});
    CHECK(counts.pictures == 8);
    CHECK(counts.used_pictures == 3);
    CHECK(counts.left_out_pictures == Reasons{{"a picture that cannot be decoded", 1},
                                              {"an image_name that is no name of a file", 2},
                                              {"not in the folder", 2}});
    // All else stays as it was.
    io::Json plain = out[0];
    for (io::Json& entry : plain["image_info"]) entry.erase("image_base64");
    CHECK(plain == io::Json::parse(document({"a.png", "gone.png", "b.png"})));
    CHECK_FALSE(out[0]["image_info"][1].contains("image_base64"));
    for (const std::size_t k : {std::size_t{0}, std::size_t{2}}) {
      const auto bytes = data::detail::picture_file(out[0]["image_info"][k]["image_base64"]);
      CHECK(characters(bytes) == png());
    }
    // Training reads it: the picture that is missing has no <image>.
    const data::detail::Interleaved made =
        data::detail::from_mmc4("key", out[0], {.minimum_kilobytes = 0});
    CHECK(made.text.text() == "<image>One.<|endofchunk|><image>Two.");
    CHECK(made.pictures.size() == 2);
  }
}

TEST_CASE("mmc4: a zip that is none, is cut or is damaged says so") {
  const test::Folder folder;
  folder.put("a.png", png());
  std::string lines;
  for (int i = 0; i < 200; ++i) lines += document({cat("picture-", i * i, ".png")}) + "\n";
  write_zip(folder.file("whole.zip"), {{"docs.jsonl", lines}});
  std::ifstream in(folder.file("whole.zip"), std::ios::binary);
  const std::string whole{std::istreambuf_iterator<char>(in), {}};
  const auto read = [&](const std::string& path) {
    Mmc4Counts counts;
    for_each_mmc4_document(path, {folder.path}, counts, [](const std::string&) {});
    return counts.documents;
  };
  CHECK(read(folder.file("whole.zip")) == 200);
  CHECK_THROWS_AS(read(folder.file("none.zip")), FormatError);
  CHECK_THROWS_AS(read(folder.put("empty.zip", "")), FormatError);
  CHECK_THROWS_AS(read(folder.put("text.zip", "no zip at all")), FormatError);
  for (const std::size_t size : {whole.size() / 4, whole.size() / 2, whole.size() * 3 / 4})
    CHECK_THROWS_AS(read(folder.put("cut.zip", whole.substr(0, size))), FormatError);
  std::string damaged = whole;
  damaged[whole.size() / 2] = static_cast<char>(damaged[whole.size() / 2] ^ 0x10);
  CHECK_THROWS_AS(read(folder.put("damaged.zip", damaged)), FormatError);
}

}  // namespace
