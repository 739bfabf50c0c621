#include "safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "fail.h"
#include "json.h"

namespace edgetl {
namespace {

constexpr size_t max_header_bytes = 100'000;
constexpr size_t max_size = 1'000'000'000;  // of a shape

bool is_offset(json::Value value, size_t limit) {
  return value.kind() == json::Kind::number && value.is_whole() && value.number() >= 0 &&
         value.number() <= static_cast<double>(limit);
}

bool read_offsets(json::Value offsets, Bytes data, Tensor& tensor) {
  if (offsets.kind() != json::Kind::list || offsets.size() != 2) return false;
  const json::Value begin = offsets.first();
  if (!begin) return false;
  const json::Value end = begin.next();
  if (!end || !is_offset(begin, data.size) || !is_offset(end, data.size)) return false;
  if (begin.number() > end.number()) return false;
  const auto first = static_cast<size_t>(begin.number());
  tensor.data = {data.data + first, static_cast<size_t>(end.number()) - first};
  return true;
}

bool read_tensor(json::Value entry, Bytes data, Tensor& tensor) {
  if (entry.kind() != json::Kind::object || entry.size() != 3) return false;
  const json::Value type = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (!type || type.kind() != json::Kind::text || !shape || shape.kind() != json::Kind::list || !offsets) return false;
  tensor.type = type.text();
  for (json::Value side = shape.first(); side; side = side.next()) {
    if (!is_offset(side, max_size)) return false;
    tensor.shape.push_back(static_cast<int64_t>(side.number()));
  }
  return read_offsets(offsets, data, tensor);
}

// One line that says what is wrong; "" when all were read.
std::string read_all(Bytes file, std::map<std::string, Tensor>& tensors) {
  if (file.size < 8) return "shorter than a safetensors file";
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < 8; ++i) header_bytes |= uint64_t{file.data[i]} << (8 * i);
  if (header_bytes > max_header_bytes || header_bytes > file.size - 8) return "a header longer than the file or 100 kB";
  const auto header = static_cast<size_t>(header_bytes);
  const Bytes data = {file.data + 8 + header, file.size - 8 - header};
  json::Document document;
  std::string problem;
  if (!document.parse(file.data + 8, header, json::Limits(), problem)) return "header: " + problem;
  if (document.root().kind() != json::Kind::object) return "header: expected an object";
  for (json::Value entry = document.root().first(); entry; entry = entry.next()) {
    if (entry.key() == "__metadata__") continue;
    const std::string name(entry.key());
    if (!read_tensor(entry, data, tensors[name])) return "tensor `" + name + "`: not in the file";
  }
  return "";
}

std::string described(const std::vector<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ", ") + (size < 0 ? "k" : std::to_string(size));
  return "(" + text + (shape.size() == 1 ? ",)" : ")");
}

bool fits(const std::vector<int64_t>& found, const std::vector<int64_t>& expected) {
  return std::equal(found.begin(), found.end(), expected.begin(), expected.end(),
                    [](int64_t size, int64_t wanted) { return wanted < 0 || size == wanted; });
}

// Whether the data has so many elements of this size; the shape is bounded by it.
bool fills(const Tensor& tensor, size_t element) {
  size_t elements = 1;
  for (const int64_t size : tensor.shape) {
    if (size != 0 && elements > tensor.data.size / static_cast<size_t>(size)) return false;
    elements *= static_cast<size_t>(size);
  }
  return elements * element == tensor.data.size;
}

template <typename Bits, typename Value>
Value load(const uint8_t* p) {
  Bits bits = 0;
  for (size_t i = 0; i < sizeof bits; ++i) bits |= static_cast<Bits>(Bits{p[i]} << (8 * i));
  Value value{};
  static_assert(sizeof value == sizeof bits, "the same bits");
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

template <typename Bits, typename Value>
void load_all(Bytes data, std::vector<Value>& values) {
  values.resize(data.size / sizeof(Value));
  for (size_t i = 0; i < values.size(); ++i) values[i] = load<Bits, Value>(data.data + i * sizeof(Value));
}

}  // namespace

edgetl_status Tensors::read(Bytes file, const std::string& path, edgetl_error* error) {
  path_ = path;
  const std::string problem = read_all(file, tensors_);
  if (problem.empty()) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_INVALID, "%s: %s", path_.c_str(), problem.c_str());
}

edgetl_status Tensors::find(const char* name, const char* type, const std::vector<int64_t>& shape, const Tensor*& found,
                            edgetl_error* error) const {
  const auto place = tensors_.find(name);
  if (place == tensors_.end()) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: no tensor `%s`", path_.c_str(), name);
  }
  found = &place->second;
  const bool floats = std::strcmp(type, "F32") == 0;
  if (found->type == type && fits(found->shape, shape) && fills(*found, floats ? sizeof(float) : sizeof(int64_t))) {
    return EDGETL_OK;
  }
  return fail(error, EDGETL_BUNDLE_INVALID, "%s: expected %s %s in `%s`, found another type or shape", path_.c_str(),
              floats ? "float32" : "int64", described(shape).c_str(), name);
}

edgetl_status Tensors::take(const char* name, const std::vector<int64_t>& shape, std::vector<float>& values,
                            edgetl_error* error) const {
  const Tensor* found = nullptr;
  const edgetl_status status = find(name, "F32", shape, found, error);
  if (status != EDGETL_OK || found == nullptr) return status;
  load_all<uint32_t>(found->data, values);
  if (std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); })) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_INVALID, "%s: `%s` has values that are not finite", path_.c_str(), name);
}

edgetl_status Tensors::take(const char* name, const std::vector<int64_t>& shape, std::vector<int64_t>& values,
                            edgetl_error* error) const {
  const Tensor* found = nullptr;
  const edgetl_status status = find(name, "I64", shape, found, error);
  if (status == EDGETL_OK && found != nullptr) load_all<uint64_t>(found->data, values);
  return status;
}

}  // namespace edgetl
