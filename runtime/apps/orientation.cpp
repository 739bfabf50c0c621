#include "orientation.h"

#include <algorithm>
#include <cstring>
#include <string_view>

namespace edgetl {
namespace {

constexpr uint16_t orientation_tag = 274;
constexpr size_t entry_bytes = 12;

// TIFF 6.0: bytes of one value of types 0..13; 0 for types that do not exist.
constexpr uint8_t type_bytes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};

bool is_integer(unsigned type) { return type == 3 || type == 4 || type == 6 || type == 8 || type == 9 || type == 13; }

class Tiff {
 public:
  Tiff(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes), big_endian_(bytes > 0 && data[0] == 'M') {}

  bool has_header() const {
    if (bytes_ < 8) return false;
    const std::string_view head(reinterpret_cast<const char*>(data_), 4);
    using namespace std::string_view_literals;
    return head == "II*\0"sv || head == "MM\0*"sv || head == "II\0*"sv || head == "MM*\0"sv;
  }

  bool holds(uint64_t at, uint64_t size) const { return at <= bytes_ && size <= bytes_ - at; }

  uint32_t number(size_t at, size_t size) const {
    uint32_t value = 0;
    for (size_t i = 0; i < size; ++i) value = value << 8 | data_[at + (big_endian_ ? i : size - 1 - i)];
    return value;
  }

  int orientation() const {
    const size_t directory = number(4, 4);
    if (!holds(directory, 2)) return no_orientation;
    const size_t count = number(directory, 2);
    uint64_t far_bytes = 0;
    for (size_t i = 0; i < count; ++i) {
      const size_t entry = directory + 2 + i * entry_bytes;
      if (!holds(entry, entry_bytes)) return no_orientation;
      const uint32_t type = number(entry + 2, 2), values = number(entry + 4, 4);
      if (type >= sizeof type_bytes || type_bytes[type] == 0 || values == 0) continue;
      const uint64_t size = static_cast<uint64_t>(values) * type_bytes[type];
      if (size > 4) {
        far_bytes += size;
        if (far_bytes > bytes_) continue;
        if (!holds(number(entry + 8, 4), size)) return no_orientation;
      }
      if (number(entry, 2) != orientation_tag) continue;
      return is_integer(type) && values == 1 ? checked(number(entry + 8, static_cast<size_t>(size))) : upright;
    }
    return no_orientation;
  }

 private:
  static int checked(uint32_t value) { return value >= 1 && value <= 8 ? static_cast<int>(value) : upright; }

  const uint8_t* data_;
  size_t bytes_;
  bool big_endian_;
};

}  // namespace

int exif_orientation(const uint8_t* tiff, size_t bytes) {
  const Tiff block(tiff, bytes);
  return block.has_header() ? block.orientation() : upright;
}

int xmp_orientation(const char* xmp, size_t bytes) {
  constexpr std::string_view key = "tiff:Orientation";
  const std::string_view text(xmp, bytes);
  for (size_t at = text.find(key); at != std::string_view::npos; at = text.find(key, at + 1)) {
    std::string_view rest = text.substr(at + key.size());
    const size_t skip = rest.substr(0, 2) == "=\"" ? 2 : rest.substr(0, 1) == ">" ? 1 : 0;
    if (skip == 0 || rest.size() <= skip) continue;
    const char digit = rest[skip];
    if (digit >= '0' && digit <= '9') return digit >= '1' && digit <= '8' ? digit - '0' : upright;
  }
  return upright;
}

void turn_upright(const uint8_t* rgb, int32_t width, int32_t height, int orientation, uint8_t* out) {
  const bool swap = orientation >= 5;
  const bool flip_y = orientation == 3 || orientation == 4 || orientation == 6 || orientation == 7;
  const bool flip_x = orientation == 2 || orientation == 3 || orientation == 7 || orientation == 8;
  const int32_t rows = swap ? width : height, columns = swap ? height : width;
  for (int32_t i = 0; i < rows; ++i) {
    for (int32_t j = 0; j < columns; ++j, out += 3) {
      int32_t y = swap ? j : i, x = swap ? i : j;
      if (flip_y) y = height - 1 - y;
      if (flip_x) x = width - 1 - x;
      std::memcpy(out, rgb + (static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)) * 3, 3);
    }
  }
}

}  // namespace edgetl
