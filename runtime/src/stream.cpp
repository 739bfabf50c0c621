// The C functions of streams.
#include <cstring>
#include <new>

#include "edgetl/audio.h"
#include "fail.h"
#include "model.h"
#include "options.h"
#include "spotting.h"
#include "windows.h"

struct edgetl_stream {
  edgetl_model* model = nullptr;
  edgetl::Windows windows;
  edgetl::Spotter spotter;
  edgetl_hop hop{};
  bool ended = false;
};

namespace edgetl {
namespace {

constexpr int32_t longest_hop = 1 << 20, most_smoothing = 1000, longest_refractory = 1 << 30, windows_at_first = 4;

// 0 becomes `standard`.
edgetl_status take_length(int32_t& value, int32_t most, int32_t standard, const char* what, edgetl_error* error) {
  if (value == 0) value = standard;
  if (value >= 1 && value <= most) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "settings.%s: expected 1 to %d, or 0 for the default; found %d", what,
              static_cast<int>(most), static_cast<int>(value));
}

edgetl_status check_thresholds(const float* thresholds, size_t classes, edgetl_error* error) {
  for (size_t c = 0; thresholds != nullptr && c < classes; ++c) {
    if (thresholds[c] >= 0) continue;
    return fail(error, EDGETL_INVALID_ARGUMENT, "settings.thresholds: expected 0 or more for class %zu; found %g", c,
                static_cast<double>(thresholds[c]));
  }
  return EDGETL_OK;
}

edgetl_status take_settings(const edgetl_stream_settings* theirs, const Manifest& manifest,
                            edgetl_stream_settings& ours, edgetl_error* error) {
  const int32_t window = manifest.audio.samples, quarter = window < 4 ? 1 : window / 4;
  edgetl_status status = EDGETL_OK;
  ours.struct_size = sizeof ours;
  if (theirs != nullptr) status = take_struct(theirs, ours, "settings", "edgetl_stream_settings", error);
  if (status == EDGETL_OK) status = take_length(ours.hop, longest_hop, quarter, "hop", error);
  if (status == EDGETL_OK) status = take_length(ours.smoothing, most_smoothing, windows_at_first, "smoothing", error);
  if (status == EDGETL_OK) status = take_length(ours.refractory, longest_refractory, window, "refractory", error);
  if (status == EDGETL_OK) status = check_thresholds(ours.thresholds, manifest.labels.size(), error);
  return status;
}

edgetl_status open_stream(edgetl_model& model, const edgetl_stream_settings* settings, edgetl_stream** stream,
                          edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  edgetl_stream_settings taken{};
  edgetl_status status = check_front(model, Front::audio, error);
  if (status == EDGETL_OK) status = take_settings(settings, manifest, taken, error);
  if (status != EDGETL_OK) return status;
  std::unique_ptr<edgetl_stream> opened(new (std::nothrow) edgetl_stream);
  const bool made = opened != nullptr && opened->windows.make(model.resampler, manifest.audio.samples, taken.hop) &&
                    opened->spotter.make(manifest.labels.size(), {taken.smoothing, taken.refractory, taken.thresholds});
  if (!made) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for a stream");
  opened->model = &model;
  *stream = opened.release();
  return succeed(error);
}

// Runs the network on the window that is complete.
edgetl_status infer_window(edgetl_stream& stream, const edgetl_hop** hop, edgetl_error* error) {
  edgetl_model& model = *stream.model;
  const Running running(model);
  if (!running.alone()) return running.refuse(error);
  Engine& engine = *model.engine;
  const int64_t end = stream.windows.end_of_window(), begin = end - model.bundle.manifest().audio.samples;
  stream.windows.give(static_cast<int16_t*>(engine.inputs()[0].data));
  const edgetl_status status = engine.run(error);
  if (status != EDGETL_OK) return status;
  if (!stream.spotter.add(static_cast<const float*>(engine.outputs()[0].data), end)) {
    return fail(error, EDGETL_ENGINE_FAILED, "%s: the network's output has values that are not finite",
                model.bundle.where().c_str());
  }
  stream.hop = {model.resampler.moment_of(begin).whole, model.resampler.moment_of(end).whole,
                stream.spotter.probabilities(), stream.spotter.best(), stream.spotter.detected()};
  *hop = &stream.hop;
  return EDGETL_OK;
}

}  // namespace
}  // namespace edgetl

using edgetl::fail;
using edgetl::null_argument;
using edgetl::succeed;

edgetl_status edgetl_stream_open(edgetl_model* model, const edgetl_stream_settings* settings, edgetl_stream** stream,
                                 edgetl_error* error) {
  if (stream == nullptr) return null_argument(error, "a place for the stream");
  *stream = nullptr;
  if (model == nullptr) return null_argument(error, "an open model");
  return edgetl::open_stream(*model, settings, stream, error);
}

edgetl_status edgetl_stream_push(edgetl_stream* stream, const int16_t* samples, size_t count, size_t* taken,
                                 const edgetl_hop** hop, edgetl_error* error) {
  if (taken == nullptr) return null_argument(error, "a place for the number of samples");
  *taken = 0;
  if (hop == nullptr) return null_argument(error, "a place for the window's result");
  *hop = nullptr;
  if (stream == nullptr) return null_argument(error, "an open stream");
  if (samples == nullptr && count > 0) return null_argument(error, "samples");
  if (stream->ended) {
    return fail(error, EDGETL_INVALID_ARGUMENT,
                "expected no more samples after edgetl_stream_end: call edgetl_stream_reset");
  }
  *taken = stream->windows.take(samples, count);
  return stream->windows.complete() ? edgetl::infer_window(*stream, hop, error) : succeed(error);
}

edgetl_status edgetl_stream_end(edgetl_stream* stream, const edgetl_hop** hop, edgetl_error* error) {
  if (hop == nullptr) return null_argument(error, "a place for the window's result");
  *hop = nullptr;
  if (stream == nullptr) return null_argument(error, "an open stream");
  stream->ended = true;
  stream->windows.end();
  return stream->windows.complete() ? edgetl::infer_window(*stream, hop, error) : succeed(error);
}

void edgetl_stream_reset(edgetl_stream* stream) {
  if (stream == nullptr) return;
  stream->windows.reset();
  stream->spotter.reset();
  stream->ended = false;
}

void edgetl_stream_close(edgetl_stream* stream) { delete stream; }
