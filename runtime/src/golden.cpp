#include "golden.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <string>
#include <string_view>

#include "fail.h"
#include "json.h"

namespace edgetl {
namespace {

// --- NumPy

constexpr int32_t max_side = 65535;
constexpr int64_t max_pixels = 100'000'000;

// Reads the number at the start of `text` and removes it.
bool take_number(std::string_view& text, int32_t& number) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), number);
  if (result.ec != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
  return true;
}

bool take(std::string_view& text, std::string_view wanted) {
  if (text.substr(0, wanted.size()) != wanted) return false;
  text.remove_prefix(wanted.size());
  return true;
}

// The dictionary as NumPy writes it for uint8 (height, width, 3) in C order.
bool read_shape(std::string_view header, int32_t& height, int32_t& width) {
  const bool fits = take(header, "{'descr': '|u1', 'fortran_order': False, 'shape': (") &&
                    take_number(header, height) && take(header, ", ") && take_number(header, width) &&
                    take(header, ", 3), }");
  return fits && !header.empty() && header.find_first_not_of(' ') == header.size() - 1 && header.back() == '\n';
}

bool read_array(Bytes file, Bytes& pixels, int32_t& height, int32_t& width) {
  constexpr size_t start = 10;  // magic, version, length of the header
  constexpr uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  if (file.size < start || std::memcmp(file.data, magic, sizeof magic) != 0) return false;
  const size_t header_bytes = file.data[8] + size_t{256} * file.data[9];
  if (header_bytes > file.size - start) return false;
  if (!read_shape({reinterpret_cast<const char*>(file.data) + start, header_bytes}, height, width)) return false;
  if (height < 1 || width < 1 || height > max_side || width > max_side) return false;
  if (int64_t{height} * width > max_pixels) return false;
  pixels = {file.data + start + header_bytes, file.size - start - header_bytes};
  return pixels.size == static_cast<size_t>(height) * static_cast<size_t>(width) * 3;
}

// --- safetensors

constexpr size_t max_header_bytes = 100'000;

struct Tensor {
  std::string type;
  std::vector<double> shape;
  size_t begin = 0, end = 0;  // behind the header
};

bool is_offset(json::Value value, size_t limit) {
  return value.kind() == json::Kind::number && value.is_whole() && value.number() >= 0 &&
         value.number() <= static_cast<double>(limit);
}

bool read_offsets(json::Value offsets, size_t data_bytes, Tensor& tensor) {
  if (offsets.kind() != json::Kind::list || offsets.size() != 2) return false;
  const json::Value begin = offsets.first();
  if (!begin) return false;
  const json::Value end = begin.next();
  if (!end || !is_offset(begin, data_bytes) || !is_offset(end, data_bytes)) return false;
  if (begin.number() > end.number()) return false;
  tensor.begin = static_cast<size_t>(begin.number());
  tensor.end = static_cast<size_t>(end.number());
  return true;
}

bool read_tensor(json::Value entry, size_t data_bytes, Tensor& tensor) {
  if (entry.kind() != json::Kind::object || entry.size() != 3) return false;
  const json::Value type = entry.find("dtype"), shape = entry.find("shape"), offsets = entry.find("data_offsets");
  if (!type || type.kind() != json::Kind::text || !shape || shape.kind() != json::Kind::list || !offsets) return false;
  tensor.type = type.text();
  for (json::Value side = shape.first(); side; side = side.next()) {
    if (!is_offset(side, data_bytes)) return false;
    tensor.shape.push_back(side.number());
  }
  return read_offsets(offsets, data_bytes, tensor);
}

