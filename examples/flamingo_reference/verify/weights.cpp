// Golden weight files: every tensor by name, type, shape and the SHA-256 of its bytes; files to refuse.

#include "plume/io/weights.hpp"
#include "plume/io/sha256.hpp"
#include "verify/groups.hpp"

using namespace plume;

namespace flamingo {

namespace {

io::Json described(const std::string& name, const io::StoredTensor& tensor) {
  io::Json shape = io::Json::array();
  for (const index_t size : tensor.shape()) shape.push_back(size);
  return {{"name", name},
          {"dtype", std::string(io::info(tensor.type()).torch)},
          {"shape", shape},
          {"sha256", io::sha256(tensor.contiguous_bytes())}};
}

void check_tensors(const std::string& file, const io::StateDict& state, const io::Json& expected,
                   Report& report) {
  report.equal(file + " number of tensors", state.size(), expected.size());
  for (const io::Json& tensor : expected) {
    const auto name = tensor.at("name").get<std::string>();
    if (!state.contains(name)) {
      report.wrong(file + " " + name, "no tensor of this name");
    } else {
      report.equal(file + " " + name, described(name, state.at(name)), tensor);
    }
  }
}

io::Json plain(const io::PickleValue& value) {
  using Kind = io::PickleValue::Kind;
  switch (value.kind) {
    case Kind::none:
      return nullptr;
    case Kind::boolean:
      return value.integer != 0;
    case Kind::integer:
      return value.integer;
    case Kind::real:
      return value.real;
    case Kind::text:
      return value.text;
    case Kind::tuple:
    case Kind::list: {
      io::Json out = io::Json::array();
      for (const io::PickleValue* item : value.items) out.push_back(plain(*item));
      return out;
    }
    case Kind::dict: {
      io::Json out = io::Json::object();
      for (std::size_t i = 0; i + 1 < value.items.size(); i += 2) {
        const io::Json key = plain(*value.items[i]);
        out[key.is_string() ? key.get<std::string>() : io::print_json(key)] =
            plain(*value.items[i + 1]);
      }
      return out;
    }
    default:
      return "not plain";
  }
}

/// Model state, optimizer state and parameter groups of a checkpoint as training saves it.
void check_training(const std::string& file, const std::string& path, const io::Json& expected,
                    Report& report) {
  const io::TorchFile torch(io::Source::file(path));
  const auto part = [&](const char* key) -> const io::PickleValue& {
    const io::PickleValue* found = torch.root().find(key);
    if (found == nullptr) fail<FormatError>(path, cat("an entry ", key), "none");
    return *found;
  };
  report.equal(file + " epoch", plain(part("epoch")), expected.at("epoch"));
  io::StateDict model;
  for (const auto& [name, tensor] : torch.tensors(part("model_state_dict")))
    model.add(name.starts_with("module.") ? name.substr(7) : name, tensor);
  check_tensors(file, model, expected.at("model_state_dict"), report);
  const io::PickleValue& optimizer = part("optimizer_state_dict");
  const io::PickleValue* per_parameter = optimizer.find("state");
  const io::PickleValue* groups = optimizer.find("param_groups");
  if (per_parameter == nullptr || groups == nullptr)
    fail<FormatError>(path, "state and param_groups of the optimizer", "none");
  io::StateDict moments;
  for (std::size_t i = 0; i + 1 < per_parameter->items.size(); i += 2) {
    const io::PickleValue& state = *per_parameter->items[i + 1];
    for (std::size_t j = 0; j + 1 < state.items.size(); j += 2) {
      if (state.items[j + 1]->is(io::PickleValue::Kind::tensor))
        moments.add(cat("optimizer.", per_parameter->items[i]->integer, ".", state.items[j]->text),
                    torch.tensor(*state.items[j + 1]));
    }
  }
  check_tensors(file, moments, expected.at("optimizer_state"), report);
  const io::Json got = plain(*groups);
  const io::Json& wanted = expected.at("param_groups");
  report.equal(file + " parameter groups", got.size(), wanted.size());
  for (std::size_t i = 0; i < std::min(got.size(), wanted.size()); ++i) {
    for (const auto& [key, value] : wanted[i].items())
      report.equal(cat(file, " group ", i, " ", key), got[i].value(key, io::Json()), value);
  }
}

}  // namespace

void verify_weights(const std::filesystem::path& folder, Report& report) {
  const io::Json cases = io::read_json((folder / "expected.json").string());
  for (const auto& [key, expected] : cases.items()) {
    const std::string file = key;
    const std::string path = (folder / file).string();
    if (!std::filesystem::exists(path)) {
      report.wrong(file, "the file is missing");
      continue;
    }
    try {
      if (expected.is_object() && expected.contains("refuse")) {
        bool refused = false;
        try {
          (void)io::read_weights(path);
        } catch (const FormatError&) {
          refused = true;
        }
        const std::string accepted = expected.value("python_library", "");
        if (!accepted.starts_with("accepts")) {
          report.equal(file + " is refused", refused, true);
        } else {
          report.within(file + " may be accepted", 0, 0);
        }
      } else if (expected.is_object()) {
        check_training(file, path, expected, report);
      } else {
        check_tensors(file, io::read_weights(path), expected, report);
      }
    } catch (const std::exception& error) {
      report.wrong(file, error.what());
    }
  }
  for (const auto& place : {folder, folder / "hostile", std::filesystem::current_path()})
    report.equal("nothing was executed", std::filesystem::exists(place / "OWNED"), false);
}

}  // namespace flamingo
