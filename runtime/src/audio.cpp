// The C functions of recordings.
#include "edgetl/audio.h"

#include <cstring>

#include "fail.h"
#include "model.h"
#include "resample.h"

namespace edgetl {
namespace {

constexpr size_t most_samples = 1'000'000'000;

edgetl_status check_clip(const edgetl_model& model, size_t count, int32_t rate_hz, size_t classes,
                         edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  const edgetl_status status = check_front(model, Front::audio, error);
  if (status != EDGETL_OK) return status;
  if (rate_hz != manifest.audio.file_rate_hz) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s: expected samples at %d Hz; found %d Hz: resample them",
                model.bundle.where().c_str(), static_cast<int>(manifest.audio.file_rate_hz), static_cast<int>(rate_hz));
  }
  if (count < 1 || count > most_samples) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "samples: expected 1 to %zu; found %zu", most_samples, count);
  }
  if (classes == manifest.labels.size()) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "logits: expected info.classes, %zu; found %zu", manifest.labels.size(),
              classes);
}

}  // namespace
}  // namespace edgetl

using edgetl::null_argument;

edgetl_status edgetl_classify_samples(edgetl_model* model, const int16_t* samples, size_t count, int32_t rate_hz,
                                      float* logits, size_t classes, edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (samples == nullptr) return null_argument(error, "samples");
  if (logits == nullptr) return null_argument(error, "a buffer for the logits");
  edgetl_status status = edgetl::check_clip(*model, count, rate_hz, classes, error);
  if (status != EDGETL_OK) return status;
  const edgetl::Running running(*model);
  if (!running.alone()) return running.refuse(error);
  edgetl::Engine& engine = *model->engine;
  edgetl::cut_window(model->resampler, samples, static_cast<int64_t>(count), model->bundle.manifest().audio.samples,
                     static_cast<int16_t*>(engine.inputs()[0].data));
  status = engine.run(error);
  if (status == EDGETL_OK) std::memcpy(logits, engine.outputs()[0].data, classes * sizeof(float));
  return status;
}
