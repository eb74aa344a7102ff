#pragma once
// Field: a value inside a JSON file that knows its own name, so that every refusal says which field it was.

#include <string>
#include <utility>
#include <vector>

#include "plume/io/json.hpp"

namespace plume::text {

class Field {
 public:
  /// The whole document, which must outlive this object and what comes from it; `file` is for messages.
  Field(std::string file, const io::Json& json) : file_(std::move(file)), json_(&json) {}

  /// A member; "null" where there is none. Throws FormatError where this is no object.
  [[nodiscard]] Field operator[](const std::string& key) const {
    static const io::Json nothing;
    if (!is_null() && !json_->is_object()) refuse("an object");
    const auto found = is_null() ? json_->end() : json_->find(key);
    return {file_, name_.empty() ? key : name_ + "." + key,
            is_null() || found == json_->end() ? nothing : *found};
  }

  [[nodiscard]] bool is_null() const { return json_->is_null(); }
  [[nodiscard]] bool is_string() const { return json_->is_string(); }
  [[nodiscard]] const io::Json& json() const { return *json_; }

  [[nodiscard]] const std::string& string() const {
    if (!json_->is_string()) refuse("a string");
    return json_->get_ref<const std::string&>();
  }
  [[nodiscard]] std::string string_or(std::string absent) const {
    return is_null() ? std::move(absent) : string();
  }
  [[nodiscard]] bool boolean_or(bool absent) const {
    if (is_null()) return absent;
    if (!json_->is_boolean()) refuse("true or false");
    return json_->get<bool>();
  }
  /// An integer of 0 to `highest`.
  [[nodiscard]] std::int64_t integer(std::int64_t highest) const {
    if (!json_->is_number_integer() ||
        (json_->is_number_unsigned() &&
         json_->get<std::uint64_t>() > static_cast<std::uint64_t>(highest)) ||
        json_->get<std::int64_t>() < 0) {
      refuse(cat("an integer of 0 to ", highest));
    }
    return json_->get<std::int64_t>();
  }
  [[nodiscard]] std::vector<Field> list() const {
    std::vector<Field> out;
    if (is_null()) return out;
    if (!json_->is_array()) refuse("a list");
    for (std::size_t i = 0; i < json_->size(); ++i) {
      out.push_back({file_, cat(name_, "[", i, "]"), (*json_)[i]});
    }
    return out;
  }
  /// Refuses anything but null and `only`.
  void only(const io::Json& only) const {
    if (!is_null() && *json_ != only) refuse(io::print_json(only));
  }

  [[noreturn]] void refuse(const std::string& expected) const {
    std::string got = json_->dump(-1, ' ', false, io::Json::error_handler_t::replace);
    if (got.size() > 80) got = got.substr(0, 77) + "...";
    fail<FormatError>(file_, cat(name_.empty() ? "the document" : name_, " to be ", expected), got);
  }

 private:
  Field(std::string file, std::string name, const io::Json& json)
      : file_(std::move(file)), name_(std::move(name)), json_(&json) {}

  std::string file_;
  std::string name_;
  const io::Json* json_;
};

}  // namespace plume::text
