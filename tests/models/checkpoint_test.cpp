#include "plume/models/checkpoint.hpp"

#include <doctest/doctest.h>

#include "tests/support/folder.hpp"
#include "verify/model_case.hpp"

using namespace plume;

namespace {

const std::string models_folder = "tests/golden/models/";

// Buffers of the reference are not written.
bool is_buffer(const std::string& name) { return name.ends_with(".rotary_emb.inv_freq"); }

TEST_CASE("save_checkpoint: the reference's keys and values, tensor for tensor") {
  for (const char* name :
       {"mpt1b-every1", "redpajama-every2", "llama-every1", "opt-all-previous-frozen-embeddings"}) {
    INFO(name);
    const std::string folder = models_folder + name;
    const auto model = flamingo::open_case<float>(folder);
    const test::Folder scratch;
    const std::string file = scratch.file("checkpoint.pt");
    models::save_checkpoint<float>(*model, file);
    const io::StateDict ours = io::read_weights(file);
    const io::StateDict reference = io::read_weights(folder + "/checkpoint.pt");
    std::size_t buffers = 0;
    for (const auto& [id, tensor] : reference) {
      const std::string& key = id;  // clang 14 captures no structured binding
      INFO(key);
      if (is_buffer(key)) {
        ++buffers;
        continue;
      }
      REQUIRE(ours.contains(key));
      CHECK(ours.at(key).shape() == tensor.shape());
      CHECK(ours.at(key).contiguous_bytes() ==
            io::StoredTensor(tensor.to<float>()).contiguous_bytes());
    }
    CHECK(ours.size() + buffers == reference.size());
  }
}

TEST_CASE("save_checkpoint: what was trained is restored, token rows included") {
  const std::string folder = models_folder + "mpt1b-every1";
  const auto trained = flamingo::open_case<double>(folder);
  plume::Generator random(3);
  for (nn::Parameter<double>* p : nn::trainable_parameters<double>(*trained))
    p->set_value(normal<double>(p->shape(), random));
  const test::Folder scratch;
  const std::string file = scratch.file("trained.pt");
  models::save_checkpoint<double>(*trained, file);

  const auto restored = flamingo::open_case<double>(folder);
  models::load_checkpoint<double>(*restored, io::read_weights(file));
  const auto expected = nn::trainable_parameters<double>(*trained);
  const auto got = nn::trainable_parameters<double>(*restored);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    INFO(expected[i]->name());
    CHECK(io::StoredTensor((*got[i])().value()).contiguous_bytes() ==
          io::StoredTensor((*expected[i])().value()).contiguous_bytes());
  }
}

}  // namespace
