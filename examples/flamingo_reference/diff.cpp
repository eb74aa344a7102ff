// flamingo diff A B: two traces, value by value.

#include "commands.hpp"
#include "option_checks.hpp"
#include "plume/io/weights.hpp"
#include "verify/table.hpp"
#include "verify/values.hpp"

using namespace plume;

namespace flamingo {

namespace {

bool floating(const io::StoredTensor& tensor) {
  return io::info(tensor.type()).torch.find("float") != std::string_view::npos;
}

void diff(const std::string& a, const std::string& b, double tolerance, bool table) {
  const io::StateDict left = io::read_weights(a), right = io::read_weights(b);
  Report report;
  for (const auto& [name, tensor] : right) {
    if (!left.contains(name)) {
      report.wrong(name, "only in " + b);
    } else if (floating(tensor) && floating(left.at(name))) {
      report.add(difference(name, left.at(name).to<double>(), tensor.to<double>(), tolerance));
    } else {
      report.equal(name, left.at(name).contiguous_bytes() == tensor.contiguous_bytes(), true);
    }
  }
  for (const auto& [name, tensor] : left) {
    if (!right.contains(name)) report.wrong(name, "only in " + a);
  }
  exit_code = conclude(a + " against " + b, report, table) ? 0 : 1;
}

}  // namespace

void add_diff(CLI::App& app) {
  struct Given {
    std::string a, b;
    double tolerance = 1e-5;
    bool table = false;
  };
  CLI::App* command =
      app.add_subcommand("diff", "Compare two traces; the first value that diverges is named");
  auto given = std::make_shared<Given>();
  command->add_option("A", given->a, "A trace or weight file")->required();
  command->add_option("B", given->b, "What it should be")->required();
  command
      ->add_option("--tolerance", given->tolerance,
                   "Largest error allowed, relative to a tensor's largest element")
      ->transform(checks::non_negative())
      ->capture_default_str();
  command->add_flag("--table", given->table, "Print every comparison");
  command->callback([given] { diff(given->a, given->b, given->tolerance, given->table); });
}

}  // namespace flamingo
