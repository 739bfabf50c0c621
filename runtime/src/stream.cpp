// The C functions of streams.
#include <algorithm>
#include <cmath>
#include <new>

#include "edgetl/audio.h"
#include "edgetl/series.h"
#include "fail.h"
#include "model.h"
#include "options.h"
#include "series.h"
#include "spotting.h"
#include "windows.h"

struct edgetl_stream {
  edgetl_model* model = nullptr;
  bool hears = false;              // sound; else sensors
  edgetl::Windows windows;         // of sound
  edgetl::Ring<float> time_steps;  // of sensors
  edgetl::Spotter spotter;
  edgetl_hop hop{};
  bool ended = false;
};

namespace edgetl {
namespace {

constexpr int32_t longest_hop = 1 << 20, most_smoothing = 1000, longest_refractory = 1 << 30, windows_at_first = 4;

int32_t window_of(const Manifest& manifest) {
  return manifest.front == Front::audio ? manifest.audio.samples : manifest.series.steps;
}

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
  const int32_t window = window_of(manifest), quarter = window < 4 ? 1 : window / 4;
  edgetl_status status = EDGETL_OK;
  ours.struct_size = sizeof ours;
  if (theirs != nullptr) status = take_struct(theirs, ours, "settings", "edgetl_stream_settings", error);
  if (status == EDGETL_OK) status = take_length(ours.hop, longest_hop, quarter, "hop", error);
  if (status == EDGETL_OK) status = take_length(ours.smoothing, most_smoothing, windows_at_first, "smoothing", error);
  if (status == EDGETL_OK) status = take_length(ours.refractory, longest_refractory, window, "refractory", error);
  if (status == EDGETL_OK) status = check_thresholds(ours.thresholds, manifest.labels.size(), error);
  return status;
}

// False if there is not enough memory.
bool make_stream(edgetl_model& model, const edgetl_stream_settings& settings, edgetl_stream& stream) {
  const Manifest& manifest = model.bundle.manifest();
  const int32_t window = window_of(manifest);
  stream.model = &model;
  stream.hears = manifest.front == Front::audio;
  if (!stream.spotter.make(manifest.labels.size(), {settings.smoothing, settings.refractory, settings.thresholds})) {
    return false;
  }
  return stream.hears ? stream.windows.make(model.resampler, window, settings.hop)
                      : stream.time_steps.make(window, settings.hop, manifest.series.channels);
}

edgetl_status open_stream(edgetl_model& model, const edgetl_stream_settings* settings, edgetl_stream** stream,
                          edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  edgetl_stream_settings taken{};
  edgetl_status status = manifest.front == Front::series ? EDGETL_OK : check_front(model, Front::audio, error);
  if (status == EDGETL_OK) status = take_settings(settings, manifest, taken, error);
  if (status != EDGETL_OK) return status;
  std::unique_ptr<edgetl_stream> opened(new (std::nothrow) edgetl_stream);
  if (opened == nullptr || !make_stream(model, taken, *opened)) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for a stream");
  }
  *stream = opened.release();
  return succeed(error);
}

bool complete(const edgetl_stream& stream) {
  return stream.hears ? stream.windows.complete() : stream.time_steps.complete();
}

// Runs the network on the window that is complete.
edgetl_status infer_window(edgetl_stream& stream, const edgetl_hop** hop, edgetl_error* error) {
  edgetl_model& model = *stream.model;
  const Running running(model);
  if (!running.alone()) return running.refuse(error);
  Engine& engine = *model.engine;
  const int64_t end = stream.hears ? stream.windows.end_of_window() : stream.time_steps.due();
  const int64_t begin = end - window_of(model.bundle.manifest());
  if (stream.hears) {
    stream.windows.give(static_cast<int16_t*>(engine.inputs()[0].data));
  } else {
    stream.time_steps.give(static_cast<float*>(engine.inputs()[0].data));
  }
  const edgetl_status status = engine.run(error);
  if (status != EDGETL_OK) return status;
  if (!stream.spotter.add(static_cast<const float*>(engine.outputs()[0].data), end)) {
    return fail(error, EDGETL_ENGINE_FAILED, "%s: the network's output has values that are not finite",
                model.bundle.where().c_str());
  }
  const auto pushed = [&](int64_t at) { return stream.hears ? model.resampler.moment_of(at).whole : at; };
  stream.hop = {pushed(begin), pushed(end), stream.spotter.probabilities(), stream.spotter.best(),
                stream.spotter.detected()};
  *hop = &stream.hop;
  return EDGETL_OK;
}

