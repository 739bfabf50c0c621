// WAV files and files of sensor windows for the apps: read, cut to what a bundle takes.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edgetl/audio.h"
#include "edgetl/series.h"
#include "series.h"

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

// EDGETL_INVALID_ARGUMENT, with a line that names the file, unless it is a window with so many channels.
edgetl_status read_window_file(const std::string& path, int32_t channels, Window& window, edgetl_error* error);

// A window as the model's network takes it.
void prepare_window(const edgetl_model& model, const Window& window, std::vector<uint8_t>& input);

}  // namespace edgetl
