// world vision: a vision encoder, trained here in place of a published one.

#include "pretrain_vision.hpp"

#include "../flamingo/option_checks.hpp"
#include "commands.hpp"

namespace world {

namespace checks = flamingo::checks;

void add_vision(CLI::App& app) {
  struct Given {
    PretrainOptions where;
    VisionOptions vision;
  };
  auto given = std::make_shared<Given>();
  CLI::App* command = app.add_subcommand("vision", "Train a vision encoder on the world's pairs");
  VisionOptions& o = given->vision;
  given->where.add_to(*command, o.course);
  command->add_option("--batch", o.batch, "Pairs of a step")
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--pairs", o.pairs, "Pairs to read at most")
      ->transform(checks::integer(1))
      ->capture_default_str();
  command->add_option("--image", o.sizes.image, "Pixels on a side")
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--patch", o.sizes.patch)
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--width", o.sizes.width)
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--layers", o.sizes.layers)
      ->transform(checks::integer(1, 1 << 20))
      ->capture_default_str();
  command->add_option("--seed", o.seed)
      ->transform(checks::integer(0, checks::any_seed))
      ->capture_default_str();
  command->callback([given] {
    given->where.done(pretrain_vision(given->where.data, given->where.out, given->vision));
  });
}

}  // namespace world
