// A picture -> the network's input size; to the bit what edgetl/fronts/image/resize.py (Pillow) does.
#pragma once

#include <cstddef>
#include <cstdint>

#include "edgetl/runtime.h"
#include "manifest.h"

namespace edgetl {

// Scratch memory for images of this size. EDGETL_INVALID_ARGUMENT for sizes that are refused.
edgetl_status resize_scratch_bytes(const Preprocessing& p, int32_t width, int32_t height, size_t& bytes,
                                   edgetl_error* error);

// Allocates nothing. `out`: p.height * p.width * 3 bytes.
edgetl_status resize(const Preprocessing& p, const edgetl_image& image, void* scratch, size_t scratch_bytes,
                     uint8_t* out, edgetl_error* error);

}  // namespace edgetl
