#pragma once
// How an op gets its rows:
//
//   const Rows exp_rows = Bench("exp", {normal({8192, 2048})}, PLUME_OP(exp))
//                             .forward(moves(2 * bytes)).backward(moves(3 * bytes));
//
// The function is given twice: as the op on Vars (forward times it with nothing to record, backward times
// what it recorded) and as the definition, which decides whether the result is right. Without that no time
// is taken.

#include <tuple>

#include "bench/row.hpp"
#include "bench/verify.hpp"
#include "plume/autograd/backward.hpp"

/// An op and its definition, both as functions of all inputs.
#define PLUME_OP(op)                                    \
  [](const auto&... in) { return ::plume::op(in...); }, \
      [](const auto&... in) { return ::plume::definition::op(in...); }

namespace plume::bench {

/// How an input is made. `trains`: backward wants its gradient. `sampled`: its first axis runs along with
/// that of the result, so that a check may look at some items of it; a weight is not sampled.
struct Input {
  Shape shape;
  double low = 0, high = 1;  ///< uniform, or (mean, deviation) if normal
  bool is_normal = true;
  bool trains = true;
  bool sampled = true;

  [[nodiscard]] Input frozen() const {
    return with([](Input& in) { in.trains = false; });
  }
  [[nodiscard]] Input whole() const {
    return with([](Input& in) { in.sampled = false; });
  }
  [[nodiscard]] Tensor<float> make(Generator& generator) const {
    return is_normal ? plume::normal<float>(shape, generator, low, high)
                     : plume::uniform<float>(shape, generator, low, high);
  }

 private:
  template <class F>
  [[nodiscard]] Input with(F change) const {
    Input copy = *this;
    change(copy);
    return copy;
  }
};
inline Input normal(const Shape& shape, double deviation = 1) { return {shape, 0, deviation}; }
inline Input uniform(const Shape& shape, double low, double high) {
  return {shape, low, high, false};
}
inline double bytes(const Shape& shape) {
  return static_cast<double>(shape.numel()) * sizeof(float);
}
inline std::string shape_name(const Shape& shape) {
  std::string text;
  for (const index_t size : shape) text += cat(text.empty() ? "" : "x", size);
  return text.empty() ? "scalar" : text;
}

namespace detail {
template <std::size_t N, class F, class T>
auto apply(const F& f, const std::array<T, N>& x) {
  return std::apply([&f](const auto&... each) { return f(each...); }, x);
}
}  // namespace detail

/// The rows of one op at one size. N inputs.
template <std::size_t N>
class Bench {
  using Values = std::array<Tensor<float>, N>;
  using Vars = std::array<Var<float>, N>;
  using Doubles = std::array<Tensor<double>, N>;

 public:
  template <class F, class D>
  Bench(std::string op, const Input (&in)[N], F f, D definition, std::string shape = {})
      : op_(std::move(op)),
        vars_([f](const Vars& x) { return detail::apply(f, x); }),
        definition_([definition](const Doubles& x) { return detail::apply(definition, x); }),
        shape_(std::move(shape)) {
    for (std::size_t k = 0; k < N; ++k) inputs_[k] = in[k];
    if (shape_.empty()) shape_ = shape_name(inputs_[0].shape);
  }

  /// Of axis 0 of sampled inputs and results a check looks at `count` items; 0: at all of them.
  Bench& check_items(index_t count) {
    items_ = count;
    return *this;
  }
  Bench& forward(Work work) {
    rows().push_back(make_row("forward", work, [self = *this] { return self.contend_forward(); }));
    return *this;
  }
  Bench& backward(Work work) {
    rows().push_back(
        make_row("backward", work, [self = *this] { return self.contend_backward(); }));
    return *this;
  }
  /// For an op that works out gradients along with the result: backward rows time both.
  Bench& backward_with_forward(Work work) {
    fresh_graph_ = true;
    return backward(work);
  }
  /// A peer of the next forward(): Tensor<float> of the inputs.
  template <class P>
  Bench& forward_peer(std::string name, P peer, int most_threads = 1) {
    forward_peers_.push_back({std::move(name), most_threads, [peer](const Values& x) {
                                return std::vector<Tensor<float>>{detail::apply(peer, x)};
                              }});
    return *this;
  }
  /// A peer of the next backward(): the gradients of the inputs that train, of (dy, inputs...).
  template <class P>
  Bench& backward_peer(std::string name, P peer, int most_threads = 1) {
    backward_peers_.push_back(
        {std::move(name), most_threads, nullptr, [peer](const Tensor<float>& dy, const Values& x) {
           return std::apply([&](const auto&... each) { return peer(dy, each...); }, x);
         }});
    return *this;
  }
  /// A peer for both directions, written in Plume's own ops on Vars: the unfused form of a fused op.
  template <class P>
  Bench& composed_peer(std::string name, P peer) {
    forward_peers_.push_back({name, 1 << 20, [peer](const Values& x) {
                                Vars vars;
                                for (std::size_t k = 0; k < N; ++k) vars[k] = Var<float>(x[k]);
                                return std::vector{detail::apply(peer, vars).value()};
                              }});
    composed_.push_back(
        {std::move(name), [peer](const Vars& x) { return detail::apply(peer, x); }});
    return *this;
  }

