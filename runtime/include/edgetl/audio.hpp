/* edgetl runtime for sound in C++17: audio.h with owners and results. Header only; works with -fno-exceptions.
 *
 *   auto predictor = edgetl::SoundPredictor::open("words-arm64-cpu");
 *   auto answer = predictor->predict({samples, count}, 16000);
 *
 *   auto stream = edgetl::Stream::open("words-arm64-cpu", settings);
 *   stream->push({piece, 512}, [&](const edgetl_hop& hop) {
 *     if (hop.detected >= 0) std::puts(stream->model().label(hop.detected));
 *   });
 */
#ifndef EDGETL_AUDIO_HPP
#define EDGETL_AUDIO_HPP

#include "edgetl/audio.h"
#include "edgetl/runtime.hpp"

namespace edgetl {

inline edgetl_stream_settings default_stream_settings() {
  edgetl_stream_settings settings{};
  settings.struct_size = sizeof settings;
  return settings;
}

// A classifier of recordings with its buffers. For one thread at a time.
class SoundPredictor {
 public:
  static Result<SoundPredictor> open(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(folder, options));
  }
  static Result<SoundPredictor> open_beside(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open_beside(folder, options));
  }
  static Result<SoundPredictor> open(Span<const edgetl_file> files, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(files, options));
  }

  const Model& model() const { return model_; }

  // `rate_hz` of the samples must be model().info().rate_hz.
  Result<Answer> predict(Span<const int16_t> samples, int32_t rate_hz) {
    edgetl_error error{};
    const auto classes = static_cast<size_t>(model_.info().classes);
    if (edgetl_classify_samples(model_.get(), samples.data, samples.size, rate_hz, logits_.get(), classes, &error) !=
        EDGETL_OK) {
      return error;
    }
    edgetl_softmax(logits_.get(), probabilities_.get(), classes);
    const int32_t index = edgetl_argmax(logits_.get(), classes);
    return Answer{index, model_.label(index), probabilities_[static_cast<size_t>(index)], {logits_.get(), classes}};
  }

 private:
  explicit SoundPredictor(Model model)
      : model_(std::move(model)),
        logits_(new (std::nothrow) float[static_cast<size_t>(model_.info().classes)]),
        probabilities_(new (std::nothrow) float[static_cast<size_t>(model_.info().classes)]) {}

  static Result<SoundPredictor> with_buffers(Result<Model> model) {
    if (!model) return model.error();
    SoundPredictor predictor(std::move(*model));
    if (predictor.logits_ != nullptr && predictor.probabilities_ != nullptr) return predictor;
    return Scratch::no_memory();
  }

  Model model_;
  std::unique_ptr<float[]> logits_, probabilities_;
};

// A stream of samples through a model of its own.
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
    for (;;) {
      size_t taken = 0;
      const edgetl_hop* hop = nullptr;
      const edgetl_status status = edgetl_stream_push(stream_.get(), samples.data, samples.size, &taken, &hop, error);
      if (status != EDGETL_OK || hop == nullptr) return status;
      samples = {samples.data + taken, samples.size - taken};
      on_hop(*hop);
    }
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
  Stream(Model model, edgetl_stream* stream) : model_(std::move(model)), stream_(stream) {}

  Model model_;
  std::unique_ptr<edgetl_stream, Close> stream_;  // goes first
};

}  // namespace edgetl

#endif  // EDGETL_AUDIO_HPP
