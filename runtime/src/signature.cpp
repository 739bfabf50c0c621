#include "signature.h"

#include <algorithm>

namespace edgetl {
namespace {

std::string described(const Port& port) {
  std::string text = port.name + " " + port.type + " (";
  for (size_t index = 0; index < port.dims.size(); ++index) {
    if (index > 0) text += ", ";
    text += port.dims[index] < 0 ? "any" : std::to_string(port.dims[index]);
  }
  return text + ")";
}

}  // namespace

std::string described(const std::vector<Port>& ports) {
  std::string text;
  for (const Port& port : ports) text += (text.empty() ? "" : ", ") + described(port);
  return text.empty() ? "nothing" : text;
}

size_t element_bytes(const std::string& type) {
  if (type == "uint8") return 1;
  if (type == "int16") return 2;
  if (type == "int32" || type == "float32") return 4;
  return type == "int64" ? 8 : 0;
}

size_t port_bytes(const Port& port, int64_t length) {
  size_t bytes = element_bytes(port.type);
  for (const int64_t size : single_dims(port, length)) bytes *= static_cast<size_t>(size);
  return bytes;
}

std::vector<int64_t> single_dims(const Port& port, int64_t length) {
  std::vector<int64_t> dims = port.dims;
  if (!dims.empty() && dims.front() < 0) dims.front() = 1;
  std::replace_if(
      dims.begin(), dims.end(), [](int64_t size) { return size < 0; }, length);
  return dims;
}

}  // namespace edgetl
