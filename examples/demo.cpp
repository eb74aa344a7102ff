// A small language model, trained here and now on the text of Plume's own documentation.
//
//   ./run demo            or    demo [--steps N] [--seed N] [--text PATH]
//
// Two causal transformer blocks read 128 characters and guess the next one. Before training each of the
// characters is as likely as any other; at the end the program checks that a held-out tenth of the text is
// guessed better than by counting how often each character occurs, and shows what the model writes.
//
// Everything is in this file: text, model, training loop. Same seed, same machine: same numbers, whatever
// the number of threads.

#include <unistd.h>  // isatty

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "plume/autograd/backward.hpp"
#include "plume/core/random.hpp"
#include "plume/ops/attention.hpp"
#include "plume/ops/embedding.hpp"
#include "plume/ops/gelu.hpp"
#include "plume/ops/layer_norm.hpp"
#include "plume/ops/linear.hpp"
#include "plume/ops/linear_cross_entropy.hpp"
#include "plume/ops/operators.hpp"
#include "plume/ops/permute.hpp"
#include "plume/ops/reshape.hpp"
#include "plume/ops/slice.hpp"
#include "plume/ops/softmax.hpp"
#include "plume/ops/split.hpp"
#include "plume/optim/adamw.hpp"
#include "plume/optim/clip.hpp"
#include "plume/optim/schedule.hpp"

using namespace plume;
namespace fs = std::filesystem;

namespace {

constexpr index_t layers = 2;
constexpr index_t B = 8;    // sequences per step
constexpr index_t T = 128;  // characters the model sees
constexpr index_t D = 128;  // width
constexpr index_t H = 4;    // heads

using Tokens = Tensor<std::int64_t>;

// ---- text -----------------------------------------------------------------------------------------

// Characters as numbers: 0 for those that training has not seen, then one for each other byte.
struct Alphabet {
  std::array<std::int64_t, 256> id{};
  std::string characters = "?";

  explicit Alphabet(const std::string& text) {
    for (const char c : text) {
      std::int64_t& i = id[static_cast<unsigned char>(c)];
      if (i != 0) continue;
      i = static_cast<std::int64_t>(characters.size());
      characters += c;
    }
  }
  [[nodiscard]] index_t size() const { return static_cast<index_t>(characters.size()); }
  [[nodiscard]] Tokens encode(const std::string& text) const {
    Tokens out(Shape{static_cast<index_t>(text.size())});
    for (std::size_t i = 0; i < text.size(); ++i) {
      out.data()[i] = id[static_cast<unsigned char>(text[i])];
    }
    return out;
  }
};

struct Text {
  std::string train, held_out;
};

// The given files, and the .md files of the given folders. The last tenth of each is held out.
Text read_text(const std::vector<fs::path>& paths) {
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    if (fs::is_directory(path)) {
      for (const auto& entry : fs::directory_iterator(path)) {
        if (entry.path().extension() == ".md") files.push_back(entry.path());
      }
    } else {
      files.push_back(path);
    }
  }
  std::sort(files.begin(), files.end());  // a folder lists them in any order
  Text text;
  for (const fs::path& file : files) {
    std::ifstream in(file, std::ios::binary);
    if (!in) fail<ValueError>("demo", "a readable file", file.string());
    const std::string all{std::istreambuf_iterator<char>(in), {}};
    const std::size_t cut = all.size() - all.size() / 10;
    text.train += all.substr(0, cut);
    text.held_out += all.substr(cut);
  }
  if (text.held_out.size() <= static_cast<std::size_t>(T)) {
    fail<ValueError>("demo", cat("more than ", 10 * T, " characters of text"),
                     text.train.size() + text.held_out.size());
  }
  return text;
}

