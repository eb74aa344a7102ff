#include "plume/core/streaming.hpp"

#include <doctest/doctest.h>

#include "plume/core/random.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/mul.hpp"
#include "plume/ops/softmax.hpp"
#include "tests/support/compare.hpp"

// Streaming stores write whole vectors at aligned places; what lies before and after goes another way.

namespace {

using plume::index_t;

/// Numbers 1, 2, .. and nothing written outside of them, for every place relative to a cache line.
template <class T, class Write>
void check_every_offset(Write write) {
  constexpr index_t room = 5000, margin = 40;
  for (const index_t n : {0, 1, 7, 15, 16, 17, 63, 1023, 1024, 1025, 3000}) {
    for (index_t offset = 0; offset < 20; ++offset) {
      plume::Tensor<T> memory = plume::zeros<T>(plume::Shape{room});
      T* const y = memory.data() + margin + offset;
      write(y, n);
      for (index_t i = -margin - offset; i < room - margin - offset; ++i) {
        const T expected = i >= 0 && i < n ? static_cast<T>(i + 1) : T{0};
        if (y[i] != expected) FAIL("n ", n, ", offset ", offset, ", element ", i);
      }
    }
  }
}

template <class T>
void count_up(T* to, index_t begin, index_t end) {
  for (index_t i = begin; i < end; ++i) to[i - begin] = static_cast<T>(i + 1);
}

}  // namespace

TEST_CASE_TEMPLATE("streaming: elements land where they belong", T, float, double, std::int32_t) {
  for (const bool streaming : {false, true}) {
    check_every_offset<T>([&](T* y, index_t n) {
      plume::kernel::write_elements(
          y, n, streaming, [](T* to, index_t begin, index_t end) { count_up(to, begin, end); });
    });
    check_every_offset<T>([&](T* y, index_t n) {  // rows longer than a piece
      plume::kernel::write_rows(y, 0, n > 0 ? 1 : 0, n, streaming, [](index_t) {
        return [](T* to, index_t begin, index_t end) { count_up(to, begin, end); };
      });
    });
    check_every_offset<T>([&](T* y, index_t n) {  // as rows of 5, the rest one by one
      plume::kernel::write_rows(y, 0, n / 5, 5, streaming, [](index_t r) {
        return [r](T* to, index_t begin, index_t end) { count_up(to, r * 5 + begin, r * 5 + end); };
      });
      count_up(y + n / 5 * 5, n / 5 * 5, n);
    });
  }
}

TEST_CASE("streaming: a result past the caches has the bits of its parts") {
  const index_t rows = plume::kernel::streaming_bytes / 4 / 999 + 2;
  plume::Generator generator(1);
  const plume::Tensor<float> x = plume::uniform<float>(plume::Shape{rows, 999}, generator, -2, 2);
  const plume::Tensor<float> w = plume::uniform<float>(plume::Shape{999}, generator, -2, 2);
  REQUIRE(plume::kernel::streams<float>(x.numel()));
  REQUIRE(!plume::kernel::streams<float>(x.numel() / 4));
  const auto check = [&](auto f) {
    const plume::Tensor<float> y = f(x);
    for (index_t part = 0; part < 4; ++part) {
      const index_t begin = rows * part / 4, end = rows * (part + 1) / 4;
      CHECK(plume::test::same_bits(y.slice(0, begin, end), f(x.slice(0, begin, end))));
    }
  };
  check([](const auto& v) { return plume::gelu(v); });
  check([](const auto& v) { return v.transpose(0, 1).clone().transpose(0, 1).clone(); });
  check([&](const auto& v) { return w.broadcast_to(v.shape()).clone(); });
  check([](const auto& v) { return plume::full<float>(v.shape(), 3); });
  check([](const auto& v) { return plume::mul(v, v); });
  check([&](const auto& v) { return plume::mul(v, w); });
  check([](const auto& v) { return plume::softmax(v); });
  check([&](const auto& v) { return plume::layer_norm(v, w, w); });
  plume::LayerNormSaved<float> saved;
  plume::layer_norm(x, w, w, 1e-5, &saved);
  const auto whole = plume::layer_norm_backward(x, x, w, saved, true, false, false);
  const auto first = plume::layer_norm_backward(
      x.slice(0, 0, 9), x.slice(0, 0, 9), w,
      {saved.mean.slice(0, 0, 9).contiguous(), saved.rstd.slice(0, 0, 9).contiguous()}, true, false,
      false);
  CHECK(plume::test::same_bits(whole.dx.slice(0, 0, 9), first.dx));
}
