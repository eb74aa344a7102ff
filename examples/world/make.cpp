// world make: the whole world as files.

#include <iostream>

#include "../flamingo/option_checks.hpp"
#include "commands.hpp"
#include "write.hpp"

namespace world {

namespace checks = flamingo::checks;

void add_make(CLI::App& app) {
  struct Given {
    std::string out;
    MakeOptions make;
  };
  auto given = std::make_shared<Given>();
  MakeOptions& make = given->make;
  CLI::App* command = app.add_subcommand("make", "Make the world: pictures, texts and questions");
  command->add_option("--out", given->out, "Folder of the world")->required();
  command->add_option("--seed", make.seed, "Another seed, another world")
      ->transform(checks::integer(0, checks::any_seed))
      ->capture_default_str();
  const auto count = [&](const char* name, index_t& value, const char* what) {
    command->add_option(name, value, what)->transform(checks::integer(1))->capture_default_str();
  };
  count("--pairs", make.pairs, "Pictures with a caption");
  count("--documents", make.documents, "Documents of one to six pictures");
  count("--texts", make.texts, "Texts of the language model");
  count("--demonstrations", make.demonstrations, "Held-out pictures to choose shots from");
  count("--held-out", make.held_out, "Held-out pictures to ask about");
  count("--side", make.side, "Pixels on a side");
  command->add_flag("--tags", make.tags,
                    "A quarter of the texts has <image> and <|endofchunk|> in place of pictures");
  command->callback([given] {
    make_world(given->out, given->make);
    std::cout << given->out << ": " << given->make.pairs << " pairs, " << given->make.documents
              << " documents, " << given->make.texts << " texts, " << given->make.held_out
              << " held-out pictures\n";
  });
}

}  // namespace world
