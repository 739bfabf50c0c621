// What decode.cpp asks of one decoder for one format.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "decode.h"

namespace edgetl {

constexpr int64_t max_picture_pixels = 100'000'000;
constexpr size_t max_reason_bytes = 256;

struct Decoded {
  Picture picture;  // as stored, not yet turned
  int orientation = 1;
  char reason[max_reason_bytes] = "";  // why it failed
};

// Null when there is no memory.
std::unique_ptr<uint8_t[]> allocate(size_t bytes);

// Says why in `reason` when a picture has no pixels or too many.
bool size_is_allowed(uint64_t width, uint64_t height, char (&reason)[max_reason_bytes]);

edgetl_status decode_jpeg(const uint8_t* file, size_t bytes, Decoded& decoded);
edgetl_status decode_png(const uint8_t* file, size_t bytes, Decoded& decoded);

}  // namespace edgetl
