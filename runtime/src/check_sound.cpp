// The golden recordings of the audio front: decode and window; edgetl/bundle/golden_steps.py is the reference. The network
// starts from the golden input.
#include <algorithm>
#include <cinttypes>
#include <cstdlib>

#include "buffer.h"
#include "checks.h"
#include "fail.h"
#include "wav.h"

namespace edgetl {
namespace {

constexpr double not_comparable = 65535;  // the difference of recordings of another length or rate

int32_t sample_at(Bytes samples, size_t index) {
  return static_cast<int16_t>(samples.data[2 * index] | samples.data[2 * index + 1] << 8);
}

void compare(const char* step, const int16_t* found, Bytes golden, int32_t index, Checks& checks) {
  int32_t largest = 0;
  for (size_t i = 0; i < golden.size / 2; ++i) largest = std::max(largest, std::abs(found[i] - sample_at(golden, i)));
  checks.add(index, step, largest == 0, largest, 0,
             detail("largest difference %" PRId32 " of 65535 (limit 0)", largest));
}

edgetl_status no_memory(edgetl_error* error) {
  return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for a golden recording");
}

edgetl_status check_decode(const GoldenImage& golden, int32_t rate_hz, int32_t index, Checks& checks,
                           edgetl_error* error) {
  edgetl_error why;
  Wav wav;
  const size_t expected = golden.samples.size / 2;
  const auto differs = [&](const Detail& how) { checks.add(index, "decode", false, not_comparable, 0, how); };
  if (read_wav(golden.file_name, golden.file, wav, &why) != EDGETL_OK) {
    differs(detail("%s", why.message));
  } else if (wav.rate_hz != rate_hz) {
    differs(detail("%s: %" PRId32 " Hz instead of %" PRId32, golden.file_name, wav.rate_hz, rate_hz));
  } else if (wav.count != expected) {
    differs(detail("%zu samples, expected %zu", wav.count, expected));
  } else {
    const Buffer<int16_t> found = make_buffer<int16_t>(wav.count);
    if (found == nullptr) return no_memory(error);
    if (convert(wav, 0, wav.count, found.get())) {
      compare("decode", found.get(), golden.samples, index, checks);
    } else {
      refuse_floats(golden.file_name, &why);
      differs(detail("%s", why.message));
    }
  }
  return EDGETL_OK;
}

edgetl_status check_window(const Resampler& resampler, const GoldenImage& golden, int32_t index, Checks& checks,
                           edgetl_error* error) {
  const size_t count = golden.samples.size / 2, samples = golden.input.size / 2;
  const Buffer<int16_t> clip = make_buffer<int16_t>(count), made = make_buffer<int16_t>(samples);
  if (clip == nullptr || made == nullptr) return no_memory(error);
  for (size_t i = 0; i < count; ++i) clip[i] = static_cast<int16_t>(sample_at(golden.samples, i));
  cut_window(resampler, clip.get(), static_cast<int64_t>(count), static_cast<int64_t>(samples), made.get());
  compare("window", made.get(), golden.input, index, checks);
  return EDGETL_OK;
}

}  // namespace

edgetl_status check_sound(const Bundle& bundle, const Resampler& resampler, const GoldenImage& golden, int32_t index,
                          Checks& checks, edgetl_error* error) {
  const edgetl_status status = check_decode(golden, bundle.manifest().audio.file_rate_hz, index, checks, error);
  return status == EDGETL_OK ? check_window(resampler, golden, index, checks, error) : status;
}

}  // namespace edgetl
