// world vision: a vision encoder, trained here in place of a published one.

#include "pretrain_vision.hpp"

#include "commands.hpp"

namespace world {

void add_vision(CLI::App& app) {
  struct Given {
    PretrainOptions where;
    VisionOptions vision;
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("vision", "Train a vision encoder on the world's pairs");
  VisionOptions& o = given->vision;
  given->where.add_to(*command, o.course);
  command->add_option("--batch", o.batch, "Pairs of a step")->capture_default_str();
  command->add_option("--pairs", o.pairs, "Pairs to read at most")->capture_default_str();
  command->add_option("--image", o.sizes.image, "Pixels on a side")->capture_default_str();
  command->add_option("--patch", o.sizes.patch)->capture_default_str();
  command->add_option("--width", o.sizes.width)->capture_default_str();
  command->add_option("--layers", o.sizes.layers)->capture_default_str();
  command->add_option("--seed", o.seed)->capture_default_str();
  command->callback([given] {
    given->where.done(pretrain_vision(given->where.data, given->where.out, given->vision));
  });
}

}  // namespace world