// What it costs, in nats, to guess a character of the held-out text by its frequency in the other.
double frequency_loss(const Alphabet& alphabet, const Text& text) {
  const auto V = static_cast<std::size_t>(alphabet.size());
  std::vector<double> count(V, 1);  // as if each had been seen once more
  const auto id = [&](char c) {
    return static_cast<std::size_t>(alphabet.id[static_cast<unsigned char>(c)]);
  };
  for (const char c : text.train) count[id(c)] += 1;
  const double total = static_cast<double>(text.train.size() + V);
  double loss = 0;
  for (const char c : text.held_out) loss -= std::log(count[id(c)] / total);
  return loss / static_cast<double>(text.held_out.size());
}

// Sequences of T characters, and for each character the one that follows it.
struct Batch {
  Tokens input, next;  // [B, T]
};

Batch make_batch(const Tokens& text, const std::vector<index_t>& starts) {
  const auto rows = static_cast<index_t>(starts.size());
  Batch batch{Tokens(Shape{rows, T}), Tokens(Shape{rows, T})};
  for (index_t b = 0; b < rows; ++b) {
    const index_t start = starts[static_cast<std::size_t>(b)];
    batch.input.select(0, b).copy_from(text.slice(0, start, start + T));
    batch.next.select(0, b).copy_from(text.slice(0, start + 1, start + T + 1));
  }
  return batch;
}

// ---- model ----------------------------------------------------------------------------------------

// Parameters in the order in which they were made: weights, which decay, and the others, which do not.
struct Parameters {
  Generator random;
  std::vector<Var<float>> weights, others;

  Var<float> weight(index_t outputs, index_t inputs, double gain = 1) {
    const double deviation = gain / std::sqrt(static_cast<double>(inputs));
    weights.push_back(trainable(normal<float>({outputs, inputs}, random, 0, deviation)));
    return weights.back();
  }
  Var<float> table(index_t rows) {
    others.push_back(trainable(normal<float>({rows, D}, random, 0, 0.1)));
    return others.back();
  }
  Var<float> vector(index_t size, float value) {
    others.push_back(trainable(full<float>({size}, value)));
    return others.back();
  }
  [[nodiscard]] std::vector<Var<float>> all() const {
    std::vector<Var<float>> out = weights;
    out.insert(out.end(), others.begin(), others.end());
    return out;
  }
};

// x + attention(norm(x)), then x + mlp(norm(x))
struct Block {
  Var<float> norm1, bias1, qkv, qkv_bias, out, out_bias;
  Var<float> norm2, bias2, up, up_bias, down, down_bias;

  explicit Block(Parameters& p)
      : norm1(p.vector(D, 1)),
        bias1(p.vector(D, 0)),
        qkv(p.weight(3 * D, D)),
        qkv_bias(p.vector(3 * D, 0)),
        out(p.weight(D, D, 0.5)),
        out_bias(p.vector(D, 0)),
        norm2(p.vector(D, 1)),
        bias2(p.vector(D, 0)),
        up(p.weight(4 * D, D)),
        up_bias(p.vector(4 * D, 0)),
        down(p.weight(D, 4 * D, 0.5)),
        down_bias(p.vector(D, 0)) {}

  Var<float> operator()(const Var<float>& x) const {
    const Var<float> h = x + linear(self_attention(layer_norm(x, norm1, bias1)), out, out_bias);
    const Var<float> inner = gelu(linear(layer_norm(h, norm2, bias2), up, up_bias));
    return h + linear(inner, down, down_bias);
  }
  [[nodiscard]] Var<float> self_attention(const Var<float>& x) const {
    const index_t rows = x.size(0), times = x.size(1);
    const auto heads = [&](const Var<float>& z) {  // [B, T, D] to [B, H, T, D / H]
      return permute(reshape(z, {rows, times, H, D / H}), {0, 2, 1, 3});
    };
    const auto [q, k, v] = split<3>(linear(x, qkv, qkv_bias));
    const Var<float> y = attention(heads(q), heads(k), heads(v), {.causal = true});
    return reshape(permute(y, {0, 2, 1, 3}), {rows, times, D});
  }
};

struct LanguageModel {
  Var<float> characters, positions, norm, bias, head;
  std::vector<Block> blocks;

