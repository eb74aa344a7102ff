#pragma once
// The exceptions of Plume and the one form of their messages: "[op] expected ..., got ...".

#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>

namespace plume {

/// A size, rank or axis does not fit.
struct ShapeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
/// A scalar type is not the one required.
struct DtypeError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
/// A device is missing, or operands live on different ones.
struct DeviceError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
/// A value is outside its domain: a probability of 1.5, a token beyond the vocabulary.
struct ValueError : std::invalid_argument {
  using std::invalid_argument::invalid_argument;
};
/// A differentiation rule was broken: no graph, graph already used, scalar needed.
struct AutogradError : std::logic_error {
  using std::logic_error::logic_error;
};
/// NaN or infinity where AnomalyGuard was asked to look.
struct NumericalError : std::runtime_error {
  using std::runtime_error::runtime_error;
};
/// A file is not what it says it is.
struct FormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

namespace detail {
template <class P>
void append(std::string& out, const P& part) {
  if constexpr (std::is_same_v<P, bool>) {
    out += part ? "true" : "false";
  } else if constexpr (std::is_arithmetic_v<P>) {
    out += std::to_string(part);
  } else if constexpr (std::is_convertible_v<const P&, std::string_view>) {
    out += std::string_view(part);
  } else {
    out += to_string(part);  // found by argument-dependent lookup: Shape, Device, ...
  }
}
}  // namespace detail

/// Joins strings, numbers and anything with a `to_string` into one string.
template <class... Parts>
std::string cat(const Parts&... parts) {
  std::string out;
  (detail::append(out, parts), ...);
  return out;
}

/// Throws E with "[op] expected <expected>, got <got>".
template <class E, class Expected, class Got>
[[noreturn]] [[gnu::cold]] void fail(std::string_view op, const Expected& expected,
                                     const Got& got) {
  throw E(cat("[", op, "] expected ", expected, ", got ", got));
}

}  // namespace plume
