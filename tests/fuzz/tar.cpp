// seeds: tests/golden/data/*.tar tests/golden/data_edge/pairs/*.tar
// link: -larchive
// runs: 100000
#include "plume/data/tar.hpp"

#include <sys/mman.h>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  static const int memory = memfd_create("tar", 0);
  static const std::string path = cat("/proc/self/fd/", memory);
  if (ftruncate(memory, 0) != 0 || pwrite(memory, data, size, 0) != static_cast<ssize_t>(size))
    abort();
  return fuzz::read_or_refuse([&] {
    try {
      data::Shard shard(path);
      while (shard.next()) {
      }
    } catch (const data::Drop&) {
    }
  });
}
