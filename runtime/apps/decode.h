// Picture files -> RGB, with the meaning of edgetl/fronts/image/decode.py. JPEG and PNG; not part of the library.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "edgetl/runtime.h"

namespace edgetl {

struct Picture {
  std::unique_ptr<uint8_t[]> rgb;  // uint8 (height, width, 3), upright
  int32_t width = 0, height = 0;
  size_t bytes() const { return static_cast<size_t>(width) * static_cast<size_t>(height) * 3; }
};

// Turned upright by its EXIF orientation; gray is repeated in the three channels; 16-bit gray v becomes round(v / 257);
// transparent pixels lie over white. `name` stands in messages. EDGETL_INVALID_ARGUMENT for other formats, damaged and
// truncated files and more than 100,000,000 pixels, which is checked before any pixel is decoded.
edgetl_status decode(const char* name, const uint8_t* file, size_t bytes, Picture& picture, edgetl_error* error);

// The same for a file of at most 1,000,000,000 bytes.
edgetl_status read_picture_file(const char* path, Picture& picture, edgetl_error* error);

}  // namespace edgetl
