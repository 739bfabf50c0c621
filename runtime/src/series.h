// Windows of sensor channels: read from a file, cut or continued to what the network sees. edgetl/fronts/series has the
// rules and gives the same values.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"

namespace edgetl {

struct Window {
  std::vector<float> values;  // (steps, channels)
  size_t steps = 0;
  size_t channels = 0;
};

// Lines of CSV or TSV, one after the other.
class StepReader {
 public:
  explicit StepReader(const char* name) : name_(name) {}
  // Adds the values of one more line, without its end, if it is a time step. EDGETL_INVALID_ARGUMENT, in a line that begins
  // with the name, if it is neither one nor blank nor a header.
  edgetl_status take(std::string_view line, std::vector<float>& values, edgetl_error* error);
  size_t channels() const { return width_ - first_; }  // 0 before the first line that is not blank

 private:
  const char* name_;
  char separator_ = ',';
  size_t line_ = 0, width_ = 0, first_ = 0;
};

// EDGETL_INVALID_ARGUMENT, in a line that begins with `name`, if this is neither an .npy file nor CSV or TSV of numbers,
// or has values that are not finite.
edgetl_status read_window(const char* name, Bytes file, Window& window, edgetl_error* error);

// The beginning of a longer window; a shorter one stays at its last time step. values (steps, channels), steps at least 1;
// out (wanted, channels). Allocates nothing.
void fit_window(const float* values, size_t steps, size_t channels, size_t wanted, float* out);

// Where the first value that is not finite lies; `count` if there is none.
size_t first_not_finite(const float* values, size_t count);

}  // namespace edgetl
