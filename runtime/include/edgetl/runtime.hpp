/* edgetl runtime for C++17: runtime.h with owners and results. Header only; works with -fno-exceptions and -fno-rtti.
 *
 *   #include <edgetl/runtime.hpp>
 *
 *   auto predictor = edgetl::Predictor::open_beside("steel-arm64-cpu");
 *   if (!predictor) { std::puts(predictor.message()); return 1; }
 *   for (;;) {
 *     auto answer = predictor->predict(edgetl::rgb(next_frame(), 1920, 1080));
 *     if (!answer) { std::puts(answer.message()); return 1; }
 *     std::printf("%s %.2f\n", answer->label, answer->probability);
 *   }
 *
 *   auto detector = edgetl::Detector::open_beside("cells-arm64-cpu");
 *   auto objects = detector->detect(edgetl::rgb(next_frame(), 1920, 1080));
 *   for (const edgetl_detection& object : *objects) std::printf("%s %.2f\n", detector->label(object), object.score);
 *
 * Memory, threads and errors are as in runtime.h. `Model` leaves the buffers to the caller; `Predictor` and `Detector`
 * keep their own, and allocate only when an image is larger than all before.
 */
#ifndef EDGETL_RUNTIME_HPP
#define EDGETL_RUNTIME_HPP

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <utility>

#include "edgetl/runtime.h"

namespace edgetl {

// A value, or why there is none.
template <typename Value>
class Result {
 public:
  // both implicit, so that a function can return either
  Result(Value value) : value_(std::move(value)) {}
  Result(const edgetl_error& error) : error_(error) {}

  explicit operator bool() const { return value_.has_value(); }
  Value& operator*() { return *value_; }
  Value* operator->() { return &*value_; }
  const Value& operator*() const { return *value_; }
  const Value* operator->() const { return &*value_; }
  edgetl_status status() const { return error_.status; }
  const edgetl_error& error() const { return error_; }
  const char* message() const { return error_.message; }  // "" when there is a value

 private:
  std::optional<Value> value_;
  edgetl_error error_{};
};

template <typename Element>
struct Span {  // not owned
  Element* data = nullptr;
  size_t size = 0;
  Element* begin() const { return data; }
  Element* end() const { return data + size; }
  Element& operator[](size_t index) const { return data[index]; }
};

inline edgetl_options default_options() {
  edgetl_options options{};
  options.struct_size = sizeof options;
  return options;
}

// Images whose rows follow each other without padding.
inline edgetl_image rgb(const uint8_t* pixels, int32_t width, int32_t height) {
  return {pixels, width, height, static_cast<size_t>(width) * 3, EDGETL_RGB};
}
inline edgetl_image bgr(const uint8_t* pixels, int32_t width, int32_t height) {
  return {pixels, width, height, static_cast<size_t>(width) * 3, EDGETL_BGR};
}
inline edgetl_image grey(const uint8_t* pixels, int32_t width, int32_t height) {
  return {pixels, width, height, static_cast<size_t>(width), EDGETL_GREY};
}

// An open bundle. Can be moved, not copied.
class Model {
 public:
  static Result<Model> open(const char* folder, const edgetl_options& options = default_options()) {
    edgetl_error error{};
    edgetl_model* model = nullptr;
    if (edgetl_open(folder, &options, &model, &error) != EDGETL_OK) return error;
    return Model(model);
  }

  // `folder` is counted from the folder of the running program's file.
  static Result<Model> open_beside(const char* folder, const edgetl_options& options = default_options()) {
    edgetl_error error{};
    edgetl_model* model = nullptr;
    if (edgetl_open_beside(folder, &options, &model, &error) != EDGETL_OK) return error;
    return Model(model);
  }

  // The bytes must stay where they are while the model is open.
  static Result<Model> open(Span<const edgetl_file> files, const edgetl_options& options = default_options()) {
    edgetl_error error{};
    edgetl_model* model = nullptr;
    if (edgetl_open_files(files.data, files.size, &options, &model, &error) != EDGETL_OK) return error;
    return Model(model);
  }

  const edgetl_info& info() const { return info_; }
  const char* label(int32_t index) const { return edgetl_label(model_.get(), index); }

