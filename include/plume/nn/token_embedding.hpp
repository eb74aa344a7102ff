#pragma once
// TokenEmbedding: the table of a language model, of which a few rows may train.
//
// Flamingo trains the rows of <image> and <|endofchunk|> alone. They are a parameter of their own, laid over
// the frozen table, on the way in and (where the table is also the output matrix) on the way out. So no
// gradient, moment or all-reduce of the size of the vocabulary exists, and the gradient is the reference's
// masked gradient.

#include <optional>

#include "plume/nn/module.hpp"
#include "plume/ops/add.hpp"
#include "plume/ops/embedding.hpp"
#include "plume/ops/linear_cross_entropy.hpp"
#include "plume/ops/matmul.hpp"
#include "plume/ops/mul.hpp"

namespace plume::nn {

template <Floating T>
class TokenEmbedding : public Module {
 public:
  Parameter<T> weight;                  ///< [V, d]
  std::optional<Parameter<T>> overlay;  ///< [K, d]: the rows that train

  TokenEmbedding(Module& owner, std::string name, index_t vocabulary, index_t width,
                 double deviation = 0.02)
      : Module(owner, std::move(name)),
        weight(*this, "weight", {vocabulary, width}, Init::normal(deviation)) {}

  [[nodiscard]] index_t vocabulary() const noexcept { return weight.shape()[0]; }
  [[nodiscard]] const std::vector<std::int64_t>& overlay_ids() const noexcept { return ids_; }

  /// Freezes the table and lets the rows of `ids` train, from the values they have in it.
  void train_rows(std::vector<std::int64_t> ids) {
    if (overlay) fail<ValueError>(path(), "train_rows to be called once", "a second call");
    const index_t d = weight.shape()[1];
    for (const std::int64_t id : ids) {
      if (id < 0 || id >= vocabulary())
        fail<ValueError>(path(), cat("ids below ", vocabulary()), id);
    }
    ids_ = std::move(ids);
    weight.set_trainable(false);
    overlay.emplace(*this, "trainable_rows", Shape{static_cast<index_t>(ids_.size()), d},
                    Init::zeros());
    if (weight.has_values()) refresh_overlay();
  }
  /// Takes the rows that train from the table again, after the table was loaded; into the memory they have, so that
  /// an optimizer made before goes on with them.
  void refresh_overlay() {
    if (!overlay) return;
    Tensor<T> rows(overlay->shape());
    for (std::size_t k = 0; k < ids_.size(); ++k) {
      rows.select(0, static_cast<index_t>(k)).copy_from(weight().value().select(0, ids_[k]));
    }
    if (!overlay->has_values()) return overlay->set_value(rows);
    Tensor<T> values = overlay->value();
    values.copy_from(rows);
  }

  /// [V, d]: the table with the rows that train in their places.
  [[nodiscard]] Tensor<T> table() const {
    if (!overlay) return weight().value();
    Tensor<T> out = weight().value().clone();
    for (std::size_t k = 0; k < ids_.size(); ++k)
      out.select(0, ids_[k]).copy_from((*overlay)().value().select(0, static_cast<index_t>(k)));
    return out;
  }

  /// [B, T] to [B, T, d].
  Var<T> operator()(const Tensor<std::int64_t>& ids) const {
    const ModuleScope scope(name().c_str());
    const Var<T> frozen = embedding(weight(), ids);
    if (!overlay) return frozen;
    Tensor<std::int64_t> row = zeros<std::int64_t>(ids.shape());
    Dims one_each = ids.shape();
    one_each.push_back(1);
    Tensor<T> trains = zeros<T>(Shape(one_each));
    Tensor<T> rests = ones<T>(Shape(one_each));
    const Tensor<std::int64_t> compact = ids.contiguous();
    for (index_t i = 0; i < compact.numel(); ++i) {
      for (std::size_t k = 0; k < ids_.size(); ++k) {
        if (compact.data()[i] != ids_[k]) continue;
        row.data()[i] = static_cast<std::int64_t>(k);
        trains.data()[i] = static_cast<T>(1.0F);
        rests.data()[i] = T{};
      }
    }
    return add(mul(frozen, constant(rests)), mul(embedding((*overlay)(), row), constant(trains)));
  }

  /// x [.., d] to logits [.., V] with the table as output matrix (tied embeddings).
  Var<T> logits(const Var<T>& x) const {
    const Var<T> frozen = linear(x, weight());
    if (!overlay) return frozen;
    Tensor<T> rests = ones<T>(Shape{vocabulary()});
    Tensor<T> place = zeros<T>(Shape{static_cast<index_t>(ids_.size()), vocabulary()});
    for (std::size_t k = 0; k < ids_.size(); ++k) {
      rests(ids_[k]) = T{};
      place(static_cast<index_t>(k), ids_[k]) = static_cast<T>(1.0F);
    }
    return add(mul(frozen, constant(rests)), matmul(linear(x, (*overlay)()), constant(place)));
  }
  /// Mean cross-entropy of logits(x) against targets [..], -100 not counted, without holding the logits.
  Var<T> cross_entropy(const Var<T>& x, const Tensor<std::int64_t>& targets) const {
    return overlay ? linear_cross_entropy(x, weight(), (*overlay)(), ids_, targets)
                   : linear_cross_entropy(x, weight(), targets);
  }

 private:
  std::vector<std::int64_t> ids_;
};

}  // namespace plume::nn
