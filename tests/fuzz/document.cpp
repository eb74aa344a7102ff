// The first document of a shard, or anything else that begins with a brace.
// seeds: tests/golden/data/documents-000000.tar tests/cases/shards/gen-last.tar
// seed: {"is_gpt":1,"example":"_!_IMAGE1_!_ <image> \\ud800","image_map":{"_!_IMAGE1_!_":{"base64_image":"QQ=="}}}
// runs: 6000
#include "plume/data/documents.hpp"

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  static const text::Tokenizer tokenizer = text::Tokenizer::load("tests/golden/data/tokenizer");
  std::string_view file = fuzz::text(data, size);
  const std::size_t start = file.find('{');
  if (start == file.npos) return 0;
  file = file.substr(start, file.find('\0', start) - start);
  const io::Source bytes =
      fuzz::source(reinterpret_cast<const std::uint8_t*>(file.data()), file.size());
  return fuzz::read_or_refuse([&] {
    try {
      data::Record record{"fuzz", "key"};
      record.files.emplace_back("json", data::FileBytes(bytes.bytes.begin(), bytes.bytes.end()));
      data::make_document(std::move(record), tokenizer, 0.7, {.minimum_kilobytes = 0});
    } catch (const data::Drop&) {
    }
  });
}