  Result<size_t> scratch_bytes(int32_t width, int32_t height) const {
    edgetl_error error{};
    size_t bytes = 0;
    if (edgetl_scratch_bytes(model_.get(), width, height, &bytes, &error) != EDGETL_OK) return error;
    return bytes;
  }

  // The two calls of a frame. `error` says why when the status is not EDGETL_OK; it may be null.
  edgetl_status preprocess(const edgetl_image& image, Span<uint64_t> scratch, Span<uint8_t> input,
                           edgetl_error* error = nullptr) const {
    return edgetl_preprocess(model_.get(), &image, scratch.data, scratch.size * sizeof(uint64_t), input.data,
                             input.size, error);
  }
  edgetl_status run(Span<const uint8_t> input, Span<float> logits, edgetl_error* error = nullptr) {
    return edgetl_run(model_.get(), input.data, input.size, logits.data, logits.size, error);
  }

  // `settings` may be null: the bundle's own. `count` receives the number of objects.
  edgetl_status detect(const edgetl_image& image, Span<uint64_t> scratch, const edgetl_postprocess* settings,
                       Span<edgetl_detection> objects, size_t& count, edgetl_error* error = nullptr) {
    return edgetl_detect(model_.get(), &image, scratch.data, scratch.size * sizeof(uint64_t), settings, objects.data,
                         objects.size, &count, error);
  }

  edgetl_model* get() const { return model_.get(); }

 private:
  struct Close {
    void operator()(edgetl_model* model) const { edgetl_close(model); }
  };
  explicit Model(edgetl_model* model) : model_(model) {
    info_.struct_size = sizeof info_;
    edgetl_get_info(model, &info_);
  }

  std::unique_ptr<edgetl_model, Close> model_;
  edgetl_info info_{};
};

// The buffers of the two classes below.
class Scratch {
 public:
  Scratch() : in_use_(new (std::nothrow) std::atomic<bool>(false)) {}

  bool is_complete() const { return in_use_ != nullptr; }
  Span<uint64_t> words() const { return {words_.get(), count_}; }

  bool reserve(const Model& model, const edgetl_image& image, edgetl_error& error) {
    size_t bytes = 0;
    if (edgetl_scratch_bytes(model.get(), image.width, image.height, &bytes, &error) != EDGETL_OK) return false;
    const size_t words = (bytes + sizeof(uint64_t) - 1) / sizeof(uint64_t) + 1;
    if (words <= count_) return true;
    words_.reset(new (std::nothrow) uint64_t[words]);
    count_ = words_ != nullptr ? words : 0;
    if (words_ == nullptr) error = no_memory();
    return words_ != nullptr;
  }

  // What `work` returns, unless another thread is inside.
  template <typename Work>
  auto alone(const char* refusal, const Work& work) -> decltype(work()) {
    if (in_use_->exchange(true, std::memory_order_acquire)) return in_use(refusal);
    auto made = work();
    in_use_->store(false, std::memory_order_release);
    return made;
  }

  static edgetl_error no_memory() { return {EDGETL_OUT_OF_MEMORY, "no memory for the buffers of a prediction"}; }

 private:
  static edgetl_error in_use(const char* refusal) {
    edgetl_error error{EDGETL_INVALID_ARGUMENT, ""};
    for (size_t i = 0; refusal[i] != 0 && i + 1 < sizeof error.message; ++i) error.message[i] = refusal[i];
    return error;
  }

