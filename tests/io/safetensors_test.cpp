#include "plume/io/safetensors.hpp"

#include <cstdlib>

#include "tests/io/golden_weights.hpp"

using namespace plume;
using namespace plume::io;
using namespace plume::test;

namespace {

/// A safetensors file in memory: a header and data.
Source in_memory(const std::string& header, std::size_t data) {
  auto bytes = std::make_shared<std::vector<std::byte>>(8 + header.size() + data);
  const std::uint64_t size = header.size();
  std::memcpy(bytes->data(), &size, 8);
  std::memcpy(bytes->data() + 8, header.data(), header.size());
  const Bytes view(*bytes);
  return {"memory", view, std::move(bytes)};
}

TEST_CASE("safetensors: the reference's files, byte for byte") {
  const Json expected = read_json(golden_weights + "expected.json");
  for (const char* name : {"plain.safetensors", "metadata.safetensors"}) {
    INFO(name);
    check_state(read_safetensors(golden_weights + name).tensors, expected[name]);
  }
  CHECK_FALSE(read_safetensors(golden_weights + "metadata.safetensors").metadata.empty());
}

TEST_CASE("safetensors: every broken file is refused") {
  const Json expected = read_json(golden_weights + "expected.json");
  int refused = 0;
  for (const auto& [key, verdict] : expected.items()) {
    const std::string name = key;
    if (name.find("hostile/bad-") != 0) continue;
    INFO(name);
    // What the package reads may be read: a field nobody knows, a bool of 2.
    if (verdict.value("python_library", "").starts_with("accepts")) continue;
    CHECK_THROWS_AS(read_safetensors(golden_weights + name), FormatError);
    ++refused;
  }
  CHECK(refused == 52);
}

TEST_CASE("safetensors: what is written is read back, and a failed write leaves the old file") {
  const std::string path = "build/safetensors_test.safetensors";
  StateDict state;
  const Tensor<float> matrix({2, 3}, {1, 2, 3, 4, 5, 6});
  state.add("a.transposed", StoredTensor(matrix.transpose(0, 1)));
  state.add("b.empty", StoredTensor(zeros<double>({0, 4})));
  state.add("c.scalar", StoredTensor(scalar<std::int64_t>(-7)));
  state.add("d.\xc3\xa9", StoredTensor(Tensor<bool>({3}, {true, false, true})));
  state.add("e", StoredTensor(matrix.cast<bfloat16>()));
  write_safetensors(path, state, {{"step", "12"}});
  const Safetensors back = read_safetensors(path);
  CHECK(back.metadata.at("format") == "pt");
  CHECK(back.metadata.at("step") == "12");
  CHECK(back.tensors.size() == 5);
  CHECK(back.tensors.at("a.transposed").to<float>()(2, 1) == 6);
  CHECK(back.tensors.at("a.transposed").shape() == Shape{3, 2});
  CHECK(back.tensors.at("b.empty").to<float>().shape() == Shape{0, 4});
  CHECK(back.tensors.at("c.scalar").to<std::int64_t>().item() == -7);
  CHECK(back.tensors.at("d.\xc3\xa9").to<bool>()(2));
  CHECK(back.tensors.at("e").to<float>()(1, 2) == 6);
  CHECK_THROWS_AS(back.tensors.at("c.scalar").to<std::uint8_t>(), DtypeError);
  CHECK_THROWS_AS(back.tensors.at("e").to<std::int32_t>(), DtypeError);
  CHECK_THROWS_AS(static_cast<void>(back.tensors.at("missing")), FormatError);
  CHECK_THROWS_AS(write_safetensors("build/no/such/folder/x", state), std::system_error);
  CHECK_THROWS_AS(state.add("e", StoredTensor(matrix)), FormatError);
  std::remove(path.c_str());
}

TEST_CASE(
    "safetensors: a matching tensor is a view of the file, writing to it leaves the file alone") {
  const std::string path = "build/safetensors_view.safetensors";
  StateDict state;
  state.add("x", StoredTensor(full<float>({1000}, 3)));
  write_safetensors(path, state);
  const auto before = cpu_memory().stats().total.current;
  Tensor<float> x = read_safetensors(path).tensors.at("x").to<float>();
  CHECK(cpu_memory().stats().total.current - before < 1000);
  x.fill(4);
  CHECK(x(999) == 4);
  CHECK(read_safetensors(path).tensors.at("x").to<float>()(999) == 3);
  std::remove(path.c_str());
}

TEST_CASE("safetensors: limits hold before anything is believed") {
  const std::string entry = R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  CHECK_NOTHROW(read_safetensors(in_memory("{" + entry + "}", 4)));
  CHECK_NOTHROW(read_safetensors(in_memory("{}", 0)));
  CHECK_NOTHROW(read_safetensors(in_memory("{" + entry + "}   ", 4)));
  Limits few;
  few.tensors = 0;
  CHECK_THROWS_AS(read_safetensors(in_memory("{" + entry + "}", 4), few), FormatError);
  few = {};
  few.header_bytes = 10;
  CHECK_THROWS_AS(read_safetensors(in_memory("{" + entry + "}", 4), few), FormatError);
  for (
      const char* header : {
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,5]}})",
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})",
          R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,4]}})",
          R"({"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}})",
          R"({"a":{"dtype":"F32","shape":[0,4611686018427387904,4],"data_offsets":[0,0]}})",
          R"({"a":{"dtype":"F32","shape":[1,1,1,1,1,1,1,1,1],"data_offsets":[0,4]}})",
          R"({"a":{"dtype":"F32","shape":1,"data_offsets":[0,4]}})",
          R"({"a":{"dtype":32,"shape":[1],"data_offsets":[0,4]}})",
          R"({"a":{"shape":[1],"data_offsets":[0,4]}})",
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0]}})",
          R"({"a":[]})",
          R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
      }) {
    INFO(header);
    CHECK_THROWS_AS(read_safetensors(in_memory(header, 4)), FormatError);
  }
}

TEST_CASE("sha256: the standard's examples") {
  const auto of = [](std::string_view text) {
    return sha256(std::as_bytes(std::span(text.data(), text.size())));
  };
  CHECK(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

}  // namespace
