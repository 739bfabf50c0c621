#include "sounds.h"

#include <cstring>

#include "fail.h"
#include "file_content.h"
#include "model.h"
#include "wav.h"

namespace edgetl {

edgetl_status read_sound_file(const std::string& path, int32_t rate_hz, Sound& sound, edgetl_error* error) {
  constexpr const char* what = "a sound";
  Content content;
  Wav wav;
  const char* name = path.c_str();
  edgetl_status status = read_content(name, what, content, error);
  if (status == EDGETL_OK) status = read_wav(name, {content.data.get(), content.bytes}, wav, error);
  if (status != EDGETL_OK) return status;
  if (wav.rate_hz != rate_hz) {
    const std::string rates =
        "expected " + std::to_string(rate_hz) + " Hz, found " + std::to_string(wav.rate_hz) + " Hz";
    return refuse_content(error, EDGETL_INVALID_ARGUMENT, name, what, rates.c_str());
  }
  sound.rate_hz = wav.rate_hz;
  sound.samples.resize(wav.count);
  return convert(wav, 0, wav.count, sound.samples.data()) ? EDGETL_OK : refuse_floats(name, error);
}

void prepare_sound(const edgetl_model& model, const Sound& sound, std::vector<uint8_t>& input) {
  std::vector<int16_t> window(static_cast<size_t>(model.bundle.manifest().audio.samples));
  cut_window(model.resampler, sound.samples.data(), static_cast<int64_t>(sound.samples.size()),
             static_cast<int64_t>(window.size()), window.data());
  input.resize(window.size() * sizeof(int16_t));
  std::memcpy(input.data(), window.data(), input.size());
}

edgetl_status read_window_file(const std::string& path, int32_t channels, Window& window, edgetl_error* error) {
  constexpr const char* what = "a window";
  Content content;
  const char* name = path.c_str();
  edgetl_status status = read_content(name, what, content, error);
  if (status == EDGETL_OK) status = refuse_picture(content, name, what, error);
  if (status == EDGETL_OK) status = read_window(name, {content.data.get(), content.bytes}, window, error);
  if (status != EDGETL_OK || window.channels == static_cast<size_t>(channels)) return status;
  const std::string found =
      "expected " + std::to_string(channels) + " channels, found " + std::to_string(window.channels);
  return refuse_content(error, EDGETL_INVALID_ARGUMENT, name, what, found.c_str());
}

void prepare_window(const edgetl_model& model, const Window& window, std::vector<uint8_t>& input) {
  const auto steps = static_cast<size_t>(model.bundle.manifest().series.steps);
  std::vector<float> fitted(steps * window.channels);
  fit_window(window.values.data(), window.steps, window.channels, steps, fitted.data());
  input.resize(fitted.size() * sizeof(float));
  std::memcpy(input.data(), fitted.data(), input.size());
}

int32_t rate_of_sound(const edgetl_model* model) {
  edgetl_info info{};
  info.struct_size = sizeof info;
  edgetl_get_info(model, &info);
  return info.rate_hz;
}

}  // namespace edgetl
