#pragma once
// A reader of the pickles PyTorch writes, which can build numbers, text, lists, tuples, dictionaries and
// tensors, and can call nothing. Every global a file names must be on a list of known ones; what they do is
// written here, and none of them does more than arrange the values it is given.
//
// Values live in an arena and refer to each other by pointer, so that neither a cycle nor a nest of a hundred
// thousand lists can leak or overflow the stack. Whoever walks them must bound the walk.

#include <bit>
#include <cstring>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "plume/io/limits.hpp"
#include "plume/io/pickle_globals.hpp"
#include "plume/io/pickle_value.hpp"

namespace plume::io {

class Pickle {
 public:
  /// `torchscript`: classes below __torch__ are opaque objects instead of unknown globals.
  Pickle(std::string file, bool torchscript, const Limits& limits = default_limits)
      : file_(std::move(file)), torchscript_(torchscript), limits_(limits) {}

  /// Runs one pickle from the front of `bytes` and drops it from there. Throws FormatError.
  const PickleValue& load(Bytes& bytes) {
    if (bytes.size() > limits_.pickle_bytes && !allow_tail_)
      refuse(cat("a pickle of at most ", limits_.pickle_bytes, " bytes"), bytes.size());
    input_ = bytes;
    stack_.clear();
    memo_.clear();
    while (step()) {
      if (++steps_ > limits_.pickle_steps)
        refuse(cat("at most ", limits_.pickle_steps, " steps"), "more");
    }
    const PickleValue& result = *pop();
    bytes = input_;
    return result;
  }
  /// Data may follow the pickle (legacy files).
  void allow_tail() noexcept { allow_tail_ = true; }

 private:
  using Kind = PickleValue::Kind;

  template <class Expected, class Got>
  [[noreturn]] void refuse(const Expected& expected, const Got& got) const {
    fail<FormatError>(file_, expected, got);
  }

  // ---- input, stack, memo ----

