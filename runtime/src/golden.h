// Golden vectors: the images and results that a bundle must reproduce. edgetl/bundle/golden.py is the reference.
#pragma once

#include <cstdint>
#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"

namespace edgetl {

constexpr int64_t most_golden_anchors = 300;

// Of a detector: the anchors with the best scores, in ascending order.
struct GoldenOutputs {
  std::vector<float> boxes, scores;  // (kept, 4) and (kept, classes)
  std::vector<int64_t> index;        // (kept,), below the number of anchors
};

// An image, a recording or a text.
struct GoldenImage {
  Bytes file;             // as it came
  const char* file_name;  // "golden/0.jpg"
  Bytes rgb;              // of an image, decoded: uint8 (height, width, 3)
  int32_t width = 0, height = 0;
  Bytes samples;  // decoded: of a recording int16 (n,), of a window float32 (n, channels), little-endian
  Bytes
      input;  // after resize and crop uint8 (H, W, 3), after resampling and window int16 (samples,), tokens int32 (L,), or
              // of a window float32 (steps, channels)
  std::vector<float> logits;              // of a classifier
  GoldenOutputs outputs;                  // of a detector
  std::vector<edgetl_detection> objects;  // what these become
};

// Reads golden/<i>.rgb.npy golden/<i>.samples.npy or golden/<i>.window.npy, golden/<i>.input.npy (NumPy format 1.0), and golden/logits.safetensors, or of a detector
// golden/outputs.safetensors and golden/detections.safetensors, trusting nothing.
edgetl_status read_golden(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error);

}  // namespace edgetl