// What is the same for samples and time steps.
edgetl_status check_push(const edgetl_stream* stream, const void* data, size_t count, size_t* taken,
                         const edgetl_hop** hop, Front front, edgetl_error* error) {
  if (taken == nullptr) return null_argument(error, "a place for the number that was taken");
  *taken = 0;
  if (hop == nullptr) return null_argument(error, "a place for the window's result");
  *hop = nullptr;
  if (stream == nullptr) return null_argument(error, "an open stream");
  if (data == nullptr && count > 0) return null_argument(error, front == Front::audio ? "samples" : "time steps");
  if (const edgetl_status status = check_front(*stream->model, front, error)) return status;
  if (!stream->ended) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "expected no more %s after edgetl_stream_end: call edgetl_stream_reset",
              front == Front::audio ? "samples" : "time steps");
}

edgetl_status check_finite(const edgetl_stream& stream, const float* values, size_t time_steps, size_t channels,
                           edgetl_error* error) {
  const size_t count = time_steps * channels, bad = first_not_finite(values, count);
  if (bad == count) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "the value of channel %zu at time step %zu %s; fill or cut gaps first",
              bad % channels + 1, static_cast<size_t>(stream.time_steps.made()) + bad / channels + 1,
              std::isnan(values[bad]) ? "is not a number" : "is infinite");
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
  const edgetl_status status = edgetl::check_push(stream, samples, count, taken, hop, edgetl::Front::audio, error);
  if (status != EDGETL_OK) return status;
  *taken = stream->windows.take(samples, count);
  return edgetl::complete(*stream) ? edgetl::infer_window(*stream, hop, error) : succeed(error);
}

edgetl_status edgetl_stream_push_steps(edgetl_stream* stream, const float* values, size_t time_steps, size_t channels,
                                       size_t* taken, const edgetl_hop** hop, edgetl_error* error) {
  edgetl_status status = edgetl::check_push(stream, values, time_steps, taken, hop, edgetl::Front::series, error);
  if (status != EDGETL_OK) return status;
  const int32_t expected = stream->model->bundle.manifest().series.channels;
  if (channels != static_cast<size_t>(expected)) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "stream: expected %d channels, found %zu", static_cast<int>(expected),
                channels);
  }
  edgetl::Ring<float>& ring = stream->time_steps;
  const size_t count = std::min(time_steps, static_cast<size_t>(ring.due() - ring.made()));
  status = edgetl::check_finite(*stream, values, count, channels, error);
  if (status != EDGETL_OK) return status;
  for (size_t time_step = 0; time_step < count; ++time_step) ring.put(values + time_step * channels);
  *taken = count;
  return edgetl::complete(*stream) ? edgetl::infer_window(*stream, hop, error) : succeed(error);
}

edgetl_status edgetl_stream_end(edgetl_stream* stream, const edgetl_hop** hop, edgetl_error* error) {
  if (hop == nullptr) return null_argument(error, "a place for the window's result");
  *hop = nullptr;
  if (stream == nullptr) return null_argument(error, "an open stream");
  stream->ended = true;
  if (stream->hears) stream->windows.end();
  return edgetl::complete(*stream) ? edgetl::infer_window(*stream, hop, error) : succeed(error);
}

void edgetl_stream_reset(edgetl_stream* stream) {
  if (stream == nullptr) return;
  stream->hears ? stream->windows.reset() : stream->time_steps.reset();
  stream->spotter.reset();
  stream->ended = false;
}

void edgetl_stream_close(edgetl_stream* stream) { delete stream; }
