// Golden vectors: the images and results that a bundle must reproduce. edgetl/bundle/golden.py is the reference.
#pragma once

#include <cstdint>
#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"

namespace edgetl {

struct GoldenImage {
  Bytes file;             // the picture as it came
  const char* file_name;  // "golden/0.jpg"
  Bytes rgb;              // decoded, uint8 (height, width, 3)
  int32_t width = 0, height = 0;
  Bytes input;  // after resize and crop, uint8 (H, W, 3)
  std::vector<float> logits;
};

// Reads golden/<i>.rgb.npy, golden/<i>.input.npy (NumPy format 1.0) and golden/logits.safetensors, trusting nothing.
edgetl_status read_golden(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error);

}  // namespace edgetl
