#include "plume/ops/registry.hpp"

#include <cstdio>
#include <cstdlib>

#include "tests/support/op_test.hpp"

// The registry is the list that tests, benches and docs are held against.

namespace {

using namespace plume;

TEST_CASE("registry: every op has an OP_TEST, and every OP_TEST an op") {
  std::set<std::string> registered;
  for (const OpInfo& op : all_ops) {
    CHECK_MESSAGE(registered.insert(std::string(op.name)).second, "listed twice: ", op.name);
    CHECK_MESSAGE(test::tested_ops().count(std::string(op.name)) == 1, "no OP_TEST for ", op.name);
    CHECK(!op.formula.empty());
  }
  for (const std::string& name : test::tested_ops()) {
    CHECK_MESSAGE(registered.count(name) == 1, "not in ops/registry.hpp: ", name);
  }
}

/// The support table of docs/ops.md, from what the tests that ran have recorded.
void write_support_table(const char* path) {
  std::FILE* file = std::fopen(path, "w");
  if (file == nullptr) {
    std::fprintf(stderr, "cannot write %s\n", path);
    std::exit(1);
  }
  std::fputs(
      "# The ops of Plume\n\n"
      "Made by the tests (`PLUME_OPS_TABLE=docs/ops.md plume_tests --test-case='op:*'`): a row is "
      "here "
      "because its op passed.\nEvery op is compared with its definition, gradient-checked in "
      "double in "
      "four memory layouts, and gives the same bits\nfor every thread count. *Scalars*: those the "
      "tests "
      "ran forward in; gradients are tested in float and double.\n*Device*: has CUDA kernels, "
      "forward and "
      "backward; CI compiles them for sm_80 and sm_90a and runs their source on the\nCPU; where a "
      "GPU is "
      "at hand the same tests run on it. Without the word the op throws a `DeviceError` there.\n\n"
      "| op | formula | scalars | device |\n| --- | --- | --- | --- |\n",
      file);
  for (const OpInfo& op : all_ops) {
    const test::OpRecord& record = test::op_records()[std::string(op.name)];
    std::string scalars;
    for (const std::string& s : record.scalars) scalars += (scalars.empty() ? "" : ", ") + s;
    std::fprintf(file, "| `%s` | %s | %s | %s |\n", std::string(op.name).c_str(),
                 std::string(op.formula).c_str(), scalars.empty() ? "not tested" : scalars.c_str(),
                 op.device ? "yes" : "");
  }
  std::fclose(file);
}

/// On a device, an op that says it has a device path must have taken it. Ends the program if not.
void check_device_paths() {
  if (!cuda_is_available()) return;
  for (const OpInfo& op : all_ops) {
    const test::OpRecord& record = test::op_records()[std::string(op.name)];
    if (!op.device || record.checks == 0 || record.device) continue;
    std::fprintf(stderr, "%s: registered with a device path, but every test of it there threw\n",
                 std::string(op.name).c_str());
    std::exit(1);
  }
}

struct SupportTable : doctest::IReporter {
  explicit SupportTable(const doctest::ContextOptions&) {}
  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_run_end(const doctest::TestRunStats& stats) override {
    check_device_paths();
    const char* path = std::getenv("PLUME_OPS_TABLE");
    if (path != nullptr && stats.numTestCasesFailed == 0) write_support_table(path);
  }
  void test_case_start(const doctest::TestCaseData&) override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}
  void test_case_skipped(const doctest::TestCaseData&) override {}
};
REGISTER_LISTENER("support table", 1, SupportTable);

}  // namespace
