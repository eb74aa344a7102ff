#include "plume/nn/hold_frozen.hpp"

#include <doctest/doctest.h>

#include "plume/nn/summary.hpp"
#include "plume/ops/sub.hpp"
#include "verify/model_case.hpp"

using namespace plume;

namespace {

double largest(const Tensor<float>& x) {
  const Tensor<float> flat = x.contiguous();
  double out = 0;
  for (index_t i = 0; i < flat.numel(); ++i)
    out = std::max(out, std::abs(static_cast<double>(flat.data()[i])));
  return out;
}

TEST_CASE("hold_frozen: a whole Flamingo computes and learns as with rounded weights") {
  for (const char* name : {"mpt1b-every1", "redpajama-every2", "llama-every1"}) {
    INFO(name);
    const std::string folder = cat("tests/golden/models/", name);
    const auto held = flamingo::open_case<float>(folder),
               rounded = flamingo::open_case<float>(folder);
    const std::size_t before = nn::totals(*held).bytes;
    const index_t count = nn::hold_frozen_in_bf16(*held);
    std::size_t saved = 0;
    index_t matrices = 0;
    nn::for_each_parameter(*rounded, [&](const std::string&, nn::ParameterBase& p) {
      auto& q = static_cast<nn::Parameter<float>&>(p);
      if (q.trainable() || !q.is_only_in_products()) return;
      q.set_value(q.value().cast<bfloat16>().cast<float>());
      saved += static_cast<std::size_t>(q.shape().numel()) * 2;
      ++matrices;
    });
    CHECK(count == matrices);
    CHECK(nn::totals(*held).bytes == before - saved);

    const io::StateDict in = io::read_weights(folder + "/inputs.safetensors");
    const auto run = [&](const models::Flamingo<float>& model) {
      Tensor<float> logits;
      const Var<float> loss = flamingo::forward_case<float>(
          model, in, [&](const std::string& what, const Tensor<float>& value) {
            if (what == "logits") logits = value;
          });
      backward(loss);
      return logits;
    };
    const Tensor<float> a = run(*held), b = run(*rounded);
    CHECK(largest(sub(Var<float>(a), Var<float>(b)).value()) < 1e-4 * largest(b));
    const auto p = nn::trainable_parameters<float>(*held);
    const auto q = nn::trainable_parameters<float>(*rounded);
    REQUIRE(p.size() == q.size());
    double scale = 0;
    for (const auto* parameter : q) scale = std::max(scale, largest((*parameter)().grad()));
    for (std::size_t i = 0; i < p.size(); ++i) {
      INFO(p[i]->name());
      const Tensor<float> g = (*p[i])().grad(), h = (*q[i])().grad();
      CHECK(largest(g) > 0);
      CHECK(largest(sub(Var<float>(g), Var<float>(h)).value()) < 1e-4 * largest(h) + 1e-5 * scale);
    }
    // Checkpoints have tensors of one type, held or not.
    for (const auto& [id, tensor] : models::checkpoint_of<float>(*held)) {
      const std::string& key = id;  // clang 14 captures no structured binding
      CHECK_MESSAGE(tensor.type() == io::FileType::f32, key);
    }
  }
}

}  // namespace