  LanguageModel(Parameters& p, index_t V)
      : characters(p.table(V)),
        positions(p.table(T)),
        norm(p.vector(D, 1)),
        bias(p.vector(D, 0)),
        head(p.weight(V, D)) {
    for (index_t i = 0; i < layers; ++i) blocks.emplace_back(p);
  }
  // tokens [B, T] to hidden states [B, T, D]
  [[nodiscard]] Var<float> hidden(const Tokens& tokens) const {
    Var<float> x = embedding(characters, tokens) + slice(positions, 0, 0, tokens.size(1));
    for (const Block& block : blocks) x = block(x);
    return layer_norm(x, norm, bias);
  }
  // Mean over all characters of -log p(next). The B T V table of logits is never stored.
  [[nodiscard]] Var<float> loss(const Batch& batch) const {
    return linear_cross_entropy(hidden(batch.input), head, batch.next);
  }
  // Probabilities of the character after the last one of `tokens` [1, T].
  [[nodiscard]] Tensor<float> next(const Tokens& tokens) const {
    const NoGrad scope;
    const Tensor<float> h = hidden(tokens).value().select(1, tokens.size(1) - 1);
    return softmax(linear(h, head.value()) / 0.8, -1);  // a little bolder than it is
  }
};

// ---- training -------------------------------------------------------------------------------------

struct Options {
  index_t steps = 800;
  index_t seed = 1;
  std::vector<fs::path> text{fs::path(PLUME_SOURCE_DIR) / "docs",
                             fs::path(PLUME_SOURCE_DIR) / "README.md"};
};

[[noreturn]] void help(int status) {
  std::fputs(
      "usage: demo [--steps N] [--seed N] [--text PATH]\n\n"
      "  --steps N    training steps (800; from 200 on the result is checked)\n"
      "  --seed N     of the first weights and of the order of the text (1)\n"
      "  --text PATH  a file, or a folder of .md files (Plume's docs/ and README.md)\n",
      status == 0 ? stdout : stderr);
  std::exit(status);
}

Options parse(int argc, char** argv) {
  Options options;
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& name = arguments[i];
    if (name == "--help" || name == "-h") help(0);
    if (name != "--steps" && name != "--seed" && name != "--text") {
      std::fprintf(stderr, "demo: there is no option %s\n\n", name.c_str());
      help(2);
    }
    if (++i == arguments.size()) fail<ValueError>("demo", cat("a value after ", name), "nothing");
    const std::string& value = arguments[i];
    if (name == "--text") {
      if (!fs::exists(value)) fail<ValueError>("demo", "a file or folder after --text", value);
      options.text = {value};
      continue;
    }
    index_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error != std::errc() || end != value.data() + value.size() || number < 1) {
      fail<ValueError>("demo", cat("a number of at least 1 after ", name), value);
    }
    (name == "--steps" ? options.steps : options.seed) = number;
  }
  return options;
}

double held_out_loss(const LanguageModel& model, const Tokens& text) {
  const NoGrad scope;
  double sum = 0;
  index_t batches = 0;
  for (index_t at = 0; at + T + 1 <= text.numel(); ++batches) {
    std::vector<index_t> starts;
    for (; std::ssize(starts) < B && at + T + 1 <= text.numel(); at += T) starts.push_back(at);
    sum += static_cast<double>(model.loss(make_batch(text, starts)).value().item()) *
           static_cast<double>(starts.size());
  }
  return sum / static_cast<double>((text.numel() - 1) / T);
}

std::string continue_text(const LanguageModel& model, const Alphabet& alphabet,
                          const std::string& start, int length, Generator& random) {
  std::string text = start;
  for (int i = 0; i < length; ++i) {
    const std::size_t seen = std::min(text.size(), static_cast<std::size_t>(T));
    const Tokens tokens = alphabet.encode(text.substr(text.size() - seen));
    const Tensor<float> p = model.next(tokens.unsqueeze(0));
    double u = random.uniform();
    index_t pick = 0;
    while (pick + 1 < p.numel() && (u -= static_cast<double>(p(0, pick))) >= 0) ++pick;
    text += alphabet.characters[static_cast<std::size_t>(pick)];
  }
  return text.substr(start.size());
}

