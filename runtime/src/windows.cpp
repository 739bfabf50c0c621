#include "windows.h"

#include <algorithm>
#include <limits>

namespace edgetl {
namespace {

constexpr int64_t block = 4096;  // samples that are taken at once

}  // namespace

bool Windows::make(const Resampler& resampler, int32_t window, int32_t hop) {
  resampler_ = &resampler;
  room_ = resampler.taps() + block;
  history_ = make_buffer<int16_t>(static_cast<size_t>(room_));
  const bool made = ring_.make(window, hop, 1);
  reset();
  return made && history_ != nullptr;
}

void Windows::reset() {
  ring_.reset();
  first_ = heard_ = 0;
  next_ = {};
}

size_t Windows::take(const int16_t* samples, size_t count) {
  size_t taken = 0;
  for (;;) {
    // a sample needs taps / 2 samples after its moment
    advance(heard_ - resampler_->taps() / 2, ring_.due());
    if (complete() || taken == count) return taken;
    forget();
    const int64_t more = std::min(room_ - (heard_ - first_), static_cast<int64_t>(count - taken));
    std::copy_n(samples + taken, more, history_.get() + (heard_ - first_));
    heard_ += more;
    taken += static_cast<size_t>(more);
  }
}

void Windows::end() {
  advance(std::numeric_limits<int64_t>::max(), std::min(ring_.due(), resampler_->length_of(heard_)));
}

// Makes samples of the moments before input sample `available`, until there are `due`.
void Windows::advance(int64_t available, int64_t due) {
  for (; ring_.made() < due && next_.whole < available; next_ = resampler_->next(next_)) {
    const int16_t made = resampler_->sample(history_.get(), first_, heard_ - first_, next_);
    ring_.put(&made);
  }
}

// Input samples before those that the next resampled one needs.
void Windows::forget() {
  if (heard_ - first_ < room_ - block / 2) return;
  const int64_t needed = std::clamp(resampler_->first_of(next_), first_, heard_);
  std::copy(history_.get() + (needed - first_), history_.get() + (heard_ - first_), history_.get());
  first_ = needed;
}

}  // namespace edgetl
