#include "golden.h"

#include <algorithm>
#include <functional>
#include <string>

#include "fail.h"
#include "npy.h"
#include "safetensors.h"

namespace edgetl {
namespace {

// --- NumPy

constexpr int32_t max_side = 65535;
constexpr int64_t max_pixels = 100'000'000;

bool read_pixels(Bytes file, Bytes& pixels, int32_t& height, int32_t& width) {
  Array array;
  if (!read_array(file, "|u1", 3, array)) return false;
  const std::vector<int64_t>& shape = array.shape;
  if (shape[0] > max_side || shape[1] > max_side || shape[0] * shape[1] > max_pixels || shape[2] != 3) return false;
  height = static_cast<int32_t>(shape[0]);
  width = static_cast<int32_t>(shape[1]);
  pixels = array.data;
  return true;
}

// --- results

edgetl_status read_logits(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error) {
  constexpr const char* name = "golden/logits.safetensors";
  const size_t classes = bundle.manifest().labels.size();
  Tensors tensors;
  std::vector<float> logits;
  edgetl_status status = tensors.read(bundle.file(name), bundle.where() + "/" + name, error);
  const std::vector<int64_t> shape = {static_cast<int64_t>(images.size()), static_cast<int64_t>(classes)};
  if (status == EDGETL_OK) status = tensors.take("logits", shape, logits, error);
  if (status != EDGETL_OK) return status;
  const float* next = logits.data();
  for (GoldenImage& image : images) {
    image.logits.assign(next, next + classes);
    next += classes;
  }
  return succeed(error);
}

template <typename Value>
void share_out(const std::vector<Value>& values, std::vector<GoldenImage>& images,
               std::vector<Value> GoldenOutputs::*part) {
  const size_t each = values.size() / images.size();
  const Value* next = values.data();
  for (GoldenImage& image : images) {
    (image.outputs.*part).assign(next, next + each);
    next += each;
  }
}

bool is_ascending(const std::vector<int64_t>& index, int64_t anchors) {
  const bool rises = std::adjacent_find(index.begin(), index.end(), std::greater_equal<>()) == index.end();
  return rises && index.front() >= 0 && index.back() < anchors;
}

edgetl_status read_outputs(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error) {
  constexpr const char* name = "golden/outputs.safetensors";
  const std::string path = bundle.where() + "/" + name;
  const int64_t anchors = bundle.manifest().signature.outputs[0].dims[1];
  const auto count = static_cast<int64_t>(images.size()), kept = std::min(most_golden_anchors, anchors);
  const auto classes = static_cast<int64_t>(bundle.manifest().labels.size());
  Tensors tensors;
  std::vector<float> boxes, scores;
  std::vector<int64_t> index;
  edgetl_status status = tensors.read(bundle.file(name), path, error);
  if (status == EDGETL_OK) status = tensors.take("boxes", {count, kept, 4}, boxes, error);
  if (status == EDGETL_OK) status = tensors.take("scores", {count, kept, classes}, scores, error);
  if (status == EDGETL_OK) status = tensors.take("index", {count, kept}, index, error);
  if (status != EDGETL_OK) return status;
  share_out(boxes, images, &GoldenOutputs::boxes);
  share_out(scores, images, &GoldenOutputs::scores);
  share_out(index, images, &GoldenOutputs::index);
  for (const GoldenImage& image : images) {
    if (is_ascending(image.outputs.index, anchors)) continue;
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: `index`: expected ascending numbers below %lld", path.c_str(),
                static_cast<long long>(anchors));
  }
  return EDGETL_OK;
}

edgetl_status read_objects(const Tensors& tensors, size_t image, std::vector<edgetl_detection>& objects,
                           edgetl_error* error) {
  const std::string stem = std::to_string(image);
  std::vector<float> boxes, scores;
  std::vector<int64_t> labels;
  edgetl_status status = tensors.take((stem + ".scores").c_str(), {-1}, scores, error);
  const auto count = static_cast<int64_t>(scores.size());
  if (status == EDGETL_OK) status = tensors.take((stem + ".boxes").c_str(), {count, 4}, boxes, error);
  if (status == EDGETL_OK) status = tensors.take((stem + ".labels").c_str(), {count}, labels, error);
  if (status != EDGETL_OK) return status;
  for (size_t i = 0; i < scores.size(); ++i) {
    const float* box = boxes.data() + i * 4;
    objects.push_back({box[0], box[1], box[2], box[3], scores[i], static_cast<int32_t>(labels[i])});
  }
  return EDGETL_OK;
}

edgetl_status read_detections(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error) {
  constexpr const char* name = "golden/detections.safetensors";
  Tensors tensors;
  edgetl_status status = tensors.read(bundle.file(name), bundle.where() + "/" + name, error);
  for (size_t i = 0; status == EDGETL_OK && i < images.size(); ++i) {
    status = read_objects(tensors, i, images[i].objects, error);
  }
  return status;
}

// --- pictures

edgetl_status read_pictures(const Bundle& bundle, const std::string& stem, GoldenImage& image, edgetl_error* error) {
  const Preprocessing& p = bundle.manifest().preprocessing;
  if (!read_pixels(bundle.file(stem + ".rgb.npy"), image.rgb, image.height, image.width)) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.rgb.npy: expected uint8 (height, width, 3) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str());
  }
  int32_t height = 0, width = 0;
  const bool readable = read_pixels(bundle.file(stem + ".input.npy"), image.input, height, width);
  if (readable && height == p.height && width == p.width) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.input.npy: expected uint8 (%d, %d, 3) in NumPy's format 1.0",
              bundle.where().c_str(), stem.c_str(), static_cast<int>(p.height), static_cast<int>(p.width));
}

