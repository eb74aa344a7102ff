// flamingo verify DIR: every golden case in or below a folder, whatever its group.

#include <functional>
#include <iostream>
#include <map>

#include "commands.hpp"
#include "verify/groups.hpp"
#include "verify/table.hpp"

namespace flamingo {

namespace {

namespace fs = std::filesystem;
using plume::io::Json;

struct Case {
  fs::path folder;
  std::string group;
};

struct Group {
  const char* name;
  std::function<void(const fs::path&, const VerifyOptions&, Report&)> verify;
};

const Group groups[] = {
    {"models", verify_models},
    {"resampler", verify_resampler},
    {"images", [](const fs::path& f, const VerifyOptions&, Report& r) { verify_images(f, r); }},
    {"tokenizers",
     [](const fs::path& f, const VerifyOptions&, Report& r) { verify_tokenizer(f, r); }},
    {"weights", [](const fs::path& f, const VerifyOptions&, Report& r) { verify_weights(f, r); }},
    {"data", [](const fs::path& f, const VerifyOptions&, Report& r) { verify_data(f, r); }},
    {"metrics",
     [](const fs::path& f, const VerifyOptions&, Report& r) {
       verify_captions(f, r);
       verify_vqa(f, r);
     }},
    {"evaluation",
     [](const fs::path& f, const VerifyOptions&, Report& r) { verify_evaluation(f, r); }},
};

const Group* group_of(const std::string& name) {
  for (const Group& group : groups) {
    if (group.name == name) return &group;
  }
  return nullptr;
}

/// The group whose format a folder has; empty if it is no case. `case.json` says its kind; the groups without
/// one are known by their files.
std::string recognise(const fs::path& folder) {
  const auto has = [&](const char* file) { return fs::exists(folder / file); };
  if (has("case.json")) {
    const std::string file = (folder / "case.json").string();
    const Json facts = plume::io::read_json(file);
    const std::string kind = facts.is_object() ? facts.value("kind", "") : "";
    if (kind == "flamingo") return "models";
    if (kind.starts_with("metric")) return "metrics";
    if (kind.starts_with("evaluation")) return "evaluation";
    if (kind.starts_with("data ")) return "data";
    return kind.empty() ? folder.filename().string() : kind;
  }
  if (has("specials.json")) return "tokenizers";
  for (const char* file : {"captions.json", "vqa_expected.json", "numbers.json", "ok_vqa.json"}) {
    if (has(file)) return "metrics";
  }
  if (has("expected.json")) {
    const Json expected = plume::io::read_json((folder / "expected.json").string());
    for (const auto& [key, value] : expected.items()) {
      if (value.is_array() || (value.is_object() && value.contains("refuse"))) return "weights";
      if (value.is_object() && value.contains("contexts")) return "evaluation";
    }
    return folder.filename().string();
  }
  return {};
}

/// Cases in and below `folder`, by path. A case holds no other case.
void find(const fs::path& folder, std::vector<Case>& cases) {
  if (std::string group = recognise(folder); !group.empty()) {
    cases.push_back({folder, std::move(group)});
    return;
  }
  std::vector<fs::path> below;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_directory()) below.push_back(entry.path());
  }
  std::sort(below.begin(), below.end());
  for (const fs::path& path : below) find(path, cases);
}

void verify(const std::string& directory, const VerifyOptions& options, bool table) {
  std::vector<Case> cases;
  if (!fs::is_directory(directory))
    plume::fail<plume::FormatError>("verify", "a folder with golden cases", directory);
  const fs::path root = fs::weakly_canonical(directory);
  find(root, cases);
  int passed = 0, failed = 0;
  for (const Case& c : cases) {
    const std::string relative = c.folder.lexically_relative(root).string();
    const std::string name = relative == "." ? root.filename().string() : relative;
    const Group* group = group_of(c.group);
    if (group == nullptr) {
      std::cout << "skip  " << name << "\n      not yet verified: group " << c.group << '\n';
      continue;
    }
    Report report;
    try {
      group->verify(c.folder, options, report);
    } catch (const std::exception& error) {
      report.wrong("the case", error.what());
    }
    (conclude(name, report, table) ? passed : failed) += 1;
    std::cout.flush();
  }
  if (cases.empty()) {
    std::cout << "no golden case in or below " << directory
              << "; a case is a folder with case.json, specials.json or expected.json\n";
  }
  std::cout << passed << " cases passed, " << failed << " failed" << std::endl;
  exit_code = failed == 0 && passed > 0 ? 0 : 1;
}

}  // namespace

void add_verify(CLI::App& app) {
  struct Given {
    std::string directory, precision = "both";
    bool table = false;
  };
  CLI::App* command = app.add_subcommand(
      "verify",
      "Run every golden case in or below a folder and compare with what the reference gave");
  auto given = std::make_shared<Given>();
  command->add_option("DIR", given->directory, "Folder with golden cases")->required();
  command->add_flag("--table", given->table, "Print every comparison");
  command->add_option("--precision", given->precision, "Run models in double, float or both")
      ->check(CLI::IsMember({"double", "float", "both"}))
      ->capture_default_str();
  command->callback([given] {
    verify(given->directory, {given->precision != "float", given->precision != "double"},
           given->table);
  });
}

}  // namespace flamingo