  std::unique_ptr<std::atomic<bool>> in_use_;
  std::unique_ptr<uint64_t[]> words_;
  size_t count_ = 0;
};

struct Answer {
  int32_t index = -1;           // of the most probable class
  const char* label = nullptr;  // its name; lives as long as the predictor
  float probability = 0;
  Span<const float> logits;  // of all classes; valid until the next prediction
};

// A classifier with its buffers: from a picture to an answer. For one thread at a time: a `predict` during another one
// returns EDGETL_INVALID_ARGUMENT.
class Predictor {
 public:
  static Result<Predictor> open(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(folder, options));
  }
  static Result<Predictor> open_beside(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open_beside(folder, options));
  }
  static Result<Predictor> open(Span<const edgetl_file> files, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(files, options));
  }

  const Model& model() const { return model_; }

  Result<Answer> predict(const edgetl_image& image) {
    return scratch_.alone("another thread uses this predictor: open one for each thread",
                          [&] { return predict_alone(image); });
  }

 private:
  Result<Answer> predict_alone(const edgetl_image& image) {
    edgetl_error error{};
    if (!scratch_.reserve(model_, image, error)) return error;
    const Span<uint8_t> input{input_.get(), model_.info().input_bytes};
    const Span<float> logits{logits_.get(), classes()};
    if (model_.preprocess(image, scratch_.words(), input, &error) != EDGETL_OK) return error;
    if (model_.run({input.data, input.size}, logits, &error) != EDGETL_OK) return error;
    edgetl_softmax(logits.data, probabilities_.get(), logits.size);
    const int32_t index = edgetl_argmax(logits.data, logits.size);
    return Answer{index, model_.label(index), probabilities_[static_cast<size_t>(index)], {logits.data, logits.size}};
  }

  explicit Predictor(Model model)
      : model_(std::move(model)),
        input_(new (std::nothrow) uint8_t[model_.info().input_bytes]),
        logits_(new (std::nothrow) float[classes()]),
        probabilities_(new (std::nothrow) float[classes()]) {}

  static Result<Predictor> with_buffers(Result<Model> model) {
    if (!model) return model.error();
    Predictor predictor(std::move(*model));
    const bool complete = predictor.input_ != nullptr && predictor.logits_ != nullptr &&
                          predictor.probabilities_ != nullptr && predictor.scratch_.is_complete();
    if (complete) return predictor;
    return Scratch::no_memory();
  }

  size_t classes() const { return static_cast<size_t>(model_.info().classes); }

  Model model_;
  std::unique_ptr<uint8_t[]> input_;
  std::unique_ptr<float[]> logits_;
  std::unique_ptr<float[]> probabilities_;
  Scratch scratch_;
};

// A detector with its buffers: from a picture to its objects. For one thread at a time: a `detect` during another one
// returns EDGETL_INVALID_ARGUMENT.
class Detector {
 public:
  static Result<Detector> open(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(folder, options));
  }
  static Result<Detector> open_beside(const char* folder, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open_beside(folder, options));
  }
  static Result<Detector> open(Span<const edgetl_file> files, const edgetl_options& options = default_options()) {
    return with_buffers(Model::open(files, options));
  }

  const Model& model() const { return model_; }
  const char* label(const edgetl_detection& object) const { return model_.label(object.label); }

  // At first the bundle's own. They may be changed between two calls of `detect`.
  edgetl_postprocess& settings() { return settings_; }

  // Best first; valid until the next call.
  Result<Span<const edgetl_detection>> detect(const edgetl_image& image) {
    return scratch_.alone("another thread uses this detector: open one for each thread",
                          [&] { return detect_alone(image); });
  }

 private:
  static constexpr size_t room = 1000;  // the most that settings can ask for

  Result<Span<const edgetl_detection>> detect_alone(const edgetl_image& image) {
    edgetl_error error{};
    size_t count = 0;
    if (!scratch_.reserve(model_, image, error)) return error;
    if (model_.detect(image, scratch_.words(), &settings_, {objects_.get(), room}, count, &error) != EDGETL_OK) {
      return error;
    }
    return Span<const edgetl_detection>{objects_.get(), count};
  }

  explicit Detector(Model model) : model_(std::move(model)), objects_(new (std::nothrow) edgetl_detection[room]) {
    settings_.struct_size = sizeof settings_;
  }

  static Result<Detector> with_buffers(Result<Model> model) {
    if (!model) return model.error();
    Detector detector(std::move(*model));
    if (edgetl_get_postprocess(detector.model_.get(), &detector.settings_) != EDGETL_OK) {
      return edgetl_error{EDGETL_INVALID_ARGUMENT, "expected a detector; the bundle is a classifier: open a Predictor"};
    }
    if (detector.objects_ != nullptr && detector.scratch_.is_complete()) return detector;
    return Scratch::no_memory();
  }

  Model model_;
  edgetl_postprocess settings_{};
  std::unique_ptr<edgetl_detection[]> objects_;
  Scratch scratch_;
};

}  // namespace edgetl

#endif  // EDGETL_RUNTIME_HPP
