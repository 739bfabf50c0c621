// WAV files -> int16 samples, mono; edgetl/fronts/audio/wav.py has the rules and gives the same samples.
#pragma once

#include <cstddef>
#include <cstdint>

#include "bundle.h"
#include "edgetl/runtime.h"

namespace edgetl {

constexpr size_t max_wav_bytes = 1'000'000'000;

// The samples of a file, found and not yet converted. Not owned: the file's bytes must stay.
struct Wav {
  const uint8_t* frames = nullptr;
  size_t count = 0;  // of frames: samples of a mono clip
  int32_t rate_hz = 0;
  int32_t channels = 0;
  int32_t bits = 0;
  bool floats = false;
};

// EDGETL_INVALID_ARGUMENT, in a line that begins with `name`, if this is not a WAV file whose samples can be read.
edgetl_status read_wav(const char* name, Bytes file, Wav& wav, edgetl_error* error);

// Converts frames `first` .. `first + count - 1`, which must be there. Allocates nothing. False if a float is not finite
// or above 8; `out` is then incomplete.
bool convert(const Wav& wav, size_t first, size_t count, int16_t* out);

// The message for it.
edgetl_status refuse_floats(const char* name, edgetl_error* error);

}  // namespace edgetl
