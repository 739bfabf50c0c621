// The golden outputs and objects of a detector; edgetl/bundle/golden_detection.py is the reference.
#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "checks.h"
#include "fail.h"
#include "postprocess.h"

namespace edgetl {
namespace {

constexpr double compared_score = 0.05;  // one below it in both is not compared
constexpr float placed_score = 0.25F;    // boxes of anchors with less in one of both are not compared

struct Rows {
  std::vector<float> boxes, scores;  // (kept, 4) and (kept, classes)
};

// What the network gave at the golden anchors.
Rows rows_at(const Engine& engine, const std::vector<int64_t>& index, size_t classes) {
  const auto* boxes = static_cast<const float*>(engine.outputs()[0].data);
  const auto* scores = static_cast<const float*>(engine.outputs()[1].data);
  Rows rows;
  for (const int64_t anchor : index) {
    const auto at = static_cast<size_t>(anchor);
    rows.boxes.insert(rows.boxes.end(), boxes + at * 4, boxes + (at + 1) * 4);
    rows.scores.insert(rows.scores.end(), scores + at * classes, scores + (at + 1) * classes);
  }
  return rows;
}

bool are_finite(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isfinite(value); });
}

double difference(float a, float b) { return std::abs(static_cast<double>(a) - static_cast<double>(b)); }

double scores_apart(const std::vector<float>& found, const std::vector<float>& golden) {
  double largest = 0;
  for (size_t i = 0; i < found.size(); ++i) {
    if (static_cast<double>(std::max(found[i], golden[i])) < compared_score) continue;
    largest = std::max(largest, difference(found[i], golden[i]));
  }
  return largest;
}

double boxes_apart(const Rows& found, const GoldenOutputs& golden, size_t classes) {
  double largest = 0;
  for (size_t row = 0; row < golden.index.size(); ++row) {
    const auto best = [&](const std::vector<float>& scores) {
      const auto first = scores.begin() + static_cast<std::ptrdiff_t>(row * classes);
      return *std::max_element(first, first + static_cast<std::ptrdiff_t>(classes));
    };
    if (std::min(best(found.scores), best(golden.scores)) < placed_score) continue;
    for (size_t i = row * 4; i < row * 4 + 4; ++i) {
      largest = std::max(largest, difference(found.boxes[i], golden.boxes[i]));
    }
  }
  return largest;
}

void check_outputs(const Engine& engine, const Manifest& manifest, const GoldenImage& golden, int32_t index,
                   Checks& checks) {
  const double allowed = manifest.golden.tolerance.max_diff_of_range;
  const size_t classes = manifest.labels.size();
  const Rows found = rows_at(engine, golden.outputs.index, classes);
  if (!are_finite(found.boxes) || !are_finite(found.scores)) {
    checks.add(index, "network", false, std::numeric_limits<double>::infinity(), allowed,
               detail("boxes or scores that are not finite"));
    return;
  }
  const double longer = std::max(manifest.preprocessing.height, manifest.preprocessing.width);
  const double apart =
      std::max(scores_apart(found.scores, golden.outputs.scores), boxes_apart(found, golden.outputs, classes) / longer);
  checks.add(index, "network", apart <= allowed, apart, allowed,
             detail("scores and boxes differ by %.2f %% of their range (limit %g %%)", 100 * apart, 100 * allowed));
}

bool same(const edgetl_detection& a, const edgetl_detection& b) {
  return a.x0 == b.x0 && a.y0 == b.y0 && a.x1 == b.x1 && a.y1 == b.y1 && a.score == b.score && a.label == b.label;
}

}  // namespace

edgetl_status check_objects(const Engine& engine, const Manifest& manifest, const GoldenImage& golden, int32_t index,
                            Checks& checks, edgetl_error* error) {
  check_outputs(engine, manifest, golden, index, checks);
  Frame frame;
  const edgetl_status status = make_frame(manifest.preprocessing, golden.width, golden.height, frame, error);
  if (status != EDGETL_OK) return status;
  Postprocessor postprocessor;
  if (!postprocessor.make(golden.outputs.index.size(), manifest.labels.size())) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the objects of a golden image");
  }
  const std::vector<edgetl_detection>& expected = golden.objects;
  std::vector<edgetl_detection> found(most_detections);
  found.resize(postprocessor.run(golden.outputs.boxes.data(), golden.outputs.scores.data(), frame, manifest.postprocess,
                                 found.data(), found.size()));
  const size_t both = std::min(found.size(), expected.size());
  size_t differing = std::max(found.size(), expected.size());
  for (size_t i = 0; i < both; ++i) differing -= same(found[i], expected[i]) ? 1 : 0;
  checks.add(index, "postprocess", differing == 0, static_cast<double>(differing), 0,
             detail("%zu objects, %zu expected; %zu differ (limit 0)", found.size(), expected.size(), differing));
  return EDGETL_OK;
}

}  // namespace edgetl
