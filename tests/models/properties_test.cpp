#include <doctest/doctest.h>

#include "plume/models/flamingo.hpp"
#include "plume/models/gpt_neox.hpp"
#include "plume/models/llama.hpp"
#include "plume/models/mpt.hpp"
#include "plume/models/opt.hpp"
#include "tests/support/compare.hpp"

// What every Flamingo must do, whatever its weights. All parameters are random, norms and biases too, and the
// gates are open (but where fresh gates are the matter), so nothing holds because something was zero.

using namespace plume;
using namespace plume::models;
using test::same_bits;

namespace {

using Model = Flamingo<double>;

constexpr index_t vocabulary = 20, side = 8, images = 2;
constexpr std::int64_t image = 19;

struct Family {
  const char* name;
  std::function<std::unique_ptr<TextDecoder<double>>(nn::Module&, const char*)> make;
  double
      noise;  ///< relative; rotary tables hold float32 angles, so a shift of positions costs more
};

template <template <class> class Decoder, class Sizes>
Family family(const char* name, const Sizes& sizes, double noise) {
  return {name,
          [sizes](nn::Module& owner, const char* as) {
            return std::make_unique<Decoder<double>>(owner, as, sizes);
          },
          noise};
}

std::vector<Family> families() {
  constexpr auto mosaic_gpt = MptSizes::Names::mosaic_gpt, mpt = MptSizes::Names::mpt;
  return {
      family<Opt>("opt", OptSizes{vocabulary, 12, 2, 2, 16, 32}, 1e-12),
      family<GptNeox>("neox", GptNeoxSizes{vocabulary, 16, 2, 2, 24, 0.5}, 2e-6),
      family<GptNeox>("neox, parallel",
                      GptNeoxSizes{vocabulary, 16, 2, 2, 24, 1, 1e4, /*parallel_residual=*/true},
                      2e-6),
      family<Mpt>("mpt with q and k norms", MptSizes{mosaic_gpt, vocabulary, 12, 2, 2, 2, 8, true},
                  1e-12),
      family<Mpt>("mpt, three heads", MptSizes{mpt, vocabulary, 12, 2, 3, 2, 8, false}, 1e-12),
      family<Llama>("llama", LlamaSizes{vocabulary, 12, 2, 2, 16}, 2e-6),
  };
}

void set_gates(Model& model, double attention, double feed_forward) {
  for (index_t i = 0; i < model.fusion.size(); ++i) {
    if (!model.fusion.has(i)) continue;
    model.fusion[i].attn_gate.set_value(full<double>({1}, attention));
    model.fusion[i].ff_gate.set_value(full<double>({1}, feed_forward));
  }
}

std::unique_ptr<Model> build(const Family& f, index_t every = 1,
                             nn::MediaMask mask = nn::MediaMask::immediate) {
  const auto text_width = [&] {
    nn::Module root;
    return f.make(root, "lm")->width();
  }();
  auto model = std::make_unique<Model>(
      FusionPlan{every, image},
      [](nn::Module& owner, const char* name) {
        return std::make_unique<ClipVision<double>>(
            owner, name, ClipVisionSizes{side, 4, 8, 1, 4, 6, 2, Activation::gelu});
      },
      [](nn::Module& owner, const char* name) {
        return std::make_unique<nn::PerceiverResampler<double>>(
            owner, name,
            nn::ResamplerSizes{
                .width = 8, .depth = 1, .latents = 3, .heads = {2, 4}, .multiple = 2});
      },
      f.make,
      nn::GatedBlockSizes{.text_width = text_width,
                          .visual_width = 8,
                          .heads = {2, 4},
                          .multiple = 2,
                          .mask = mask});
  Generator g(11);
  nn::for_each_parameter(*model, [&](const std::string&, nn::ParameterBase& p) {
    Tensor<double> value = normal<double>(p.shape(), g);
    const double middle = p.init().kind == nn::Init::Kind::ones ? 1 : 0;
    for (index_t i = 0; i < value.numel(); ++i) value.data()[i] = middle + 0.4 * value.data()[i];
    static_cast<nn::Parameter<double>&>(p).set_value(value);
  });
  set_gates(*model, 0.8, -0.6);
  return model;
}

template <class F>
void each(F&& check) {
  for (const Family& f : families()) {
    INFO(f.name);
    check(f, *build(f));
  }
}

Tensor<double> pictures(index_t B = 2) {
  Generator g(7);
  return normal<double>({B, images, 1, 3, side, side}, g);
}

using Row = std::vector<std::int64_t>;

/// Two texts of different length: one starts before its first image, the other has one image.
const std::vector<Row>& texts() {
  static const std::vector<Row> rows{{5, 3, image, 6, 7, image, 8, 9}, {image, 4, 11, 2}};
  return rows;
}

/// Rows of `columns` tokens, padded on the left.
TextInput padded(const std::vector<Row>& rows, index_t columns, std::int64_t pad = 0) {
  const auto B = static_cast<index_t>(rows.size());
  TextInput out{full<std::int64_t>({B, columns}, pad), zeros<bool>({B, columns})};
  for (index_t b = 0; b < B; ++b) {
    const Row& row = rows[static_cast<std::size_t>(b)];
    const index_t begin = columns - static_cast<index_t>(row.size());
    for (std::size_t t = 0; t < row.size(); ++t) {
      out.ids(b, begin + static_cast<index_t>(t)) = row[t];
      out.mask(b, begin + static_cast<index_t>(t)) = true;
    }
  }
  return out;
}

Tensor<double> logits(const Model& model, const Tensor<double>& seen, const TextInput& input) {
  return no_grad([&] { return model(seen, input); }).value();
}

/// The logits of the real tokens of sequence b.
Tensor<double> real(const Tensor<double>& of, index_t b) {
  const index_t columns = of.size(1);
  const auto length = static_cast<index_t>(texts()[static_cast<std::size_t>(b)].size());
  return of.select(0, b).slice(0, columns - length, columns);
}

TEST_CASE("flamingo: with fresh gates it is the language model, to the bit") {
  each([](const Family& f, Model& open) {
    const TextInput input = padded(texts(), 9);
    const Tensor<double> plain = no_grad([&] { return (*open.lang_encoder)(input); }).value();
    CHECK_FALSE(same_bits(logits(open, pictures(), input), plain));
    set_gates(open, 0, 0);
    CHECK(same_bits(logits(open, pictures(), input), plain));
    const auto sparse = build(f, 2);
    CHECK_FALSE(sparse->fusion.has(0));
    set_gates(*sparse, 0, 0);
    CHECK(same_bits(logits(*sparse, pictures(), input), plain));
  });
}

TEST_CASE("flamingo: left padding changes no logit of a real token") {
  each([](const Family& f, const Model& model) {
    for (index_t b = 0; b < 2; ++b) {
      const Row& row = texts()[static_cast<std::size_t>(b)];
      TextInput alone = padded({row}, static_cast<index_t>(row.size()));
      alone.mask = {};
      const Tensor<double> seen = pictures().slice(0, b, b + 1).contiguous();
      const Tensor<double> expected = logits(model, seen, alone).select(0, 0);
      for (const index_t columns : {8, 9, 12}) {
        INFO("sequence ", b, " in ", columns, " columns");
        const Tensor<double> y = logits(model, pictures(), padded(texts(), columns));
        const auto same = test::compare(real(y, b), expected, {0, f.noise});
        CHECK_MESSAGE(same.ok, same.message);
        // Padding queries see nothing, and give numbers all the same.
        for (index_t i = 0; i < y.numel(); ++i) REQUIRE(std::isfinite(y.contiguous().data()[i]));
      }
    }
  });
}

TEST_CASE("flamingo: what stands in the padding does not matter") {
  each([](const Family&, const Model& model) {
    const Tensor<double> one = logits(model, pictures(), padded(texts(), 10, 0));
    const Tensor<double> other = logits(model, pictures(), padded(texts(), 10, 13));
    for (index_t b = 0; b < 2; ++b) CHECK(same_bits(real(one, b), real(other, b)));
  });
}

void check_cached(const Family& f, const Model& model) {
  const NoGrad scope;
  const index_t columns = 10;
  const TextInput whole = padded(texts(), columns);
  const auto times = nn::text_times(whole.ids, image);
  const auto media = model.prepare(model.see(pictures()));
  const Tensor<double> expected = model.read(whole, media, times).value();
  // A prompt of 4 is padding alone in the second sequence; 7 ends amid both.
  for (const index_t prompt : {1, 4, 7, 9}) {
    KvCache<double> cache;
    std::vector<Tensor<double>> parts;
    for (index_t begin = 0, end = prompt; begin < columns; begin = end, ++end) {
      const TextInput part{whole.ids.slice(1, begin, end).contiguous(),
                           whole.mask.slice(1, 0, end).contiguous(), cache.length()};
      CHECK(part.past == begin);
      parts.push_back(
          model.read(part, media, times.slice(1, begin, end).contiguous(), &cache).value());
    }
    const Tensor<double> y = concat(parts, 1);
    for (index_t b = 0; b < 2; ++b) {
      INFO("prompt of ", prompt, ", sequence ", b);
      const auto same = test::compare(real(y, b), real(expected, b), {0, f.noise});
      CHECK_MESSAGE(same.ok, same.message);
    }
  }
}

TEST_CASE("flamingo: cached logits are the uncached ones") {
  each([](const Family& f, const Model& model) {
    check_cached(f, model);
    check_cached(f, *build(f, 1, nn::MediaMask::all_previous));
  });
}

TEST_CASE("flamingo: a cache without a mask counts every token") {
  each([](const Family& f, const Model& model) {
    const NoGrad scope;
    const TextInput whole{padded({texts()[0]}, 8).ids};
    const auto times = nn::text_times(whole.ids, image);
    const auto media = model.prepare(model.see(pictures(1)));
    const Tensor<double> expected = model.read(whole, media, times).value();
    KvCache<double> cache;
    for (index_t t = 0; t < 8; ++t) {
      const TextInput token{whole.ids.slice(1, t, t + 1).contiguous(), {}, cache.length()};
      const Tensor<double> y =
          model.read(token, media, times.slice(1, t, t + 1).contiguous(), &cache).value();
      CHECK(test::compare(y, expected.slice(1, t, t + 1), {0, f.noise}).ok);
    }
  });
}

/// Pictures of which one, in both sequences, is another.
Tensor<double> with_another(index_t which) {
  Tensor<double> out = pictures();
  Generator g(99);
  out.select(1, which).copy_from(normal<double>({2, 1, 3, side, side}, g));
  return out;
}

TEST_CASE("flamingo: text before the first image ignores the images") {
  each([](const Family&, const Model& model) {
    const TextInput input = padded(texts(), 8);
    const Tensor<double> before = logits(model, pictures(), input);
    const Tensor<double> after = logits(model, with_another(0), input);
    for (index_t t = 0; t < 8; ++t) {
      INFO("token ", t);
      CHECK(same_bits(before.select(0, 0).select(0, t), after.select(0, 0).select(0, t)) ==
            (t < 2));
    }
    // The second image of the second sequence has no <image> token: nobody looks.
    const Tensor<double> unused = logits(model, with_another(1), input);
    CHECK(same_bits(real(unused, 1), real(before, 1)));
  });
}

TEST_CASE("flamingo: cross-attention leads to the last image alone, self-attention to all before") {
  each([](const Family&, const Model& model) {
    const TextInput input = padded(texts(), 8);
    const auto first_block = [&](const Tensor<double>& seen) {
      Tensor<double> out;
      no_grad([&] {
        return model(seen, input, [&](const std::string& name, const Tensor<double>& value) {
          if (name == "layer.0.gated_block") out = value.clone();
        });
      });
      return out.select(0, 0).contiguous();
    };
    const auto times = nn::text_times(input.ids, image);
    const Tensor<double> before = first_block(pictures());
    for (index_t k = 0; k < images; ++k) {
      const Tensor<double> after = first_block(with_another(k));
      for (index_t t = 0; t < 8; ++t) {
        INFO("image ", k, ", token ", t);
        CHECK(same_bits(before.select(0, t), after.select(0, t)) == (times(0, t) != k + 1));
      }
    }
    const Tensor<double> last = logits(model, pictures(), input).select(0, 0).select(0, 7);
    CHECK_FALSE(same_bits(logits(model, with_another(0), input).select(0, 0).select(0, 7), last));
  });
}

TEST_CASE("flamingo: text without images is text whose images nobody sees") {
  each([](const Family&, const Model& model) {
    const TextInput input = padded({{5, 3, 8, 4}}, 5);
    const Tensor<double> none = zeros<double>({1, 0, 1, 3, side, side});
    CHECK(same_bits(logits(model, none, input), logits(model, pictures(1), input)));
  });
}

}  // namespace
