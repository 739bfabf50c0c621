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

// Anchors: boxes (count, 4) and scores (count, classes). Not owned.
struct Rows {
  const float* boxes;
  const float* scores;
  size_t count, classes;

  Rows row(size_t index) const { return {boxes + index * 4, scores + index * classes, 1, classes}; }
};

bool is_finite(const Rows& row) {
  const auto finite = [](float value) { return std::isfinite(value); };
  return std::all_of(row.boxes, row.boxes + 4, finite) && std::all_of(row.scores, row.scores + row.classes, finite);
}

float best(const Rows& row) { return *std::max_element(row.scores, row.scores + row.classes); }

// Something may be found there.
bool is_possible(const Rows& row) { return static_cast<double>(best(row)) >= compared_score; }

double difference(float a, float b) { return std::abs(static_cast<double>(a) - static_cast<double>(b)); }

// Of two single rows: the larger of the differences of scores, and of corners as a fraction of the longer side.
double apart(const Rows& a, const Rows& b, double longer_side) {
  double scores = 0, corners = 0;
  for (size_t i = 0; i < a.classes; ++i) {
    if (static_cast<double>(std::max(a.scores[i], b.scores[i])) < compared_score) continue;
    scores = std::max(scores, difference(a.scores[i], b.scores[i]));
  }
  if (std::min(best(a), best(b)) < placed_score) return scores;
  for (size_t i = 0; i < 4; ++i) corners = std::max(corners, difference(a.boxes[i], b.boxes[i]));
  return std::max(scores, corners / longer_side);
}

// Of a row and that of `others` which is most like it; `direct` where there is none.
double nearest(const Rows& row, const Rows& others, double direct, double longer_side) {
  for (size_t i = 0; i < others.count; ++i) {
    const Rows other = others.row(i);
    if (is_finite(other) && is_possible(other)) direct = std::min(direct, apart(row, other, longer_side));
  }
  return direct;
}

// Networks with two stages may give the same rows in another order: a row that differs by more than `enough` from the
// one at its anchor is compared with the one that is most like it. In both directions; infinity if a found row at a
// golden anchor is not finite.
double distance(const Rows& found, const Rows& golden, const std::vector<int64_t>& index, double longer_side,
                double enough) {
  double largest = 0;
  for (size_t i = 0; i < golden.count; ++i) {
    const Rows expected = golden.row(i), same = found.row(static_cast<size_t>(index[i]));
    if (!is_finite(same)) return std::numeric_limits<double>::infinity();
    const double direct = apart(same, expected, longer_side);
    if (is_possible(expected)) {
      largest = std::max(largest, direct > enough ? nearest(expected, found, direct, longer_side) : direct);
    }
    if (is_possible(same)) {
      largest = std::max(largest, direct > enough ? nearest(same, golden, direct, longer_side) : direct);
    }
  }
  return largest;
}

void check_outputs(const Engine& engine, const Manifest& manifest, const GoldenImage& golden, int32_t index,
                   Checks& checks) {
  const double allowed = manifest.golden.tolerance.max_diff_of_range;
  const size_t classes = manifest.labels.size();
  const auto anchors = static_cast<size_t>(manifest.signature.outputs[0].dims[1]);
  const Rows found{static_cast<const float*>(engine.outputs()[0].data),
                   static_cast<const float*>(engine.outputs()[1].data), anchors, classes};
  const Rows expected{golden.outputs.boxes.data(), golden.outputs.scores.data(), golden.outputs.index.size(), classes};
  const double longer = std::max(manifest.preprocessing.height, manifest.preprocessing.width);
  const double apart = distance(found, expected, golden.outputs.index, longer, allowed);
  checks.add(index, "network", apart <= allowed, apart, allowed,
             std::isinf(apart) ? detail("boxes or scores that are not finite")
                               : detail("scores and boxes differ by %.2f %% of their range (limit %g %%)", 100 * apart,
                                        100 * allowed));
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
