#include "spotting.h"

#include <algorithm>
#include <cmath>

namespace edgetl {
namespace {

// 1 / k! for k = 13 .. 0
constexpr double series[] = {1.0 / 6227020800.0,
                             1.0 / 479001600.0,
                             1.0 / 39916800.0,
                             1.0 / 3628800.0,
                             1.0 / 362880.0,
                             1.0 / 40320.0,
                             1.0 / 5040.0,
                             1.0 / 720.0,
                             1.0 / 120.0,
                             1.0 / 24.0,
                             1.0 / 6.0,
                             1.0 / 2.0,
                             1.0,
                             1.0};
constexpr double log2_e = 1.4426950408889634;
constexpr double ln2_high = 0.693147180369123816490, ln2_low = 1.90821492927058770002e-10;  // their sum is ln 2

void softmax(const float* logits, size_t classes, double* shares) {
  const auto largest = static_cast<double>(*std::max_element(logits, logits + classes));
  double sum = 0;
  for (size_t c = 0; c < classes; ++c) {
    shares[c] = exponential(static_cast<double>(logits[c]) - largest);
    sum += shares[c];
  }
  for (size_t c = 0; c < classes; ++c) shares[c] /= sum;
}

}  // namespace

double exponential(double x) {
  if (x < -708) return 0;
  const double whole = std::floor(x * log2_e + 0.5);
  const double rest = (x - whole * ln2_high) - whole * ln2_low;
  double sum = 0;
  for (const double factor : series) sum = sum * rest + factor;
  return std::ldexp(sum, static_cast<int>(whole));
}

bool Spotter::make(size_t classes, const Spotting& settings) {
  classes_ = classes;
  smoothing_ = static_cast<size_t>(settings.smoothing);
  refractory_ = settings.refractory;
  thresholds_given_ = settings.thresholds != nullptr;
  thresholds_ = make_buffer<float>(classes);
  means_ = make_buffer<float>(classes);
  shares_ = make_buffer<double>(classes * smoothing_);
  if (thresholds_ == nullptr || means_ == nullptr || shares_ == nullptr) return false;
  if (thresholds_given_) std::copy_n(settings.thresholds, classes, thresholds_.get());
  reset();
  return true;
}

void Spotter::reset() {
  std::fill_n(means_.get(), classes_, 0.0F);
  count_ = 0;
  has_detected_ = false;
  detected_ = -1;
}

bool Spotter::add(const float* logits, int64_t end) {
  if (!std::all_of(logits, logits + classes_, [](float value) { return std::isfinite(value); })) return false;
  softmax(logits, classes_, shares_.get() + count_ % smoothing_ * classes_);
  ++count_;
  average();
  detected_ = find(end);
  if (detected_ < 0) return true;
  has_detected_ = true;
  last_end_ = end;
  return true;
}

int32_t Spotter::best() const {
  return static_cast<int32_t>(std::max_element(means_.get(), means_.get() + classes_) - means_.get());
}

// From the oldest window to the newest.
void Spotter::average() {
  const size_t windows = std::min(count_, smoothing_);
  for (size_t c = 0; c < classes_; ++c) {
    double sum = 0;
    for (size_t w = count_ - windows; w < count_; ++w) sum += shares_[w % smoothing_ * classes_ + c];
    means_[c] = static_cast<float>(sum / static_cast<double>(windows));
  }
}

int32_t Spotter::find(int64_t end) const {
  if (!thresholds_given_ || (has_detected_ && end - last_end_ < refractory_)) return -1;
  int32_t found = -1;
  for (size_t c = 0; c < classes_; ++c) {
    if (means_[c] < thresholds_[c]) continue;
    if (found < 0 || means_[c] > means_[static_cast<size_t>(found)]) found = static_cast<int32_t>(c);
  }
  return found;
}

}  // namespace edgetl
