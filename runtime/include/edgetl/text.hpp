/* edgetl runtime for texts in C++17: text.h with owners and results. Header only; works with -fno-exceptions.
 *
 *   auto predictor = edgetl::TextPredictor::open("reviews-arm64-cpu");
 *   auto answer = predictor->predict("a film to fall asleep over");
 */
#ifndef EDGETL_TEXT_HPP
#define EDGETL_TEXT_HPP

#include <string_view>

#include "edgetl/runtime.hpp"
#include "edgetl/text.h"

namespace edgetl {

// A classifier of texts with its buffers. For one thread at a time.
class TextPredictor {
 public:
  static Result<TextPredictor> open(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(folder, options));
  }
  static Result<TextPredictor> open_beside(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open_beside(folder, options));
  }
  static Result<TextPredictor> open(Span<const edgetl_file> files, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(files, options));
  }

  const Model& model() const { return model_; }

  // `text` is UTF-8.
  Result<Answer> predict(std::string_view text) {
    edgetl_error error{};
    const auto classes = static_cast<size_t>(model_.info().classes);
    if (edgetl_classify_text(model_.get(), text.data(), text.size(), logits_.get(), classes, &error) != EDGETL_OK) {
      return error;
    }
    edgetl_softmax(logits_.get(), probabilities_.get(), classes);
    const int32_t index = edgetl_argmax(logits_.get(), classes);
    return Answer{index, model_.label(index), probabilities_[static_cast<size_t>(index)], {logits_.get(), classes}};
  }

 private:
  explicit TextPredictor(Model model)
      : model_(std::move(model)),
        logits_(new (std::nothrow) float[static_cast<size_t>(model_.info().classes)]),
        probabilities_(new (std::nothrow) float[static_cast<size_t>(model_.info().classes)]) {}

  static Result<TextPredictor> with_buffers(Result<Model> model) {
    if (!model) return model.error();
    TextPredictor predictor(std::move(*model));
    if (predictor.logits_ != nullptr && predictor.probabilities_ != nullptr) return predictor;
    return Scratch::no_memory();
  }

  Model model_;
  std::unique_ptr<float[]> logits_, probabilities_;
};

}  // namespace edgetl

#endif  // EDGETL_TEXT_HPP