// One line that says what is wrong; "" when `logits` was found.
std::string find_logits(Bytes file, Tensor& logits, Bytes& data) {
  if (file.size < 8) return "shorter than a safetensors file";
  uint64_t header_bytes = 0;
  for (size_t i = 0; i < 8; ++i) header_bytes |= uint64_t{file.data[i]} << (8 * i);
  if (header_bytes > max_header_bytes || header_bytes > file.size - 8) return "a header longer than the file or 100 kB";
  const auto header = static_cast<size_t>(header_bytes);
  data = {file.data + 8 + header, file.size - 8 - header};
  json::Document document;
  std::string problem;
  if (!document.parse(file.data + 8, header, json::Limits(), problem)) return "header: " + problem;
  if (document.root().kind() != json::Kind::object) return "header: expected an object";
  for (json::Value entry = document.root().first(); entry; entry = entry.next()) {
    if (entry.key() == "__metadata__") continue;
    Tensor tensor;
    if (!read_tensor(entry, data.size, tensor)) return "tensor `" + std::string(entry.key()) + "`: not in the file";
    if (entry.key() == "logits") logits = tensor;
  }
  return logits.type.empty() ? "no tensor `logits`" : "";
}

float load_float(const uint8_t* p) {
  const uint32_t bits = uint32_t{p[0]} | uint32_t{p[1]} << 8 | uint32_t{p[2]} << 16 | uint32_t{p[3]} << 24;
  float value = 0;
  std::memcpy(&value, &bits, sizeof value);
  return value;
}

edgetl_status read_logits(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error) {
  const std::string path = bundle.where() + "/golden/logits.safetensors";
  const size_t classes = bundle.manifest().labels.size();
  Tensor tensor;
  Bytes data;
  const std::string problem = find_logits(bundle.file("golden/logits.safetensors"), tensor, data);
  if (!problem.empty()) return fail(error, EDGETL_BUNDLE_INVALID, "%s: %s", path.c_str(), problem.c_str());
  const std::vector<double> shape = {static_cast<double>(images.size()), static_cast<double>(classes)};
  const size_t bytes = images.size() * classes * sizeof(float);
  if (tensor.type != "F32" || tensor.shape != shape || tensor.end - tensor.begin != bytes) {
    return fail(error, EDGETL_BUNDLE_INVALID,
                "%s: expected float32 (%zu, %zu) in `logits`, found another type or shape", path.c_str(), images.size(),
                classes);
  }
  const uint8_t* next = data.data + tensor.begin;
  for (GoldenImage& image : images) {
    image.logits.resize(classes);
    for (float& value : image.logits) {
      value = load_float(next);
      next += sizeof value;
      if (std::isfinite(value)) continue;
      return fail(error, EDGETL_BUNDLE_INVALID, "%s: a logit that is not finite", path.c_str());
    }
  }
  return succeed(error);
}

edgetl_status read_pictures(const Bundle& bundle, size_t index, GoldenImage& image, edgetl_error* error) {
  const Preprocessing& p = bundle.manifest().preprocessing;
  const std::string stem = "golden/" + std::to_string(index);
  image.file_name = bundle.manifest().golden.files[index].c_str();
  image.file = bundle.file(image.file_name);
  if (!read_array(bundle.file(stem + ".rgb.npy"), image.rgb, image.height, image.width)) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.rgb.npy: expected uint8 (height, width, 3) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str());
  }
  int32_t height = 0, width = 0;
  const bool readable = read_array(bundle.file(stem + ".input.npy"), image.input, height, width);
  if (readable && height == p.height && width == p.width) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.input.npy: expected uint8 (%d, %d, 3) in NumPy's format 1.0",
              bundle.where().c_str(), stem.c_str(), static_cast<int>(p.height), static_cast<int>(p.width));
}

}  // namespace

edgetl_status read_golden(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error) {
  const Golden& golden = bundle.manifest().golden;
  images.assign(static_cast<size_t>(golden.count), GoldenImage{});
  for (size_t i = 0; i < images.size(); ++i) {
    const edgetl_status status = read_pictures(bundle, i, images[i], error);
    if (status != EDGETL_OK) return status;
  }
  return images.empty() ? succeed(error) : read_logits(bundle, images, error);
}

}  // namespace edgetl
