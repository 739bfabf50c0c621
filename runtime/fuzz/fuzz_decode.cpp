// Any bytes as a picture file. Headers that promise large pictures are left out: they cost time and find nothing.
#include "decode.h"

namespace {

constexpr uint64_t max_pixels = 250'000;

uint64_t number(const uint8_t* data, size_t bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes; ++i) value = value << 8 | data[i];
  return value;
}

bool is_large(const uint8_t* data, size_t size) {
  if (size >= 24 && data[0] == 0x89 && number(data + 16, 4) * number(data + 20, 4) > max_pixels) return true;
  for (size_t i = 0; i + 9 <= size; ++i) {
    const bool frame = data[i] == 0xFF && (data[i + 1] & 0xF0) == 0xC0;
    if (frame && number(data + i + 5, 2) * number(data + i + 7, 2) > max_pixels) return true;
  }
  return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (is_large(data, size)) return 0;
  edgetl::Picture picture;
  edgetl_error error;
  edgetl::decode("fuzz", data, size, picture, &error);
  return 0;
}