// One line that is written over on a terminal, and now and then a line elsewhere.
class Progress {
 public:
  explicit Progress(index_t steps) : steps_(steps) {}

  void operator()(index_t step, double loss) {
    const bool last = step == steps_;
    if (!terminal_ && step % 100 != 0 && !last) return;
    using seconds = std::chrono::duration<double>;
    const double spent = seconds(std::chrono::steady_clock::now() - start_).count();
    const double rate = static_cast<double>(step * B * T) / spent;
    const double left = spent / static_cast<double>(step) * static_cast<double>(steps_ - step);
    std::printf("%sstep %4lld of %lld   loss %.3f   %6.0f characters/s   %3.0f s left %s",
                terminal_ ? "\r" : "", static_cast<long long>(step), static_cast<long long>(steps_),
                loss, rate, left, terminal_ && !last ? "" : "\n");
    std::fflush(stdout);
  }

 private:
  index_t steps_;
  bool terminal_ = isatty(STDOUT_FILENO) != 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

int run(const Options& options) {
  const Text text = read_text(options.text);
  const Alphabet alphabet(text.train);
  const Tokens train = alphabet.encode(text.train);
  const Tokens held_out = alphabet.encode(text.held_out);

  Parameters parameters{Generator(static_cast<std::uint64_t>(options.seed)), {}, {}};
  const LanguageModel model(parameters, alphabet.size());
  const std::vector<Var<float>> all = parameters.all();
  index_t count = 0;
  for (const Var<float>& p : all) count += p.numel();
  std::printf("text    %lld characters of %lld kinds, and %lld held out\n",
              static_cast<long long>(train.numel()), static_cast<long long>(alphabet.size()),
              static_cast<long long>(held_out.numel()));
  std::printf("model   %lld layers, width %lld, %lld heads: %lld parameters\n",
              static_cast<long long>(layers), static_cast<long long>(D), static_cast<long long>(H),
              static_cast<long long>(count));

  AdamW<float> optimizer;
  optimizer.add_group(parameters.weights,
                      {.learning_rate = 3e-3, .beta2 = 0.98, .weight_decay = 0.1});
  optimizer.add_group(parameters.others, {.learning_rate = 3e-3, .beta2 = 0.98, .weight_decay = 0});
  const Schedule schedule =
      Schedule::cosine(std::min<index_t>(40, options.steps / 4), options.steps + 1);

  const double before = held_out_loss(model, held_out);
  Progress progress(options.steps);
  Generator& random = parameters.random;
  for (index_t step = 1; step <= options.steps; ++step) {
    std::vector<index_t> starts;
    for (index_t b = 0; b < B; ++b) starts.push_back(random.below(train.numel() - T));
    const Var<float> loss = model.loss(make_batch(train, starts));
    optimizer.zero_grad();
    backward(loss);
    clip_gradients<float>(all, 1);
    optimizer.step(schedule(step));
    progress(step, static_cast<double>(loss.value().item()));
  }

  const std::string start = "Every op ";
  std::printf("\nafter \"%s\" the model writes:\n\n  %s", start.c_str(), start.c_str());
  for (const char c : continue_text(model, alphabet, start, 400, random)) {
    std::printf(c == '\n' ? "\n  " : "%c", c);
  }
  const double after = held_out_loss(model, held_out);
  const double bound = frequency_loss(alphabet, text) - 0.5;
  std::printf(
      "\n\nheld-out loss %.3f before, %.3f after; at most %.3f is demanded (half a nat "
      "better than character frequencies)\n",
      before, after, bound);
  if (options.steps < 200) {
    std::puts("not checked: fewer than 200 steps");
    return 0;
  }
  if (!(after <= bound)) {
    std::fputs("demo: the model did not learn\n", stderr);
    return 1;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    return run(parse(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 2;
  }
}