  Bytes take(std::uint64_t n) {
    if (n > input_.size()) refuse(cat(n, " more bytes of pickle"), input_.size());
    const Bytes out = input_.first(static_cast<std::size_t>(n));
    input_ = input_.subspan(static_cast<std::size_t>(n));
    return out;
  }
  template <class U>
  U number() {
    U value;
    std::memcpy(&value, take(sizeof(U)).data(), sizeof(U));
    return value;
  }
  std::string string(std::uint64_t n) {
    const Bytes b = take(n);
    charge(b.size());
    return {reinterpret_cast<const char*>(b.data()), b.size()};
  }
  std::string line() {
    std::string out;
    while (true) {
      const char c = static_cast<char>(take(1)[0]);
      if (c == '\n') return out;
      out += c;
      if (out.size() > limits_.name_bytes) refuse("a line that ends", "a longer one");
    }
  }
  /// Counts memory. Copies of what is already there must pay too: a few bytes of pickle can ask for many.
  void charge(std::size_t bytes) {
    memory_ += bytes;
    if (memory_ > limits_.pickle_memory)
      refuse(cat("values of at most ", limits_.pickle_memory, " bytes"), "more");
  }
  void charge_copy(const PickleValue& value) {
    charge(value.text.size() + value.items.size() * sizeof(void*));
  }
  void charge_parts(const PickleValue& tuple) {
    for (const PickleValue* part : tuple.items) charge_copy(*part);
  }
  PickleValue* make(Kind kind) {
    charge(sizeof(PickleValue));
    arena_.emplace_back();
    arena_.back().kind = kind;
    return &arena_.back();
  }
  PickleValue* push(Kind kind) {
    stack_.push_back(make(kind));
    return stack_.back();
  }
  PickleValue* top() {
    if (stack_.empty() || stack_.back()->is(Kind::mark))
      refuse("a value on the pickle's stack", "none");
    return stack_.back();
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  std::vector<PickleValue*> pop_to_mark() {
    std::size_t at = stack_.size();
    while (at > 0 && !stack_[at - 1]->is(Kind::mark)) --at;
    if (at == 0) refuse("a mark on the pickle's stack", "none");
    std::vector<PickleValue*> out(stack_.begin() + static_cast<std::ptrdiff_t>(at), stack_.end());
    stack_.resize(at - 1);
    return out;
  }
  void remember(std::uint64_t index) {
    if (memo_.size() >= limits_.pickle_memo)
      refuse(cat("at most ", limits_.pickle_memo, " memo entries"), "more");
    memo_[index] = top();
  }
  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) refuse("a memo entry that was stored", index);
    stack_.push_back(found->second);
  }
  void push_tuple(std::size_t n) {
    std::vector<PickleValue*> items(n);
    for (std::size_t i = n; i-- > 0;) items[i] = pop();
    push(Kind::tuple)->items = std::move(items);
  }
  void push_integer(index_t value) { push(Kind::integer)->integer = value; }
  void push_long(std::uint64_t size) {
    if (size > 8) refuse("an integer of at most 8 bytes", size);
    const Bytes b = take(size);
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < b.size(); ++i) value |= static_cast<std::uint64_t>(b[i]) << 8 * i;
    if (size > 0 && size < 8 && (b.back() & std::byte{0x80}) != std::byte{0})
      value |= ~std::uint64_t{0} << 8 * size;
    push_integer(static_cast<index_t>(value));
  }

  // ---- one opcode; false at the end ----

  bool step() {
    const auto op = static_cast<unsigned char>(take(1)[0]);
    switch (op) {
      case 0x80: {  // PROTO
        const auto version = number<std::uint8_t>();
        if (version < 2 || version > 4) refuse("pickle protocol 2, 3 or 4", version);
        return true;
      }
      case '.':
        return false;
      case 'c': {
        const std::string module = line();
        return global(module, line());
      }
      case 0x93: {  // STACK_GLOBAL
        const PickleValue* name = pop();
        const PickleValue* module = pop();
        if (!name->is(Kind::text) || !module->is(Kind::text))
          refuse("two names for a global", "other values");
        return global(module->text, name->text);
      }
      case '(':
        push(Kind::mark);
        return true;
      case ')':
        push(Kind::tuple);
        return true;
      case 't': {
        auto items = pop_to_mark();
        push(Kind::tuple)->items = std::move(items);
        return true;
      }
      case 0x85:  // TUPLE1, TUPLE2, TUPLE3
      case 0x86:
      case 0x87:
        push_tuple(op - 0x84U);
        return true;
      case ']':
      case 0x8f:  // EMPTY_SET
        push(Kind::list);
        return true;
      case 'l': {
        auto items = pop_to_mark();
        push(Kind::list)->items = std::move(items);
        return true;
      }
      case '}':
        push(Kind::dict);
        return true;
      case 'd': {
        auto items = pop_to_mark();
        set_items(push(Kind::dict), items);
        return true;
      }
      case 'a': {
        PickleValue* item = pop();
        append(top(), {item});
        return true;
      }
      case 'e':
      case 0x90: {  // APPENDS, ADDITEMS
        const auto items = pop_to_mark();
        append(top(), items);
        return true;
      }
      case 's': {
        PickleValue* value = pop();
        PickleValue* key = pop();
        set_items(top(), {key, value});
        return true;
      }
      case 'u': {
        const auto items = pop_to_mark();
        set_items(top(), items);
        return true;
      }
      case 'N':
        push(Kind::none);
        return true;
      case 0x88:
      case 0x89:
        push(Kind::boolean)->integer = op == 0x88;
        return true;
      case 'J':
        push_integer(number<std::int32_t>());
        return true;
      case 'K':
        push_integer(number<std::uint8_t>());
        return true;
      case 'M':
        push_integer(number<std::uint16_t>());
        return true;
      case 0x8a:
        push_long(number<std::uint8_t>());
        return true;
      case 0x8b:
        push_long(number<std::uint32_t>());
        return true;
      case 'G': {
        std::uint64_t bits = number<std::uint64_t>();  // big endian
        bits = __builtin_bswap64(bits);
        push(Kind::real)->real = std::bit_cast<double>(bits);
        return true;
      }
      case 'X':
      case 'T':
        push(Kind::text)->text = string(number<std::uint32_t>());
        return true;
      case 0x8c:
      case 'U':
        push(Kind::text)->text = string(number<std::uint8_t>());
        return true;
      case 0x8d:
        push(Kind::text)->text = string(number<std::uint64_t>());
        return true;
      case 'B':
        push(Kind::bytes)->text = string(number<std::uint32_t>());
        return true;
      case 'C':
        push(Kind::bytes)->text = string(number<std::uint8_t>());
        return true;
      case 0x8e:
        push(Kind::bytes)->text = string(number<std::uint64_t>());
        return true;
      case 'q':
        remember(number<std::uint8_t>());
        return true;
      case 'r':
        remember(number<std::uint32_t>());
        return true;
      case 0x94:
        remember(memo_.size());
        return true;
      case 'h':
        recall(number<std::uint8_t>());
        return true;
      case 'j':
        recall(number<std::uint32_t>());
        return true;
      case '0':
        pop();
        return true;
      case '2':
        stack_.push_back(top());
        return true;
      case 0x95:
        number<std::uint64_t>();
        return true;  // FRAME
      case 'Q':
        persistent_id();
        return true;
      case 'R':
        reduce();
        return true;
      case 0x81:
        new_object();
        return true;
      case 'b':
        build();
        return true;
      default:
        refuse("a pickle instruction that only arranges data",
               cat("opcode ", static_cast<int>(op)));
    }
  }

  void append(PickleValue* list, const std::vector<PickleValue*>& items) {
    if (!list->is(Kind::list)) refuse("a list to append to", "another value");
    list->items.insert(list->items.end(), items.begin(), items.end());
  }
  void set_items(PickleValue* dict, const std::vector<PickleValue*>& items) {
    if (!dict->is(Kind::dict) || items.size() % 2 != 0)
      refuse("a dictionary and pairs to put in", "other values");
    dict->items.insert(dict->items.end(), items.begin(), items.end());
  }

  // ---- the globals that are known ----

  bool global(const std::string& module, const std::string& name) {
    charge(module.size() + name.size());
    const std::string full = module + " " + name;
    const bool allowed =
        detail::is_known_global(module, name) ||
        (torchscript_ && (module.rfind("__torch__", 0) == 0 || module == "torch.jit._pickle"));
    if (!allowed)
      refuse("a weight file, which names only tensors and containers",
             cat("the global ", module, ".", name,
                 "; save the tensors alone: torch.save(model.state_dict(), FILE)"));
    push(Kind::global)->text = full;
    return true;
  }

  const PickleValue& argument(const PickleValue& args, std::size_t i, Kind kind,
                              const char* what) const {
    if (i >= args.items.size() || !args.items[i]->is(kind)) refuse(what, "another value");
    return *args.items[i];
  }
  std::vector<index_t> integers(const PickleValue& tuple) {
    charge(tuple.items.size() * sizeof(index_t));
    std::vector<index_t> out;
    for (const PickleValue* item : tuple.items) {
      if (!item->is(Kind::integer)) refuse("integers as sizes and strides", "another value");
      out.push_back(item->integer);
    }
    return out;
  }

  void persistent_id() {
    const PickleValue& id = *pop();
    if (!id.is(Kind::tuple) || id.items.size() < 5 || id.items[0]->text != "storage") {
      refuse("a storage as persistent id",
             id.is(Kind::tuple) && !id.items.empty() ? id.items[0]->text : "another value");
    }
    const std::string& global = argument(id, 1, Kind::global, "a storage class").text;
    const FileType* type =
        detail::storage_type(std::string_view(global).substr(global.find(' ') + 1));
    if (type == nullptr) refuse("a known storage class", global);
    charge_parts(id);
    PickleValue* value = push(Kind::storage);
    value->storage = {*type, argument(id, 2, Kind::text, "text as storage key").text,
                      argument(id, 4, Kind::integer, "a storage size").integer, 0};
    index_t& numel = value->storage.numel;
    if (numel < 0) refuse("a storage size >= 0", numel);
    // Legacy files: (a name for the part, its first element, its size) of the storage.
    if (id.items.size() > 5 && !id.items[5]->is(Kind::none)) {
      const PickleValue& view = argument(id, 5, Kind::tuple, "a view of a storage");
      const index_t begin = argument(view, 1, Kind::integer, "a view offset").integer;
      const index_t size = argument(view, 2, Kind::integer, "a view size").integer;
      if (begin < 0 || size < 0 || begin > numel || size > numel - begin)
        refuse(cat("a view inside its storage of ", numel, " elements"),
               cat(size, " elements from ", begin));
      value->storage.begin = begin;
      numel = size;
    }
  }

  void reduce() {
    const PickleValue& args = *pop();
    const PickleValue& function = *pop();
    if (!function.is(Kind::global) || !args.is(Kind::tuple))
      refuse("a known function and its arguments", "other values");
    const std::string& name = function.text;
    if (name.rfind("torch._utils _rebuild_tensor", 0) == 0) {
      const PickleValue& storage =
          argument(args, 0, Kind::storage, "a storage to rebuild a tensor from");
      const PickleValue& offset = argument(args, 1, Kind::integer, "a storage offset");
      const PickleValue& sizes = argument(args, 2, Kind::tuple, "a tuple of sizes");
      const PickleValue& strides = argument(args, 3, Kind::tuple, "a tuple of strides");
      StorageName from = storage.storage;
      if (name.back() == '3') {
        const std::string& dtype = argument(args, 6, Kind::global, "a dtype").text;
        const FileType* type =
            detail::tensor_type(std::string_view(dtype).substr(dtype.find(' ') + 1));
        if (type == nullptr) refuse("a known dtype", dtype);
        // An untyped storage counts bytes.
        if (from.type != FileType::u8 || from.begin % info(*type).bytes != 0)
          refuse("an untyped storage for a tensor with a dtype", "another one");
        from.untyped = true;
        from.numel /= info(*type).bytes;
        from.begin /= info(*type).bytes;
        from.type = *type;
      }
      charge(from.key.size());
      PickleValue* tensor = push(Kind::tensor);
      tensor->storage = std::move(from);
      tensor->offset = offset.integer;
      tensor->sizes = integers(sizes);
      tensor->strides = integers(strides);
    } else if (name == "torch._utils _rebuild_parameter" ||
               name == "torch.nn.parameter Parameter") {
      stack_.push_back(
          const_cast<PickleValue*>(&argument(args, 0, Kind::tensor, "a tensor for a parameter")));
    } else if (name == "collections OrderedDict") {
      PickleValue* dict = push(Kind::dict);
      if (!args.items.empty()) {
        for (const PickleValue* pair : argument(args, 0, Kind::list, "a list of pairs").items) {
          if (pair->items.size() != 2) refuse("pairs for an OrderedDict", "another value");
          charge_copy(*pair);
          dict->items.insert(dict->items.end(), pair->items.begin(), pair->items.end());
        }
      }
    } else if (name == "torch Size") {
      stack_.push_back(
          const_cast<PickleValue*>(&argument(args, 0, Kind::tuple, "a tuple for a Size")));
    } else if (name == "torch device") {
      charge_parts(args);
      push(Kind::text)->text = argument(args, 0, Kind::text, "the name of a device").text;
    } else if (name == "_codecs encode") {
      charge_parts(args);
      push(Kind::bytes)->text = argument(args, 0, Kind::text, "text to encode").text;
    } else if (name.starts_with("numpy")) {
      charge_copy(function);
      push(Kind::object)->text = name;
    } else if (name.rfind("torch.jit._pickle ", 0) ==
               0) {  // build_intlist, restore_type_tag, ...: the first argument
      if (args.items.empty()) refuse("an argument", "none");
      stack_.push_back(args.items[0]);
    } else {
      refuse("a function that rebuilds tensors", name);
    }
  }
  void new_object() {
    const PickleValue& args = *pop();
    const PickleValue& type = *pop();
    if (!torchscript_ || !type.is(Kind::global) || type.text.rfind("__torch__", 0) != 0 ||
        !args.items.empty()) {
      refuse("no objects but TorchScript modules", type.text.empty() ? "another value" : type.text);
    }
    charge_copy(type);
    push(Kind::object)->text = type.text;
  }
  void build() {
    const PickleValue& state = *pop();
    PickleValue* target = top();
    if (target->is(Kind::object) && state.is(Kind::dict)) {
      charge_copy(state);
      target->items = state.items;
    } else if (!(target->is(Kind::dict) && state.is(Kind::dict)) && !target->is(Kind::tensor) &&
               !(target->text == "numpy dtype" && state.is(Kind::tuple))) {
      refuse("a state for a dictionary, a tensor or a TorchScript module", "another value");
    }  // an OrderedDict's _metadata is dropped
  }

  std::string file_;
  bool torchscript_;
  Limits limits_;
  bool allow_tail_ = false;
  Bytes input_;
  std::size_t steps_ = 0;
  std::size_t memory_ = 0;
  std::deque<PickleValue> arena_;
  std::vector<PickleValue*> stack_;
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
};

}  // namespace plume::io
