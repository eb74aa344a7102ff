#include "plume/io/torch_writer.hpp"

#include <doctest/doctest.h>

#include <filesystem>

#include "plume/io/weights.hpp"
#include "tests/support/folder.hpp"

using namespace plume;
using namespace plume::io;

namespace {

// A tensor of any file type whose bytes are 1, 2, 3, ...
StoredTensor counted(FileType type, const Shape& shape) {
  auto bytes = std::make_shared<std::vector<std::byte>>(
      static_cast<std::size_t>(shape.numel() * info(type).bytes));
  for (std::size_t i = 0; i < bytes->size(); ++i)
    (*bytes)[i] =
        type == FileType::b8 ? static_cast<std::byte>(i % 2) : static_cast<std::byte>(i + 1);
  return StoredTensor(type, shape, shape.row_major(), *bytes, bytes);
}

void check_same(const StateDict& got, const StateDict& expected) {
  REQUIRE(got.size() == expected.size());
  auto other = got.begin();
  for (const auto& [key, tensor] : expected) {
    const std::string& name = key;  // clang 14 captures no structured binding
    INFO(name);
    CHECK(other->first == name);
    CHECK(other->second.type() == tensor.type());
    CHECK(other->second.shape() == tensor.shape());
    CHECK(other->second.contiguous_bytes() == tensor.contiguous_bytes());
    ++other;
  }
}

TEST_CASE("write_torch: every type, no axes, nothing in it, and names in any script") {
  const test::Folder folder;
  StateDict tensors;
  for (const FileTypeInfo& type : file_types)
    tensors.add(cat("typed.", type.torch), counted(type.type, Shape{3, 5}));
  tensors.add("scalar", StoredTensor(Tensor<float>(Shape{}, {2.5F})));
  tensors.add("empty", counted(FileType::f32, Shape{0, 7}));
  tensors.add("größe.重み", counted(FileType::i64, Shape{2}));
  tensors.add("transposed",
              StoredTensor(Tensor<double>({2, 3}, {1, 2, 3, 4, 5, 6}).transpose(0, 1)));
  tensors.add("", counted(FileType::u8, Shape{300, 300}));
  for (int i = 0; i < 2100; ++i)
    tensors.add(cat("many.", i), counted(FileType::f16, Shape{1, 1, i % 3}));
  write_torch(folder.file("all.pt"), tensors);
  check_same(read_weights(folder.file("all.pt")), tensors);
  CHECK(folder.count() == 1);

  // Checksums hold, and data is aligned for whoever maps the file.
  const ZipArchive archive(Source::file(folder.file("all.pt")));
  for (const std::string& name : archive.names()) {
    const Bytes bytes = archive.checked_at(name);
    CHECK((bytes.data() - archive.source().bytes.data()) % 64 == 0);
  }
}

TEST_CASE("write_torch: nothing at all, and tied tensors once") {
  const test::Folder folder;
  StateDict tied;
  const StoredTensor weight(full<float>({100, 10}, 3.0F));
  tied.add("in.weight", weight);
  tied.add("out.weight", weight);
  tied.add("rows", weight.first_rows(5));
  write_torch(folder.file("tied.pt"), tied);
  check_same(read_weights(folder.file("tied.pt")), tied);
  CHECK(ZipArchive(Source::file(folder.file("tied.pt"))).names().size() == 5);

  write_torch(folder.file("none.pt"), StateDict());
  const TorchFile none(Source::file(folder.file("none.pt")));
  CHECK(none.root().is(PickleValue::Kind::dict));
  CHECK(none.root().items.empty());
}

TEST_CASE("write_torch: numbers, text and containers come back, in any order of nesting") {
  const test::Folder folder;
  const StoredTensor weight(full<float>({2, 3}, 3.0F));
  TorchValue::Dict many;
  for (int i = 0; i < 2100; ++i) many.emplace_back(i, -i);
  write_torch(
      folder.file("x.pt"),
      TorchValue::Dict{
          {"none", {}},
          {"yes", true},
          {"no", false},
          {"whole",
           TorchValue::List{0, 255, 256, 65536, -1, index_t{1} << 40, -(index_t{1} << 40)}},
          {"real", TorchValue::Tuple{{0.1, -1e300}}},
          {"text", "größe"},
          {"empty", TorchValue::List{TorchValue::List{}, TorchValue::Dict{}, TorchValue::Tuple{}}},
          {"tensor", weight},
          {"many", many}});
  const TorchFile file(Source::file(folder.file("x.pt")));
  const PickleValue& root = file.root();
  using Kind = PickleValue::Kind;
  CHECK(root.find("none")->is(Kind::none));
  CHECK((root.find("yes")->is(Kind::boolean) && root.find("yes")->integer == 1));
  CHECK((root.find("no")->is(Kind::boolean) && root.find("no")->integer == 0));
  std::vector<index_t> whole;
  for (const PickleValue* item : root.find("whole")->items) whole.push_back(item->integer);
  CHECK(whole ==
        std::vector<index_t>{0, 255, 256, 65536, -1, index_t{1} << 40, -(index_t{1} << 40)});
  REQUIRE(root.find("real")->is(Kind::tuple));
  CHECK(root.find("real")->items[0]->real == 0.1);
  CHECK(root.find("real")->items[1]->real == -1e300);
  CHECK(root.find("text")->text == "größe");
  const std::vector<Kind> kinds{Kind::list, Kind::dict, Kind::tuple};
  REQUIRE(root.find("empty")->items.size() == 3);
  for (std::size_t i = 0; i < 3; ++i) {
    CHECK(root.find("empty")->items[i]->is(kinds[i]));
    CHECK(root.find("empty")->items[i]->items.empty());
  }
  CHECK(file.tensor(*root.find("tensor")).contiguous_bytes() == weight.contiguous_bytes());
  const PickleValue& entries = *root.find("many");
  REQUIRE(entries.items.size() == 4200);
  CHECK(entries.items[4198]->integer == 2099);
  CHECK(entries.items[4199]->integer == -2099);
}

TEST_CASE("write_torch: a write that fails leaves no file, and the old one whole") {
  const test::Folder folder;
  StateDict good;
  good.add("a", counted(FileType::f32, Shape{4}));
  write_torch(folder.file("a.pt"), good);
  {
    ZipWriter zip(folder.file("a.pt"));
    zip.add("archive/data.pkl", "half");
    CHECK(folder.count() == 2);
  }  // never finished
  CHECK(folder.count() == 1);
  check_same(read_weights(folder.file("a.pt")), good);
  CHECK_THROWS_AS(write_torch(folder.file("no/such/folder.pt"), good), std::system_error);
  if (std::filesystem::exists("/dev/full")) {
    std::filesystem::create_symlink("/dev/full",
                                    folder.file(cat("b.pt.partial", getpid())));  // a full disk
    CHECK_THROWS_AS(write_torch(folder.file("b.pt"), good), std::system_error);
    CHECK_FALSE(std::filesystem::exists(folder.file("b.pt")));
    CHECK(folder.count() == 1);
  }
}

TEST_CASE("zip writer: ZIP64 fields are written where numbers need them") {
  const test::Folder folder;
  for (const std::uint64_t from : {std::uint64_t{0}, std::uint64_t{100}, std::uint64_t{5000}}) {
    ZipWriter zip(folder.file("a.zip"), from);
    const std::string large(200, 'x');
    zip.add("small", "abc");
    zip.add("large", large);
    zip.add("late", "");
    zip.finish();
    const ZipArchive archive(Source::file(folder.file("a.zip")));
    CHECK(archive.names() == std::vector<std::string>{"small", "large", "late"});
    CHECK(archive.checked_at("small").size() == 3);
    CHECK(archive.checked_at("large").size() == 200);
    CHECK(archive.checked_at("late").empty());
  }
}

}  // namespace
