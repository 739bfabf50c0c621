#include <doctest/doctest.h>

#include <string>

#include "onnx_file.h"
#include "tools/small_bundle.h"

using edgetl::OutsideData;

namespace {

std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 0x80; value >>= 7) bytes += static_cast<char>(0x80 | (value & 0x7F));
  return bytes + static_cast<char>(value);
}

// A field of the protobuf encoding: one that holds bytes, or a whole number.
std::string field(uint64_t number, const std::string& content) {
  return varint(number << 3 | 2) + varint(content.size()) + content;
}
std::string field(uint64_t number, uint64_t value) { return varint(number << 3) + varint(value); }

OutsideData find(const std::string& file) {
  return edgetl::find_outside_data({reinterpret_cast<const uint8_t*>(file.data()), file.size()});
}

// What is in the one graph of a model.
std::string model_with(const std::string& graph) { return field(1, 8) + field(7, graph) + field(2, "edgetl"); }

const std::string inside = field(1, 3) + field(2, 1) + field(8, "weights") + field(9, std::string(12, 'w'));
const std::string outside = field(8, "weights") + field(13, field(1, "location") + field(2, "w.bin")) + field(14, 1);

edgetl_status open(const std::string& model, edgetl_error* error) {
  small_bundle::Facts facts;
  facts.backend = "onnxruntime";
  small_bundle::Files files = small_bundle::files(facts);
  files["model.onnx"] = model;
  files["manifest.json"] = small_bundle::manifest(facts, files);
  std::vector<edgetl_file> list;
  for (const auto& [name, content] : files) {
    list.push_back({name.c_str(), reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  }
  edgetl::Bundle bundle;
  return bundle.read_files(list.data(), list.size(), nullptr, error);
}

}  // namespace

TEST_CASE("a model that holds its weights takes none from outside") {
  CHECK(find(model_with(field(5, inside))) == OutsideData::none);
  CHECK(find(model_with(field(1, field(5, field(5, inside))))) == OutsideData::none);
  CHECK(find(model_with(field(5, inside + field(14, uint64_t{0})))) == OutsideData::none);
  // elsewhere the same numbers mean something else
  CHECK(find(model_with(field(13, "value"))) == OutsideData::none);
}

TEST_CASE("cpp-external-data: weights in another file are found wherever a tensor can be") {
  const std::string graph = field(5, outside);
  CHECK(find(model_with(graph)) == OutsideData::some);                                             // initializer
  CHECK(find(model_with(field(5, inside) + graph)) == OutsideData::some);                          // the second one
  CHECK(find(model_with(field(1, field(5, field(5, outside))))) == OutsideData::some);             // attribute
  CHECK(find(model_with(field(1, field(5, field(10, outside))))) == OutsideData::some);            // attribute's list
  CHECK(find(model_with(field(1, field(5, field(6, graph))))) == OutsideData::some);               // branch
  CHECK(find(model_with(field(1, field(5, field(11, graph))))) == OutsideData::some);              // list of branches
  CHECK(find(model_with(field(15, field(1, outside)))) == OutsideData::some);                      // sparse values
  CHECK(find(model_with(field(1, field(5, field(22, field(2, outside)))))) == OutsideData::some);  // sparse indices
  CHECK(find(field(25, field(7, field(5, field(5, outside))))) == OutsideData::some);              // function
  CHECK(find(field(25, field(11, field(5, outside)))) == OutsideData::some);                       // its defaults
  CHECK(find(field(20, field(2, graph))) == OutsideData::some);                                    // training
  CHECK(find(model_with(field(5, field(8, "w") + field(14, 1)))) == OutsideData::some);            // the location alone
  CHECK(find(model_with(field(5, field(13, "")))) == OutsideData::some);                           // the place alone
}

TEST_CASE("cpp-external-data: an unusual encoding of a field's number hides nothing") {
  const std::string graph = field(5, outside);
  const std::string longer = std::string("\xBA\x80\x80\x80\x10", 5) + varint(graph.size()) + graph;  // 7 + 2**29
  CHECK(find(longer) == OutsideData::some);
  const std::string too_long = std::string("\xBA\x80\x80\x80\x80\x00", 6) + varint(graph.size()) + graph;
  CHECK(find(too_long) == OutsideData::not_onnx);
}

TEST_CASE("what is no model is told apart") {
  for (const std::string& text : {std::string(), std::string("no network"), std::string("\x0a\xff\xff\xff\xff\x0f"),
                                  std::string("\x07"), field(7, "\x3a"), std::string("\x0aORTMORTM")}) {
    CHECK(find(text) == OutsideData::not_onnx);
  }
  CHECK(find(std::string(4, ' ') + "ORTM") == OutsideData::not_onnx);
  const std::string whole = model_with(field(5, inside));
  for (size_t bytes = 0; bytes < whole.size(); ++bytes) CHECK(find(whole.substr(0, bytes)) != OutsideData::some);
  std::string deep = field(5, outside);
  for (int level = 0; level < 40; ++level) deep = field(1, field(5, field(6, deep)));
  CHECK(find(model_with(deep)) == OutsideData::not_onnx);
}

TEST_CASE("cpp-external-data: a bundle whose network takes weights from another file is not opened") {
  edgetl_error error;
  CHECK(open(model_with(field(5, inside)), &error) == EDGETL_OK);
  CHECK(open(model_with(field(5, outside)), &error) == EDGETL_BUNDLE_INVALID);
  CHECK(std::string(error.message).find("model.onnx: takes weights from another file") != std::string::npos);
  CHECK(open("no network", &error) == EDGETL_BUNDLE_INVALID);
  CHECK(std::string(error.message).find("model.onnx: expected an ONNX model") != std::string::npos);
}
