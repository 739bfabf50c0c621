// Where a picture lies in the network's input, and the way back for boxes; edgetl/types/frames.py is the reference.
#pragma once

#include <cstdint>

#include "edgetl/runtime.h"
#include "manifest.h"

namespace edgetl {

// A picture of height x width pixels is resized to rows x columns, and its first pixel lies at (top, left) of the input,
// which is negative where a part is cut off.
struct Frame {
  int32_t height = 0, width = 0;
  int32_t rows = 0, columns = 0;
  int32_t top = 0, left = 0;
};

// EDGETL_INVALID_ARGUMENT for sizes that are refused.
edgetl_status make_frame(const Preprocessing& p, int32_t width, int32_t height, Frame& frame, edgetl_error* error);

struct Corners {
  float x0, y0, x1, y1;
};

// From input pixels to pixels of the picture, clipped to it.
Corners to_image(const Frame& frame, const Corners& box);

}  // namespace edgetl
