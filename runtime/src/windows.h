// Samples in pieces of any size -> the windows that the network hears, the same to the bit however the pieces are cut.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer.h"
#include "resample.h"

namespace edgetl {

class Windows {
 public:
  // Lengths in samples at the network's rate. The resampler must stay. False if there is not enough memory.
  bool make(const Resampler& resampler, int32_t window, int32_t hop);
  void reset();

  // Takes samples until a window is complete, and returns how many. Allocates nothing.
  size_t take(const int16_t* samples, size_t count);
  // No samples will follow: completes a window with the last of them if they suffice.
  void end();

  bool complete() const { return made_ == due_; }
  // In samples at the network's rate, of the window that is complete.
  int64_t end_of_window() const { return due_; }
  // The window that is complete; begins the next.
  void give(int16_t* out);

 private:
  void advance(int64_t available);
  void forget();

  const Resampler* resampler_ = nullptr;
  int64_t window_ = 0, hop_ = 0;
  Buffer<int16_t> history_;  // samples first_ .. heard_ - 1 as they came
  int64_t room_ = 0;         // of `history_`
  int64_t first_ = 0, heard_ = 0;
  Buffer<int16_t> ring_;        // resampled sample i at i % window
  int64_t made_ = 0, due_ = 0;  // resampled samples: there are, and the next window ends before
  Moment next_;                 // of resampled sample `made_`
};

}  // namespace edgetl
