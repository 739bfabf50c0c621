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
#include "edgetl/stream.hpp"

namespace edgetl {

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

}  // namespace edgetl

#endif  // EDGETL_AUDIO_HPP
