/* Streams of sound and of sensors in C++17: stream.h with an owner. Header only; works with -fno-exceptions. */
#ifndef EDGETL_STREAM_HPP
#define EDGETL_STREAM_HPP

#include "edgetl/audio.h"
#include "edgetl/runtime.hpp"
#include "edgetl/series.h"

namespace edgetl {

inline edgetl_stream_settings default_stream_settings() {
  edgetl_stream_settings settings{};
  settings.struct_size = sizeof settings;
  return settings;
}

// A stream of samples or time steps through a model of its own.
class Stream {
 public:
  static Result<Stream> open(const char* folder, const edgetl_stream_settings& settings = default_stream_settings(),
                             const edgetl_options& options = default_options()) {
    return over(Model::open(folder, options), settings);
  }

  // `model` is open, or its error is returned.
  static Result<Stream> over(Result<Model> model, const edgetl_stream_settings& settings = default_stream_settings()) {
    if (!model) return model.error();
    edgetl_error error{};
    edgetl_stream* stream = nullptr;
    if (edgetl_stream_open(model->get(), &settings, &stream, &error) != EDGETL_OK) return error;
    return Stream(std::move(*model), stream);
  }

  const Model& model() const { return model_; }

  // Calls `on_hop(const edgetl_hop&)` for every window that is complete with these samples.
  template <typename OnHop>
  edgetl_status push(Span<const int16_t> samples, const OnHop& on_hop, edgetl_error* error = nullptr) {
    return push_all(samples, 1, on_hop, [&](size_t* taken, const edgetl_hop** hop) {
      return edgetl_stream_push(stream_.get(), samples.data, samples.size, taken, hop, error);
    });
  }

  // The same for sensors: values (time steps, channels), as many channels as model().info() says.
  template <typename OnHop>
  edgetl_status push(Span<const float> values, const OnHop& on_hop, edgetl_error* error = nullptr) {
    const auto channels = static_cast<size_t>(model_.info().channels);
    return push_all(values, channels, on_hop, [&](size_t* taken, const edgetl_hop** hop) {
      const size_t time_steps = channels == 0 ? 0 : values.size / channels;
      return edgetl_stream_push_steps(stream_.get(), values.data, time_steps, channels, taken, hop, error);
    });
  }

  // The recording has ended: the last windows.
  template <typename OnHop>
  edgetl_status end(const OnHop& on_hop, edgetl_error* error = nullptr) {
    for (;;) {
      const edgetl_hop* hop = nullptr;
      const edgetl_status status = edgetl_stream_end(stream_.get(), &hop, error);
      if (status != EDGETL_OK || hop == nullptr) return status;
      on_hop(*hop);
    }
  }

  void reset() { edgetl_stream_reset(stream_.get()); }

 private:
  struct Close {
    void operator()(edgetl_stream* stream) const { edgetl_stream_close(stream); }
  };
  // `push` takes from the front of `values`, until no window is complete.
  template <typename Value, typename OnHop, typename Push>
  static edgetl_status push_all(Span<const Value>& values, size_t width, const OnHop& on_hop, const Push& push) {
    for (;;) {
      size_t taken = 0;
      const edgetl_hop* hop = nullptr;
      const edgetl_status status = push(&taken, &hop);
      if (status != EDGETL_OK || hop == nullptr) return status;
      values = {values.data + taken * width, values.size - taken * width};
      on_hop(*hop);
    }
  }

  Stream(Model model, edgetl_stream* stream) : model_(std::move(model)), stream_(stream) {}

  Model model_;
  std::unique_ptr<edgetl_stream, Close> stream_;  // goes first
};

}  // namespace edgetl

#endif  // EDGETL_STREAM_HPP
