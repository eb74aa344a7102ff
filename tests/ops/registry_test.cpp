#include "plume/ops/registry.hpp"

#include "tests/support/op_test.hpp"

// The registry is the list that tests, benches and docs are held against.

TEST_CASE("registry: every op has an OP_TEST, and every OP_TEST an op") {
  std::set<std::string> registered;
  for (const plume::OpInfo& op : plume::all_ops) {
    CHECK_MESSAGE(registered.insert(std::string(op.name)).second, "listed twice: ", op.name);
    CHECK_MESSAGE(plume::test::tested_ops().count(std::string(op.name)) == 1, "no OP_TEST for ",
                  op.name);
    CHECK(!op.formula.empty());
  }
  for (const std::string& name : plume::test::tested_ops()) {
    CHECK_MESSAGE(registered.count(name) == 1, "not in ops/registry.hpp: ", name);
  }
}
