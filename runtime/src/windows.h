// Samples in pieces of any size -> the windows that the network hears, the same to the bit however the pieces are cut.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "buffer.h"
#include "resample.h"

namespace edgetl {

// The last time steps of a stream, of `width` values each, and when a window of them is complete. Allocates only in `make`.
template <typename Value>
class Ring {
 public:
  // Lengths in time steps. False if there is not enough memory.
  bool make(int32_t window, int32_t hop, int32_t width) {
    window_ = window;
    hop_ = hop;
    width_ = width;
    values_ = make_buffer<Value>(static_cast<size_t>(window) * static_cast<size_t>(width));
    reset();
    return values_ != nullptr;
  }
  void reset() {
    made_ = 0;
    due_ = window_;
  }

  void put(const Value* time_step) { std::copy_n(time_step, width_, at(made_++ % window_)); }
  int64_t made() const { return made_; }  // time steps since the beginning
  int64_t due() const { return due_; }    // where the next window ends
  bool complete() const { return made_ == due_; }
  // The window that is complete; begins the next.
  void give(Value* out) {
    const int64_t begin = made_ % window_;
    std::copy_n(at(begin), (window_ - begin) * width_, out);
    std::copy_n(at(0), begin * width_, out + (window_ - begin) * width_);
    due_ += hop_;
  }

 private:
  Value* at(int64_t time_step) const { return values_.get() + time_step * width_; }

  int64_t window_ = 0, hop_ = 0, width_ = 0, made_ = 0, due_ = 0;
  Buffer<Value> values_;  // time step i at i % window
};

class Windows {
 public:
  // Lengths in samples at the network's rate. The resampler must stay. False if there is not enough memory.
  bool make(const Resampler& resampler, int32_t window, int32_t hop);
  void reset();

  // Takes samples until a window is complete, and returns how many. Allocates nothing.
  size_t take(const int16_t* samples, size_t count);
  // No samples will follow: completes a window with the last of them if they suffice.
  void end();

  bool complete() const { return ring_.complete(); }
  // In samples at the network's rate, of the window that is complete.
  int64_t end_of_window() const { return ring_.due(); }
  // The window that is complete; begins the next.
  void give(int16_t* out) { ring_.give(out); }

 private:
  void advance(int64_t available, int64_t due);
  void forget();

  const Resampler* resampler_ = nullptr;
  Buffer<int16_t> history_;  // samples first_ .. heard_ - 1 as they came
  int64_t room_ = 0;         // of `history_`
  int64_t first_ = 0, heard_ = 0;
  Ring<int16_t> ring_;  // of resampled samples
  Moment next_;         // of the next one
};

}  // namespace edgetl
