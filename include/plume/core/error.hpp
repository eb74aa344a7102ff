#pragma once
// The exceptions of Plume and the one form of their messages: "[op] expected ..., got ...".

#include <initializer_list>
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

/// One part of a message: text, a number, or anything with a `to_string`. A view that is gone after the
/// call, so that the hundreds of checks of a program compile to almost nothing.
class Piece {
 public:
  Piece(const char* text) noexcept : text_(text) {}
  Piece(std::string_view text) noexcept : text_(text) {}
  Piece(const std::string& text) noexcept : text_(text) {}
  template <class P>
  requires std::is_arithmetic_v<P> Piece(P value)
  noexcept {
    if constexpr (std::is_same_v<P, bool>) {
      text_ = value ? "true" : "false";
    } else if constexpr (std::is_floating_point_v<P>) {
      real_ = static_cast<double>(value);
      append_ = append_real;
    } else if constexpr (std::is_signed_v<P>) {
      integer_ = value;
      append_ = append_integer;
    } else {
      natural_ = value;
      append_ = append_natural;
    }
  }
  template <class P>
  requires requires(const P& object) { to_string(object); }
  Piece(const P& object) noexcept : object_(&object) {
    append_ = [](std::string& out, const Piece& piece) {
      out += to_string(*static_cast<const P*>(piece.object_));
    };
  }

  void append_to(std::string& out) const { append_(out, *this); }

 private:
  // No lambdas: one of each for all types of numbers.
  static void append_real(std::string& out, const Piece& p) { out += std::to_string(p.real_); }
  static void append_integer(std::string& out, const Piece& p) {
    out += std::to_string(p.integer_);
  }
  static void append_natural(std::string& out, const Piece& p) {
    out += std::to_string(p.natural_);
  }

  std::string_view text_;
  union {
    long long integer_;
    unsigned long long natural_;
    double real_;
    const void* object_ = nullptr;
  };
  void (*append_)(std::string&, const Piece&) = [](std::string& out, const Piece& piece) {
    out += piece.text_;
  };
};

[[gnu::noinline]] inline std::string join(std::initializer_list<Piece> pieces) {
  std::string out;
  for (const Piece& piece : pieces) piece.append_to(out);
  return out;
}

}  // namespace detail

/// Joins strings, numbers and anything with a `to_string` into one string.
template <class... Parts>
std::string cat(const Parts&... parts) {
  return detail::join({detail::Piece(parts)...});
}

/// Throws E with "[op] expected <expected>, got <got>".
template <class E>
[[noreturn, gnu::cold, gnu::noinline]] void fail(std::string_view op, detail::Piece expected,
                                                 detail::Piece got) {
  throw E(detail::join({"[", op, "] expected ", expected, ", got ", got}));
}

}  // namespace plume
