#include "postprocess.h"

#include <algorithm>
#include <cmath>
#include <limits>

// Contracting a * b + c into one rounding would keep other objects on other processors. GCC: -ffp-contract=off.
#if defined(__clang__)
#pragma clang fp contract(off)
#endif

namespace edgetl {
namespace {

Corners corners(const float* box) { return {box[0], box[1], box[2], box[3]}; }

bool is_finite(const float* box) {
  return std::isfinite(box[0]) && std::isfinite(box[1]) && std::isfinite(box[2]) && std::isfinite(box[3]);
}

// A side of negative length counts as 0.
float side(float low, float high) { return std::max(0.0F, high - low); }

float area_of(const Corners& box) { return side(box.x0, box.x1) * side(box.y0, box.y1); }

}  // namespace

bool Postprocessor::make(size_t anchors, size_t classes) {
  anchors_ = anchors;
  classes_ = classes;
  // twice the most candidates, so that selecting the best of them costs little for each
  candidates_ = make_buffer<Candidate>(std::min(anchors * classes, size_t{2} * most_candidates));
  kept_ = make_buffer<Kept>(most_detections);
  return candidates_ != nullptr && kept_ != nullptr;
}

size_t Postprocessor::run(const float* boxes, const float* scores, const Frame& frame, const Postprocess& settings,
                          edgetl_detection* detections, size_t capacity) {
  const size_t candidates = collect(boxes, scores, settings);
  const size_t most = std::min(capacity, static_cast<size_t>(settings.max_detections));
  size_t count = 0;
  for (size_t i = 0; i < candidates && count < most; ++i) {
    const auto [score, index] = candidates_[i];
    const Corners box = corners(boxes + index / classes_ * 4);
    const Kept object{box, area_of(box), static_cast<uint32_t>(index % classes_)};
    if (overlaps(object, count, settings.iou_threshold)) continue;
    kept_[count] = object;
    const Corners place = to_image(frame, box);
    detections[count++] = {place.x0, place.y0, place.x1, place.y1, score, static_cast<int32_t>(object.label)};
  }
  return count;
}

// A total order: no two candidates are equal.
bool Postprocessor::is_better(const Candidate& a, const Candidate& b) {
  return a.score > b.score || (a.score == b.score && a.index < b.index);
}

// The best settings.max_candidates, best first. A score or a box that is not finite is none, and is remembered.
size_t Postprocessor::collect(const float* boxes, const float* scores, const Postprocess& settings) {
  const auto most = static_cast<size_t>(settings.max_candidates);
  Candidate* const first = candidates_.get();
  float threshold = settings.score_threshold;
  size_t count = 0;
  finite_ = true;
  const auto keep_best = [&] {
    std::nth_element(first, first + (most - 1), first + count, is_better);
    count = most;
  };
  for (size_t anchor = 0; anchor < anchors_; ++anchor) {
    const float* const row = scores + anchor * classes_;
    for (size_t label = 0; label < classes_; ++label) {
      if (!(row[label] >= settings.score_threshold)) {
        finite_ = finite_ && row[label] >= std::numeric_limits<float>::lowest();  // false for NaN
        continue;
      }
      if (!std::isfinite(row[label]) || !is_finite(boxes + anchor * 4)) {
        finite_ = false;
        continue;
      }
      if (row[label] < threshold) continue;
      if (count == 2 * most) {
        keep_best();
        // of equal scores the earlier index is better
        threshold = std::nextafter(first[most - 1].score, std::numeric_limits<float>::infinity());
        if (row[label] < threshold) continue;
      }
      first[count++] = {row[label], static_cast<uint32_t>(anchor * classes_ + label)};
    }
  }
  if (count > most) keep_best();
  std::sort(first, first + count, is_better);
  return count;
}

bool Postprocessor::overlaps(const Kept& object, size_t kept, float iou_threshold) const {
  return std::any_of(kept_.get(), kept_.get() + kept, [&](const Kept& better) {
    if (better.label != object.label) return false;
    const float w = side(std::max(better.box.x0, object.box.x0), std::min(better.box.x1, object.box.x1));
    const float h = side(std::max(better.box.y0, object.box.y0), std::min(better.box.y1, object.box.y1));
    const float inter = w * h;
    const float together = (better.area + object.area) - inter;
    return inter > iou_threshold * together;
  });
}

}  // namespace edgetl
