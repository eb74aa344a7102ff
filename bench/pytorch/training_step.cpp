// One training step of a small Flamingo, again and again: what bench/pytorch/peer.py times beside PyTorch.
//
//   plume_training_step TOKENS IMAGES FILE THREADS
//
// Two sequences of TOKENS tokens with IMAGES images each. Writes the weights and the batch to FILE (safetensors), then
// answers lines on standard input, each with one line of JSON:
//
//   step     takes a step            {"seconds", "loss", "norm", "forward", "backward", "update"}
//   memory   most memory so far      {"peak", "before"}: bytes of the process, and before the model was built

#include <chrono>
#include <fstream>
#include <iostream>

#include "bench/workloads/small_training.hpp"
#include "plume/core/parallel.hpp"
#include "plume/io/json.hpp"
#include "plume/io/safetensors.hpp"
#include "plume/train/step.hpp"

using namespace plume;

namespace {

/// A field of /proc/self/status in bytes, 0 where there is none.
std::size_t process_bytes(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(field + ":")) return std::stoull(line.substr(field.size() + 1)) * 1024;
  }
  return 0;
}

void write(const std::string& path, const models::Flamingo<float>& model,
           const train::Batch<float>& batch) {
  io::StateDict out;
  nn::for_each_parameter(model, [&](const std::string& key, nn::ParameterBase& p) {
    if (!key.ends_with(".trainable_rows"))  // they are in the table
      out.add(key, io::StoredTensor(static_cast<nn::Parameter<float>&>(p).value()));
  });
  out.add("batch.images", io::StoredTensor(batch.images));
  out.add("batch.ids", io::StoredTensor(batch.text.ids));
  out.add("batch.labels", io::StoredTensor(batch.labels));
  io::write_safetensors(path, out);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::cerr << "usage: plume_training_step TOKENS IMAGES FILE THREADS\n";
    return 2;
  }
  try {
    set_thread_count(std::stoi(argv[4]));
    const std::size_t before = process_bytes("VmRSS");
    const auto model = bench::small_flamingo_to_train();
    const train::Batch<float> batch = bench::random_batch(std::stol(argv[1]), std::stol(argv[2]));
    write(argv[3], *model, batch);
    train::Stepper<float> stepper(*model, bench::recipe_without_warmup());
    std::cout << io::print_json(io::Json{{"ready", true}}) << std::endl;
    for (std::string line; std::getline(std::cin, line);) {
      if (line == "memory") {
        std::cout << io::print_json(io::Json{{"peak", process_bytes("VmHWM")}, {"before", before}})
                  << std::endl;
        continue;
      }
      const auto begin = std::chrono::steady_clock::now();
      const double loss = stepper.accumulate(batch, 1);
      const train::StepResult done = stepper.update();
      const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
      std::cout << io::print_json(io::Json{{"seconds", took.count()},
                                           {"loss", loss},
                                           {"norm", done.gradient_norm},
                                           {"forward", done.seconds.forward},
                                           {"backward", done.seconds.backward},
                                           {"update", done.seconds.update}})
                << std::endl;
    }
  } catch (const std::exception& error) {
    std::cerr << "plume_training_step: " << error.what() << '\n';
    return 1;
  }
  return 0;
}