 private:
  struct Peer {
    std::string name;
    int most_threads;
    std::function<std::vector<Tensor<float>>(const Values&)> forward{};
    std::function<std::vector<Tensor<float>>(const Tensor<float>&, const Values&)> backward{};
  };
  struct Composed {
    std::string name;
    std::function<Var<float>(const Vars&)> f;
  };

  template <class Make>
  Row make_row(const char* pass, Work work, Make make) {
    Row row{op_, pass, shape_, work, {}, make};
    const bool is_forward = row.pass == "forward";
    for (const Peer& peer : is_forward ? forward_peers_ : backward_peers_)
      row.peers.push_back({peer.name, peer.most_threads});
    if (!is_forward) {
      for (const Composed& peer : composed_) row.peers.push_back({peer.name, 1 << 20});
    }
    return row;
  }

  [[nodiscard]] Values make_inputs() const {
    Generator generator(1);
    Values x;
    for (std::size_t k = 0; k < N; ++k) x[k] = inputs_[k].make(generator);
    return x;
  }
  [[nodiscard]] Doubles sampled(const Values& x) const {
    Doubles out;
    for (std::size_t k = 0; k < N; ++k) {
      out[k] = sample(x[k], inputs_[k].sampled ? items_ : 0).template cast<double>();
    }
    return out;
  }

  // ---- forward
  [[nodiscard]] Tensor<float> value(const Values& x) const {
    Vars vars;
    for (std::size_t k = 0; k < N; ++k)
      vars[k] = Var<float>(x[k]);  // none trains: nothing is recorded
    return vars_(vars).value();
  }
  [[nodiscard]] std::vector<Contender> contend_forward() const {
    struct State {
      Values x;
      Tensor<float> y;
    };
    const auto state = std::make_shared<State>(State{make_inputs(), {}});
    const auto run = [self = *this, state] {
      state->y = {};  // its memory is used again, as in a training step
      state->y = self.value(state->x);
    };
    std::vector<Contender> out{{"plume", run,
                                [self = *this, state, run] {
                                  run();
                                  return differs("result", sample(state->y, self.items_),
                                                 self.definition_(self.sampled(state->x)),
                                                 against_definition);
                                },
                                [self = *this, state] { (void)self.value(state->x); }}};
    for (const Peer& peer : forward_peers_) {
      const auto result = std::make_shared<Tensor<float>>();
      const auto run_peer = [state, result, forward = peer.forward] {
        *result = {};
        *result = forward(state->x)[0];
      };
      out.push_back({peer.name, run_peer,
                     [state, result, run, run_peer] {
                       run();
                       run_peer();
                       return differs("result", *result, state->y.template cast<double>(),
                                      against_peer);
                     },
                     [state, forward = peer.forward] { forward(state->x); }});
    }
    return out;
  }

  // ---- backward
  struct Graph {
    Values x;
    Tensor<float> dy;
    Vars vars;
    Var<float> y;

    void run(const Tensor<float>& cotangent) {
      for (const Var<float>& v : vars) v.zero_grad();
      plume::backward(y, cotangent, {.retain_graph = true});
    }
    [[nodiscard]] std::vector<Tensor<float>> trained() const {
      std::vector<Tensor<float>> out;
      for (const Var<float>& v : vars) {
        if (v.requires_grad()) out.push_back(v.grad());
      }
      return out;
    }
  };

