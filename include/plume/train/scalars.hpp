#pragma once
// The lines of a log as curves of TensorBoard: "loss/pairs", "gate/attn/BLOCK", "gradient/PART", ...

#include <limits>

#include "plume/io/json.hpp"
#include "plume/report/event_file.hpp"

namespace plume::train {

/// Adds what a line of the log has to show; most events have nothing.
inline void add_scalars(report::EventFile& events, const io::Json& line) {
  const index_t step = line.at("step");
  const auto add = [&](const std::string& tag, const io::Json& value) {
    events.scalar(
        tag, step,
        value.is_number() ? value.get<double>() : std::numeric_limits<double>::quiet_NaN());
  };
  if (line.at("event") == "step") {
    for (const auto& [stream, loss] : line.at("loss").items()) add("loss/" + stream, loss);
    for (const char* name :
         {"gradient_norm", "learning_rate", "tokens_per_s", "images_per_s", "data_wait"})
      add(cat("step/", name), line.at(name));
  }
  if (line.at("event") == "gates") {
    const io::Json& names = line.at("names");
    for (const char* gate : {"attn", "ff"}) {
      for (std::size_t i = 0; i < std::min(names.size(), line.at(gate).size()); ++i)
        add(cat("gate/", gate, "/", names[i].get<std::string>()), line.at(gate)[i]);
    }
    if (line.contains("gradient_norms")) {
      for (const auto& [part, norm] : line["gradient_norms"].items()) add("gradient/" + part, norm);
    }
    events.flush();
  }
}

}  // namespace plume::train
