// world sizes, world close-gates: what makes one model of the parts, and the same model without its pictures.

#include <iostream>

#include "../flamingo/option_checks.hpp"
#include "commands.hpp"
#include "plume/io/torch_writer.hpp"
#include "plume/io/weights.hpp"
#include "plume/text/tokenizer.hpp"
#include "save.hpp"

namespace world {

namespace {

struct Sizes {
  std::string model;
  plume::index_t every = 1, depth = 2, latents = 8, heads = 4, head_width = 32, multiple = 4;
};

/// MODEL/flamingo.json, by the tokenizer beside it.
void write_sizes(const Sizes& s) {
  const auto words = plume::text::Tokenizer::load(s.model + "/tokenizer");
  save_json({{"cross_attn_every_n_layers", s.every},
             {"vocabulary", words.size()},
             {"image_token", words.image().value()},
             {"endofchunk_token", words.end_of_chunk().value()},
             {"freeze_lm_embeddings", false},
             {"resampler",
              {{"depth", s.depth},
               {"num_latents", s.latents},
               {"heads", s.heads},
               {"dim_head", s.head_width},
               {"ff_mult", s.multiple}}},
             {"gated_block",
              {{"heads", s.heads},
               {"dim_head", s.head_width},
               {"ff_mult", s.multiple},
               {"only_attend_immediate_media", true}}}},
            s.model + "/flamingo.json");
}

/// The checkpoint with every gate at 0. Throws FormatError where it has none.
void close_gates(const std::string& checkpoint, const std::string& out) {
  plume::io::StateDict closed;
  plume::index_t gates = 0;
  for (const auto& [name, tensor] : plume::io::read_weights(checkpoint)) {
    const bool gate = name.ends_with(".attn_gate") || name.ends_with(".ff_gate");
    gates += gate ? 1 : 0;
    closed.add(name, gate ? plume::io::StoredTensor(plume::zeros<float>(tensor.shape())) : tensor);
  }
  if (gates == 0) plume::fail<plume::FormatError>(checkpoint, "gates", "none");
  plume::io::write_torch(out, closed);
}

}  // namespace

void add_model(CLI::App& app) {
  auto sizes = std::make_shared<Sizes>();
  CLI::App* command =
      app.add_subcommand("sizes", "Write MODEL/flamingo.json: what is between its two models");
  command->add_option("--model", sizes->model, "Folder with vision/, lm/ and tokenizer/")
      ->required();
  const auto size = [&](const char* name, plume::index_t& value, const char* what) {
    command->add_option(name, value, what)
        ->transform(flamingo::checks::integer(1, 1 << 20))
        ->capture_default_str();
  };
  size("--every", sizes->every, "A gated block before every k-th layer");
  size("--depth", sizes->depth, "Layers of the resampler");
  size("--latents", sizes->latents, "What it makes of a picture");
  size("--heads", sizes->heads, "Of the resampler and of the blocks");
  size("--head-width", sizes->head_width, "Width of a head");
  size("--multiple", sizes->multiple, "Width of the feed-forwards, in widths");
  command->callback([sizes] { write_sizes(*sizes); });

  struct Gates {
    std::string checkpoint, out;
  };
  auto gates = std::make_shared<Gates>();
  CLI::App* close = app.add_subcommand(
      "close-gates", "Copy a checkpoint with its gates at 0: the language model alone");
  close->add_option("--checkpoint", gates->checkpoint)->required();
  close->add_option("--out", gates->out)->required()->check(flamingo::checks::writable_file());
  close->callback([gates] { close_gates(gates->checkpoint, gates->out); });
}

}  // namespace world
