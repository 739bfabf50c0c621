// The golden logits of a classifier; edgetl/bundle/golden.py is the reference.
#include <algorithm>
#include <cinttypes>
#include <cmath>
#include <limits>
#include <vector>

#include "checks.h"

namespace edgetl {
namespace {

double cosine(const std::vector<float>& a, const std::vector<float>& b) {
  double dot = 0;
  double a_squared = 0;
  double b_squared = 0;
  for (size_t index = 0; index < a.size(); ++index) {
    const double x = a[index];
    const double y = b[index];
    dot += x * y;
    a_squared += x * x;
    b_squared += y * y;
  }
  const double norm = std::sqrt(a_squared) * std::sqrt(b_squared);
  if (norm > 0) return dot / norm;
  return a_squared == b_squared ? 1 : 0;  // two zero vectors are equal
}

double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = 0;
  for (size_t index = 0; index < a.size(); ++index) {
    largest = std::max(largest, std::abs(static_cast<double>(a[index]) - static_cast<double>(b[index])));
  }
  return largest;
}

// Lead of the best class over the next; there are at least two.
double lead(std::vector<float> logits) {
  std::partial_sort(logits.begin(), logits.begin() + 2, logits.end(), [](float a, float b) { return a > b; });
  return static_cast<double>(logits[0]) - static_cast<double>(logits[1]);
}

Detail network_detail(double difference, double likeness, const Tolerance& tolerance, int32_t answer, int32_t wanted) {
  const Detail told =
      detail("logits differ by %.2f %% of their range (limit %g %%), cosine %.5f (at least %g), class %" PRId32,
             100 * difference, 100 * tolerance.max_diff_of_range, likeness, tolerance.min_cosine, answer);
  return answer == wanted ? told : detail("%s instead of %" PRId32, told.text, wanted);
}

}  // namespace

void check_logits(const Engine& engine, const Manifest& manifest, const GoldenImage& image, int32_t index,
                  Checks& checks) {
  const std::vector<float>& golden = image.logits;
  const auto* found = static_cast<const float*>(engine.outputs()[0].data);
  const std::vector<float> logits(found, found + golden.size());
  const Tolerance& tolerance = manifest.golden.tolerance;
  const double allowed = tolerance.max_diff_of_range;
  if (!std::all_of(logits.begin(), logits.end(), [](float value) { return std::isfinite(value); })) {
    checks.add(index, "network", false, std::numeric_limits<double>::infinity(), allowed,
               detail("logits that are not finite"));
    return;
  }
  const auto [low, high] = std::minmax_element(golden.begin(), golden.end());
  const double range = static_cast<double>(*high) - static_cast<double>(*low);
  const double spread = range > 0 ? range : 1;
  const double difference = largest_difference(logits, golden) / spread;
  const double likeness = cosine(logits, golden);
  const int32_t answer = edgetl_argmax(logits.data(), logits.size());
  const int32_t wanted = edgetl_argmax(golden.data(), golden.size());
  // another class passes only if one of the two predictions is close to a tie
  const bool close = std::min(lead(golden), lead(logits)) <= allowed / 2 * spread;
  const bool passed = (answer == wanted || close) && difference <= allowed && likeness >= tolerance.min_cosine;
  checks.add(index, "network", passed, difference, allowed,
             network_detail(difference, likeness, tolerance, answer, wanted));
}

}  // namespace edgetl
