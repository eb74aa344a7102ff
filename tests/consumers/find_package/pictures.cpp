// A PNG of one pixel through plume::pictures.
#include <plume/image/decode.hpp>
#include <string_view>

int main() {
  using namespace std::string_view_literals;
  constexpr std::string_view file =
      "\211\120\116\107\015\012\032\012\000\000\000\015\111\110\104\122\000\000\000\001"
      "\000\000\000\001\010\000\000\000\000\072\176\233\125\000\000\000\012\111\104\101"
      "\124\170\234\143\150\000\000\000\202\000\201\167\315\162\266"sv;
  return plume::image::decode("pixel", std::as_bytes(std::span(file))).bytes.at(0) == 128 ? 0 : 1;
}
