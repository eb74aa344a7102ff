// seed: \x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2), }          \n12345678
// seed: \x93NUMPY\x02\x00\x3a\x00\x00\x00{'descr': '|b1', 'fortran_order': True, 'shape': (2,), }  \n\x00\x01
// seed: \x93NUMPY\x01\x00\x37\x00{'descr': '<i8', 'fortran_order': True, 'shape': (), } \n12345678
// runs: 200000
#include "plume/io/npy.hpp"

#include <sys/mman.h>

#include "tests/fuzz/fuzz.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace plume;
  static const int memory = memfd_create("npy", 0);
  static const std::string path = cat("/proc/self/fd/", memory);
  if (ftruncate(memory, 0) != 0 || pwrite(memory, data, size, 0) != static_cast<ssize_t>(size))
    abort();
  return fuzz::read_or_refuse([&] {
    switch (npy_header(path).dtype) {
      case DType::f32:
        read_npy<float>(path);
        break;
      case DType::f64:
        read_npy<double>(path);
        break;
      case DType::b8:
        read_npy<bool>(path);
        break;
      default:
        read_npy<std::int64_t>(path);
        break;
    }
  });
}