// --- recordings

edgetl_status read_recording(const Bundle& bundle, const std::string& stem, GoldenImage& image, edgetl_error* error) {
  const int64_t samples = bundle.manifest().audio.samples;
  Array decoded, input;
  if (!read_array(bundle.file(stem + ".samples.npy"), "<i2", 1, decoded)) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.samples.npy: expected int16 (samples,) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str());
  }
  if (!read_array(bundle.file(stem + ".input.npy"), "<i2", 1, input) || input.shape[0] != samples) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.input.npy: expected int16 (%lld,) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str(), static_cast<long long>(samples));
  }
  image.samples = decoded.data;
  image.input = input.data;
  return EDGETL_OK;
}

// --- texts

edgetl_status read_words(const Bundle& bundle, const std::string& stem, GoldenImage& image, edgetl_error* error) {
  const std::vector<int32_t>& lengths = bundle.manifest().text.lengths;
  Array input;
  const bool readable = read_array(bundle.file(stem + ".input.npy"), "<i4", 1, input);
  if (!readable || !std::binary_search(lengths.begin(), lengths.end(), input.shape[0])) {
    return fail(error, EDGETL_BUNDLE_INVALID,
                "%s/%s.input.npy: expected int32 (one of preprocessing.lengths,) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str());
  }
  image.input = input.data;
  return EDGETL_OK;
}

// --- windows

edgetl_status read_time_steps(const Bundle& bundle, const std::string& stem, GoldenImage& image, edgetl_error* error) {
  const Series& series = bundle.manifest().series;
  Array decoded, input;
  if (!read_array(bundle.file(stem + ".window.npy"), "<f4", 2, decoded) || decoded.shape[1] != series.channels) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.window.npy: expected float32 (n, %d) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str(), static_cast<int>(series.channels));
  }
  const std::vector<int64_t> shape = {series.steps, series.channels};
  if (!read_array(bundle.file(stem + ".input.npy"), "<f4", 2, input) || input.shape != shape) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s/%s.input.npy: expected float32 (%d, %d) in NumPy's format 1.0",
                bundle.where().c_str(), stem.c_str(), static_cast<int>(series.steps),
                static_cast<int>(series.channels));
  }
  image.samples = decoded.data;
  image.input = input.data;
  return EDGETL_OK;
}

edgetl_status read_example(const Bundle& bundle, size_t index, GoldenImage& image, edgetl_error* error) {
  const Manifest& manifest = bundle.manifest();
  const std::string stem = "golden/" + std::to_string(index);
  image.file_name = manifest.golden.files[index].c_str();
  image.file = bundle.file(image.file_name);
  const auto read = manifest.front == Front::audio    ? read_recording
                    : manifest.front == Front::text   ? read_words
                    : manifest.front == Front::series ? read_time_steps
                                                      : read_pictures;
  return read(bundle, stem, image, error);
}

}  // namespace

edgetl_status read_golden(const Bundle& bundle, std::vector<GoldenImage>& images, edgetl_error* error) {
  const Golden& golden = bundle.manifest().golden;
  images.assign(static_cast<size_t>(golden.count), GoldenImage{});
  for (size_t i = 0; i < images.size(); ++i) {
    const edgetl_status status = read_example(bundle, i, images[i], error);
    if (status != EDGETL_OK) return status;
  }
  if (images.empty()) return succeed(error);
  if (bundle.manifest().task == Task::classification) return read_logits(bundle, images, error);
  edgetl_status status = read_outputs(bundle, images, error);
  if (status == EDGETL_OK) status = read_detections(bundle, images, error);
  return status == EDGETL_OK ? succeed(error) : status;
}

}  // namespace edgetl
