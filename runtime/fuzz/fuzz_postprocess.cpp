// Any bytes as boxes and scores, with any settings: objects within the picture, best first, no more than there is room
// for.
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "postprocess.h"

namespace {

struct Input {
  uint16_t width, height, candidates, detections, score, iou;
  uint8_t classes, policy, capacity;
};

void require(bool holds) {
  if (!holds) std::abort();
}

edgetl::Postprocess settings_of(const Input& input) {
  edgetl::Postprocess settings;
  settings.score_threshold = static_cast<float>(input.score) / 65535;
  settings.iou_threshold = static_cast<float>(input.iou) / 65535;
  settings.max_candidates = input.candidates % edgetl::most_candidates + 1;
  settings.max_detections = input.detections % edgetl::most_detections + 1;
  return settings;
}

edgetl::Preprocessing preprocessing_of(const Input& input) {
  edgetl::Preprocessing p;
  p.height = 24;
  p.width = 32;
  p.resize = static_cast<edgetl::Resize>(input.policy % 4);
  return p;
}

void check(const std::vector<edgetl_detection>& objects, const edgetl::Frame& frame, int32_t classes) {
  const auto width = static_cast<float>(frame.width), height = static_cast<float>(frame.height);
  float before = 1e30F;
  for (const edgetl_detection& object : objects) {
    require(object.x0 >= 0 && object.x0 <= width && object.x1 >= 0 && object.x1 <= width);
    require(object.y0 >= 0 && object.y0 <= height && object.y1 >= 0 && object.y1 <= height);
    require(std::isfinite(object.score) && object.label >= 0 && object.label < classes);
    require(object.score <= before || before > 1e29F);
    before = object.score;
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  Input input;
  if (bytes < sizeof input) return 0;
  std::memcpy(&input, data, sizeof input);
  const size_t classes = input.classes % 8 + 1U, anchors = (bytes - sizeof input) / (sizeof(float) * (4 + classes));
  if (anchors == 0) return 0;
  std::vector<float> boxes(anchors * 4), scores(anchors * classes);
  std::memcpy(boxes.data(), data + sizeof input, boxes.size() * sizeof(float));
  std::memcpy(scores.data(), data + sizeof input + boxes.size() * sizeof(float), scores.size() * sizeof(float));
  edgetl::Frame frame;
  if (edgetl::make_frame(preprocessing_of(input), input.width, input.height, frame, nullptr) != EDGETL_OK) return 0;
  const edgetl::Postprocess settings = settings_of(input);
  edgetl::Postprocessor postprocessor;
  require(postprocessor.make(anchors, classes));
  std::vector<edgetl_detection> objects(input.capacity);
  const size_t count = postprocessor.run(boxes.data(), scores.data(), frame, settings, objects.data(), objects.size());
  require(count <= objects.size() && count <= static_cast<size_t>(settings.max_detections));
  objects.resize(count);
  check(objects, frame, static_cast<int32_t>(classes));
  return 0;
}
