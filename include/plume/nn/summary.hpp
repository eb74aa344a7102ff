#pragma once
// summary: a model as a tree of text: names, shapes, parameters, bytes, frozen or trainable.

#include <string>

#include "plume/nn/module.hpp"

namespace plume::nn {

struct Totals {
  index_t trainable = 0;
  index_t frozen = 0;
  std::size_t bytes = 0;
};

inline Totals totals(const Module& module) {
  Totals t;
  for_each_parameter(module, [&](const std::string&, const ParameterBase& p) {
    (p.trainable() ? t.trainable : t.frozen) += p.shape().numel();
    t.bytes += p.bytes();
  });
  return t;
}

namespace detail {

/// 12345678 as "12,345,678".
inline std::string grouped(index_t n) {
  std::string digits = cat(n);
  for (auto i = static_cast<index_t>(digits.size()) - 3; i > 0; i -= 3) {
    digits.insert(static_cast<std::size_t>(i), ",");
  }
  return digits;
}

inline std::string size_text(std::size_t bytes) {
  constexpr std::string_view units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  std::size_t tenths = bytes * 10;
  while (tenths >= 10240 && unit + 1 < std::size(units)) {
    tenths /= 1024;
    ++unit;
  }
  return unit == 0 ? cat(bytes, " B") : cat(tenths / 10, ".", tenths % 10, " ", units[unit]);
}

inline void summarize(const Module& module, const std::string& indent, int depth,
                      std::string& out) {
  for (const ParameterBase* p : module.own_parameters()) {
    out += cat(indent, p->name(), "  ", name(p->stored_dtype()), p->shape(), "  ",
               grouped(p->shape().numel()), p->trainable() ? "  trainable" : "  frozen", "\n");
  }
  for (const Module* child : module.children()) {
    const Totals t = totals(*child);
    const std::string_view state = t.frozen == 0      ? "trainable"
                                   : t.trainable == 0 ? "frozen"
                                                      : "partly frozen";
    out += cat(indent, child->name(), "  ", grouped(t.trainable + t.frozen), " parameters  ",
               size_text(t.bytes), "  ", state, "\n");
    if (depth != 1) summarize(*child, indent + "  ", depth - 1, out);
  }
}

}  // namespace detail

/// The tree below `module`, `depth` levels of modules (0: all), and a line of totals.
inline std::string summary(const Module& module, int depth = 0) {
  std::string out;
  detail::summarize(module, "", depth, out);
  const Totals t = totals(module);
  return cat(out, "total  ", detail::grouped(t.trainable + t.frozen), " parameters, ",
             detail::grouped(t.trainable), " trainable, ", detail::grouped(t.frozen), " frozen, ",
             detail::size_text(t.bytes), "\n");
}

}  // namespace plume::nn
