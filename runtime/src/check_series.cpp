// The golden windows of the series front: decode and window; edgetl/bundle/golden_steps.py is the reference. The network
// starts from the golden input.
#include <cstring>

#include "checks.h"
#include "series.h"

namespace edgetl {
namespace {

size_t differing(const float* found, Bytes golden) {
  size_t count = 0;
  for (size_t i = 0; i < golden.size / sizeof(float); ++i) {
    float expected;
    std::memcpy(&expected, golden.data + i * sizeof(float), sizeof(float));
    count += found[i] != expected;
  }
  return count;
}

void compare(const char* step, const float* found, Bytes golden, int32_t index, Checks& checks) {
  const size_t others = differing(found, golden);
  checks.add(index, step, others == 0, static_cast<double>(others), 0,
             detail("%zu of %zu values differ (limit 0)", others, golden.size / sizeof(float)));
}

}  // namespace

edgetl_status check_series(const Series& series, const GoldenImage& golden, int32_t index, Checks& checks) {
  const auto channels = static_cast<size_t>(series.channels), wanted = static_cast<size_t>(series.steps);
  const size_t count = golden.samples.size / sizeof(float), steps = count / channels;
  edgetl_error why;
  Window found;
  if (read_window(golden.file_name, golden.file, found, &why) != EDGETL_OK) {
    checks.add(index, "decode", false, static_cast<double>(count), 0, detail("%s", why.message));
  } else if (found.steps != steps || found.channels != channels) {
    checks.add(index, "decode", false, static_cast<double>(count), 0,
               detail("%zu steps of %zu channels, expected %zu of %zu", found.steps, found.channels, steps, channels));
  } else {
    compare("decode", found.values.data(), golden.samples, index, checks);
  }
  std::vector<float> stored(count), made(wanted * channels);
  std::memcpy(stored.data(), golden.samples.data, golden.samples.size);
  fit_window(stored.data(), steps, channels, wanted, made.data());
  compare("window", made.data(), golden.input, index, checks);
  return EDGETL_OK;
}

}  // namespace edgetl
