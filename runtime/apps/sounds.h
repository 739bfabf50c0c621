// WAV files for the apps: read, cut to the window of a bundle, classify.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edgetl/audio.h"

namespace edgetl {

struct Sound {
  std::vector<int16_t> samples;
  int32_t rate_hz = 0;
};

// EDGETL_INVALID_ARGUMENT, with a line that names the file, unless it is a WAV file at `rate_hz`.
edgetl_status read_sound_file(const std::string& path, int32_t rate_hz, Sound& sound, edgetl_error* error);

// The middle of a recording as the model's network takes it.
void prepare_sound(const edgetl_model& model, const Sound& sound, std::vector<uint8_t>& input);

// Of the recordings that the model takes, in Hz; 0 if it takes images.
int32_t rate_of_sound(const edgetl_model* model);

}  // namespace edgetl
