#include "npy.h"

#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

namespace edgetl {
namespace {

constexpr int64_t most_values = 1'000'000'000;

bool take(std::string_view& text, std::string_view wanted) {
  if (text.substr(0, wanted.size()) != wanted) return false;
  text.remove_prefix(wanted.size());
  return true;
}

// Reads the number at the start of `text` and removes it.
bool take_size(std::string_view& text, int64_t& size) {
  const auto result = std::from_chars(text.data(), text.data() + text.size(), size);
  if (result.ec != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(result.ptr - text.data()));
  return size >= 1 && size <= most_values;
}

// The dictionary as NumPy writes it.
bool read_shape(std::string_view header, const char* type, size_t rank, std::vector<int64_t>& shape) {
  shape.assign(rank, 0);
  if (!take(header, std::string("{'descr': '") + type + "', 'fortran_order': False, 'shape': (")) return false;
  for (size_t i = 0; i < rank; ++i) {
    if ((i > 0 && !take(header, ", ")) || !take_size(header, shape[i])) return false;
  }
  if (!take(header, rank == 1 ? ",), }" : "), }")) return false;
  return !header.empty() && header.find_first_not_of(' ') == header.size() - 1 && header.back() == '\n';
}

}  // namespace

bool read_array(Bytes file, const char* type, size_t rank, Array& array) {
  constexpr size_t start = 10;  // magic, version, length of the header
  constexpr uint8_t magic[] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0};
  if (file.size < start || std::memcmp(file.data, magic, sizeof magic) != 0) return false;
  const size_t header_bytes = file.data[8] + size_t{256} * file.data[9];
  if (header_bytes > file.size - start) return false;
  const std::string_view header(reinterpret_cast<const char*>(file.data) + start, header_bytes);
  if (!read_shape(header, type, rank, array.shape)) return false;
  array.data = {file.data + start + header_bytes, file.size - start - header_bytes};
  size_t expected = static_cast<size_t>(type[2] - '0');  // bytes of an element
  for (const int64_t size : array.shape) {
    if (static_cast<size_t>(size) > array.data.size / expected) return false;
    expected *= static_cast<size_t>(size);
  }
  return array.data.size == expected;
}

}  // namespace edgetl
