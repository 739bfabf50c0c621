// From the outputs of a detector to objects in the picture; edgetl/tasks/detection/postprocess.py gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer.h"
#include "edgetl/runtime.h"
#include "frame.h"
#include "manifest.h"

namespace edgetl {

// Not for two threads at once.
class Postprocessor {
 public:
  // Memory for `anchors` boxes of `classes` classes, whatever the settings. False if there is not enough.
  bool make(size_t anchors, size_t classes);

  // boxes: (anchors, 4), corners in input pixels; scores: (anchors, classes). Writes the best `capacity` objects at most,
  // best first, and returns their number. Allocates nothing.
  size_t run(const float* boxes, const float* scores, const Frame& frame, const Postprocess& settings,
             edgetl_detection* detections, size_t capacity);

  // Whether in the last run all scores were finite, and the boxes of all candidates.
  bool finite() const { return finite_; }

 private:
  struct Candidate {
    float score;
    uint32_t index;  // anchor * classes + class
  };
  struct Kept {
    Corners box;
    float area;
    uint32_t label;
  };
  static bool is_better(const Candidate& a, const Candidate& b);
  size_t collect(const float* boxes, const float* scores, const Postprocess& settings);
  bool overlaps(const Kept& object, size_t kept, float iou_threshold) const;

  size_t anchors_ = 0, classes_ = 0;
  bool finite_ = true;
  Buffer<Candidate> candidates_;
  Buffer<Kept> kept_;
};

}  // namespace edgetl