  [[nodiscard]] std::shared_ptr<Graph> make_graph(
      const Values& x, const Tensor<float>& dy,
      const std::function<Var<float>(const Vars&)>& f) const {
    const auto graph = std::make_shared<Graph>();
    graph->x = x;
    for (std::size_t k = 0; k < N; ++k) graph->vars[k] = Var<float>(x[k], inputs_[k].trains);
    graph->y = f(graph->vars);
    Generator generator(2);
    graph->dy = dy.defined() ? dy : plume::normal<float>(graph->y.shape(), generator);
    return graph;
  }

  [[nodiscard]] std::vector<Contender> contend_backward() const {
    const auto graph = make_graph(make_inputs(), {}, vars_);
    const auto time = [self = *this, graph] {
      if (self.fresh_graph_) graph->y = self.vars_(graph->vars);
      graph->run(graph->dy);
    };
    std::vector<Contender> out{{"plume", time,
                                [self = *this, graph] { return self.check_backward(*graph); },
                                [self = *this, graph] {
                                  self.make_graph(graph->x, graph->dy, self.vars_)->run(graph->dy);
                                }}};
    const auto against_ours = [graph](const std::vector<Tensor<float>>& theirs) -> std::string {
      graph->run(graph->dy);
      const auto ours = graph->trained();
      if (theirs.size() != ours.size()) return "another number of gradients";
      for (std::size_t k = 0; k < ours.size(); ++k) {
        std::string wrong =
            differs(cat("gradient ", k), theirs[k], ours[k].template cast<double>(), against_peer);
        if (!wrong.empty()) return wrong;
      }
      return "";
    };
    for (const Peer& peer : backward_peers_) {
      const auto result = std::make_shared<std::vector<Tensor<float>>>();
      const auto run = [graph, result, backward = peer.backward] {
        result->clear();
        *result = backward(graph->dy, graph->x);
      };
      out.push_back({peer.name, run,
                     [run, result, against_ours] {
                       run();
                       return against_ours(*result);
                     },
                     [graph, backward = peer.backward] { backward(graph->dy, graph->x); }});
    }
    for (const Composed& peer : composed_) {
      const auto theirs = std::make_shared<std::shared_ptr<Graph>>();
      const auto build = [self = *this, graph, f = peer.f] {
        return self.make_graph(graph->x, graph->dy, f);
      };
      const auto run = [self = *this, build, graph, theirs] {
        if (*theirs == nullptr || self.fresh_graph_) *theirs = build();
        (*theirs)->run(graph->dy);
      };
      out.push_back({peer.name, run,
                     [run, theirs, against_ours] {
                       run();
                       return against_ours((*theirs)->trained());
                     },
                     [build, graph] { build()->run(graph->dy); }});
    }
    return out;
  }

  // The full problem with a cotangent that is zero outside the sample has the gradients of the sample.
  [[nodiscard]] std::string check_backward(Graph& graph) const {
    Tensor<float> dy = graph.dy;
    if (items_ != 0 && dy.rank() > 0 && dy.size(0) > items_) {
      dy = zeros<float>(graph.dy.shape());
      sample(dy, items_).copy_from(sample(graph.dy, items_));
    }
    graph.run(dy);
    const Doubles x = sampled(graph.x);
    const Tensor<double> cotangent = sample(dy, items_).template cast<double>();
    for (std::size_t k = 0; k < N; ++k) {
      if (!inputs_[k].trains) continue;
      const auto of_k = [&](const Tensor<double>& value) {
        Doubles at = x;
        at[k] = value;
        return definition_(at);
      };
      const Tensor<double> dx =
          sample(graph.vars[k].grad(), inputs_[k].sampled ? items_ : 0).template cast<double>();
      std::string wrong =
          differs_from_difference(cat("gradient of input ", k), of_k, x[k], dx, cotangent);
      if (!wrong.empty()) return wrong;
    }
    return "";
  }

  std::string op_;
  std::function<Var<float>(const Vars&)> vars_;
  std::function<Tensor<double>(const Doubles&)> definition_;
  std::string shape_;
  std::array<Input, N> inputs_;
  std::vector<Peer> forward_peers_, backward_peers_;
  std::vector<Composed> composed_;
  index_t items_ = 8;
  bool fresh_graph_ = false;
};

}  // namespace plume::bench
