// From the logits of one window after the other to detected words; edgetl/tasks/classification/stream.py gives the same
// bits. Float64 in a fixed order, with an exponential of its own: that of the C library differs between machines.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer.h"

namespace edgetl {

struct Spotting {
  int32_t smoothing = 4;              // windows
  int64_t refractory = 0;             // samples
  const float* thresholds = nullptr;  // of each class, copied; null: nothing is detected
};

class Spotter {
 public:
  // False if there is not enough memory.
  bool make(size_t classes, const Spotting& settings);

  // One more window, which ends at sample `end`. False, and nothing is added, unless all logits are finite. Allocates
  // nothing.
  bool add(const float* logits, int64_t end);
  void reset();

  const float* probabilities() const { return means_.get(); }  // mean over the last windows
  int32_t best() const;                                        // index of the largest
  int32_t detected() const { return detected_; }               // -1: none

 private:
  void average();
  int32_t find(int64_t end) const;

  size_t classes_ = 0, smoothing_ = 0;
  int64_t refractory_ = 0;
  bool thresholds_given_ = false;
  Buffer<float> thresholds_, means_;
  Buffer<double> shares_;  // softmax of window i in row i % smoothing
  size_t count_ = 0;       // windows
  int64_t last_end_ = 0;   // of the window of the last detection
  bool has_detected_ = false;
  int32_t detected_ = -1;
};

// e to the power of x <= 0, within 2e-16 of it; 0 below -708.
double exponential(double x);

}  // namespace edgetl
