// int16 samples from one rate to another, and the window that the network hears; edgetl/fronts/audio/resample.py and
// window.py have the rules and give the same samples.
#pragma once

#include <cstddef>
#include <cstdint>

#include "buffer.h"
#include "bundle.h"
#include "edgetl/runtime.h"
#include "manifest.h"

namespace edgetl {

constexpr size_t most_table_values = 1 << 18;

// Where an output sample lies: after input sample `whole`, by `phase` / phases() of the way to the next.
struct Moment {
  int64_t whole = 0;
  int32_t phase = 0;
};

class Resampler {
 public:
  // Of a bundle of the audio front: takes the table from its file, or none where both rates are equal.
  // EDGETL_BUNDLE_INVALID if the table does not fit the rates.
  edgetl_status open(const Bundle& bundle, edgetl_error* error);

  // Of a table (phases, taps) for these rates.
  bool open(int32_t from_hz, int32_t to_hz, const int16_t* table, size_t taps);

  int32_t phases() const { return phases_; }
  int64_t taps() const { return taps_; }  // even; 0 where both rates are equal

  // Samples of a clip of `count` samples.
  int64_t length_of(int64_t count) const { return (count * phases_ + step_ - 1) / step_; }
  Moment moment_of(int64_t index) const {
    return {index * step_ / phases_, static_cast<int32_t>(index * step_ % phases_)};
  }
  Moment next(Moment at) const;

  // The first input sample that the one at `at` needs.
  int64_t first_of(Moment at) const { return taps_ == 0 ? at.whole : at.whole - taps_ / 2 + 1; }

  // The sample at `at` of a clip of which `x` holds samples `first` .. `first + count - 1`; others are 0. Allocates nothing.
  int16_t sample(const int16_t* x, int64_t first, int64_t count, Moment at) const;

 private:
  bool set(int32_t from_hz, int32_t to_hz, size_t taps);
  int32_t phases_ = 1, step_ = 1;  // output samples come every step / phases input samples
  int64_t taps_ = 0;
  Buffer<int16_t> table_;  // (phases, taps)
};

// A clip of any length -> `samples` samples at the network's rate: the middle of it, or it in the middle of zeros.
// Allocates nothing.
void cut_window(const Resampler& resampler, const int16_t* clip, int64_t count, int64_t samples, int16_t* out);

}  // namespace edgetl
