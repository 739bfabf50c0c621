// The C functions of detectors.
#include <algorithm>
#include <cstring>

#include "edgetl/runtime.h"
#include "fail.h"
#include "frame.h"
#include "interface.h"
#include "model.h"
#include "options.h"
#include "resize.h"

namespace edgetl {
namespace {

edgetl_status check_range(float value, const char* what, edgetl_error* error) {
  if (value >= 0 && value <= 1) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "settings.%s: expected 0 to 1; found %g", what,
              static_cast<double>(value));
}

edgetl_status check_count(int32_t value, int32_t most, const char* what, edgetl_error* error) {
  if (value >= 1 && value <= most) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "settings.%s: expected 1 to %d; found %d", what, static_cast<int>(most),
              static_cast<int>(value));
}

edgetl_postprocess in_c(const Postprocess& settings) {
  return {sizeof(edgetl_postprocess), settings.score_threshold, settings.iou_threshold, settings.max_candidates,
          settings.max_detections};
}

// `theirs` (may be null) over the bundle's own.
edgetl_status take_settings(const Postprocess& own, const edgetl_postprocess* theirs, Postprocess& taken,
                            edgetl_error* error) {
  taken = own;
  if (theirs == nullptr) return EDGETL_OK;
  edgetl_postprocess ours = in_c(own);
  edgetl_status status = take_struct(theirs, ours, "settings", "edgetl_postprocess", error);
  if (status == EDGETL_OK) status = check_range(ours.score_threshold, "score_threshold", error);
  if (status == EDGETL_OK) status = check_range(ours.iou_threshold, "iou_threshold", error);
  if (status == EDGETL_OK) status = check_count(ours.max_candidates, most_candidates, "max_candidates", error);
  if (status == EDGETL_OK) status = check_count(ours.max_detections, most_detections, "max_detections", error);
  taken = {ours.score_threshold, ours.iou_threshold, ours.max_candidates, ours.max_detections};
  return status;
}

edgetl_status check_detector(const edgetl_model& model, edgetl_error* error) {
  const edgetl_status status = check_front(model, Front::image, error);
  if (status != EDGETL_OK || model.bundle.manifest().task == Task::detection) return status;
  return fail(error, EDGETL_INVALID_ARGUMENT, "%s: expected a detector; it is a classifier: call edgetl_run",
              model.bundle.where().c_str());
}

struct Scratch {
  void* data;
  size_t bytes;
};

struct Objects {
  edgetl_detection* data;
  size_t capacity;
  size_t* count;
};

edgetl_status detect(edgetl_model& model, const edgetl_image& image, Scratch scratch, const Postprocess& settings,
                     const Objects& objects, edgetl_error* error) {
  const Preprocessing& p = model.bundle.manifest().preprocessing;
  Engine& engine = *model.engine;
  Frame frame;
  edgetl_status status = make_frame(p, image.width, image.height, frame, error);
  if (status == EDGETL_OK) {
    auto* input = static_cast<uint8_t*>(engine.inputs()[0].data);
    status = resize(p, image, scratch.data, scratch.bytes, input, error);
  }
  if (status == EDGETL_OK) status = engine.run(error);
  if (status != EDGETL_OK) return status;
  const auto* boxes = static_cast<const float*>(engine.outputs()[0].data);
  const auto* scores = static_cast<const float*>(engine.outputs()[1].data);
  *objects.count = model.postprocessor.run(boxes, scores, frame, settings, objects.data, objects.capacity);
  if (model.postprocessor.finite()) return succeed(error);
  *objects.count = 0;
  return fail(error, EDGETL_ENGINE_FAILED, "%s: the network's outputs have values that are not finite",
              model.bundle.where().c_str());
}

}  // namespace
}  // namespace edgetl

using edgetl::null_argument;

edgetl_status edgetl_get_postprocess(const edgetl_model* model, edgetl_postprocess* settings) {
  if (model == nullptr || settings == nullptr || settings->struct_size < sizeof settings->struct_size) {
    return EDGETL_INVALID_ARGUMENT;
  }
  if (model->bundle.manifest().task != edgetl::Task::detection) return EDGETL_INVALID_ARGUMENT;
  edgetl_postprocess full = edgetl::in_c(model->bundle.manifest().postprocess);
  full.struct_size = settings->struct_size;
  std::memcpy(settings, &full, std::min(settings->struct_size, sizeof full));
  return EDGETL_OK;
}

edgetl_status edgetl_detect(edgetl_model* model, const edgetl_image* image, void* scratch, size_t scratch_bytes,
                            const edgetl_postprocess* settings, edgetl_detection* detections, size_t capacity,
                            size_t* count, edgetl_error* error) {
  if (count == nullptr) return null_argument(error, "a place for the number of objects");
  *count = 0;
  if (model == nullptr) return null_argument(error, "an open model");
  if (image == nullptr) return null_argument(error, "an image");
  if (scratch == nullptr) return null_argument(error, "scratch memory");
  if (detections == nullptr && capacity > 0) return null_argument(error, "a buffer for the objects");
  edgetl_status status = edgetl::check_detector(*model, error);
  edgetl::Postprocess taken;
  if (status == EDGETL_OK) {
    status = edgetl::take_settings(model->bundle.manifest().postprocess, settings, taken, error);
  }
  if (status != EDGETL_OK) return status;
  const edgetl::Running running(*model);
  if (!running.alone()) return running.refuse(error);
  return edgetl::detect(*model, *image, {scratch, scratch_bytes}, taken, {detections, capacity, count}, error);
}
