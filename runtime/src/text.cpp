// The C functions of texts.
#include "edgetl/text.h"

#include <algorithm>
#include <cstring>

#include "fail.h"
#include "model.h"
#include "without_throwing.h"

namespace edgetl {
namespace {

// The text's tokens, filled up, in `out`, which has room for `capacity`.
edgetl_status fill(edgetl_model& model, const char* text, size_t bytes, int32_t* out, size_t capacity, size_t& length,
                   edgetl_error* error) {
  const Text& front = model.bundle.manifest().text;
  const edgetl_status status = model.tokenizer.encode(reinterpret_cast<const uint8_t*>(text), bytes, error);
  if (status != EDGETL_OK) return status;
  const std::vector<int32_t>& ids = model.tokenizer.ids();
  const auto count = static_cast<int32_t>(ids.size());
  length = static_cast<size_t>(*std::lower_bound(front.lengths.begin(), front.lengths.end(), count));
  if (length > capacity) {
    return fail(error, EDGETL_INVALID_ARGUMENT,
                "ids: expected room for %zu (info.max_tokens are always enough); found %zu", length, capacity);
  }
  std::fill(std::copy(ids.begin(), ids.end(), out), out + length, front.pad);
  return EDGETL_OK;
}

edgetl_status classify(edgetl_model& model, const char* text, size_t bytes, float* logits, size_t classes,
                       edgetl_error* error) {
  Engine& engine = *model.engine;
  const std::vector<int32_t>& lengths = model.bundle.manifest().text.lengths;
  const PortMemory& memory = engine.inputs()[0];
  size_t length = 0;
  edgetl_status status =
      fill(model, text, bytes, static_cast<int32_t*>(memory.data), memory.bytes / sizeof(int32_t), length, error);
  if (status != EDGETL_OK) return status;
  const auto found = std::lower_bound(lengths.begin(), lengths.end(), static_cast<int32_t>(length));
  engine.choose_length(static_cast<size_t>(found - lengths.begin()));
  status = engine.run(error);
  if (status == EDGETL_OK) std::memcpy(logits, engine.outputs()[0].data, classes * sizeof(float));
  return status;
}

}  // namespace
}  // namespace edgetl

using edgetl::null_argument;

edgetl_status edgetl_classify_text(edgetl_model* model, const char* text, size_t bytes, float* logits, size_t classes,
                                   edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (text == nullptr) return null_argument(error, "a text");
  if (logits == nullptr) return null_argument(error, "a buffer for the logits");
  const edgetl_status status = edgetl::check_front(*model, edgetl::Front::text, error);
  if (status != EDGETL_OK) return status;
  const size_t expected = model->bundle.manifest().labels.size();
  if (classes != expected) {
    return edgetl::fail(error, EDGETL_INVALID_ARGUMENT, "logits: expected info.classes, %zu; found %zu", expected,
                        classes);
  }
  const edgetl::Running running(*model);
  if (!running.alone()) return running.refuse(error);
  return edgetl::without_throwing(error, [&] { return edgetl::classify(*model, text, bytes, logits, classes, error); });
}

edgetl_status edgetl_tokenize(edgetl_model* model, const char* text, size_t bytes, int32_t* ids, size_t capacity,
                              size_t* count, size_t* length, edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (text == nullptr) return null_argument(error, "a text");
  if (ids == nullptr) return null_argument(error, "a buffer for the ids");
  if (length == nullptr) return null_argument(error, "a place for the number of ids");
  const edgetl_status status = edgetl::check_front(*model, edgetl::Front::text, error);
  if (status != EDGETL_OK) return status;
  const edgetl::Running running(*model);
  if (!running.alone()) return running.refuse(error);
  return edgetl::without_throwing(error, [&] {
    *length = 0;
    const edgetl_status filled = edgetl::fill(*model, text, bytes, ids, capacity, *length, error);
    if (count != nullptr) *count = filled == EDGETL_OK ? model->tokenizer.ids().size() : 0;
    return filled == EDGETL_OK ? edgetl::succeed(error) : filled;
  });
}
