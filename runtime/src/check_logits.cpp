// The golden logits of a classifier; edgetl/bundle/golden.py is the reference.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
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

// The class of every head, as places among all logits.
struct Answers {
  std::string answer, wanted;  // "3", or of several heads "3 and 5"
  bool decided = true;         // another class passes only if one of the two predictions is close to a tie
};

Answers answers_of(const std::vector<float>& logits, const std::vector<float>& golden, const Manifest& manifest,
                   double limit) {
  std::vector<Head> heads = manifest.heads;
  if (heads.empty()) heads.push_back({"", 0, manifest.labels});
  Answers found;
  for (const Head& head : heads) {
    const auto first = logits.begin() + head.first;
    const std::vector<float> ours(first, first + static_cast<std::ptrdiff_t>(head.classes.size()));
    const auto start = golden.begin() + head.first;
    const std::vector<float> theirs(start, start + static_cast<std::ptrdiff_t>(head.classes.size()));
    const int32_t answer = head.first + edgetl_argmax(ours.data(), ours.size());
    const int32_t wanted = head.first + edgetl_argmax(theirs.data(), theirs.size());
    found.decided = found.decided && (answer == wanted || std::min(lead(theirs), lead(ours)) <= limit);
    found.answer += (found.answer.empty() ? "" : " and ") + std::to_string(answer);
    found.wanted += (found.wanted.empty() ? "" : " and ") + std::to_string(wanted);
  }
  return found;
}

Detail network_detail(double difference, double likeness, const Tolerance& tolerance, const Answers& found) {
  const Detail told =
      detail("logits differ by %.2f %% of their range (limit %g %%), cosine %.5f (at least %g), class %s",
             100 * difference, 100 * tolerance.max_diff_of_range, likeness, tolerance.min_cosine, found.answer.c_str());
  return found.answer == found.wanted ? told : detail("%s instead of %s", told.text, found.wanted.c_str());
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
  const Answers answers = answers_of(logits, golden, manifest, allowed / 2 * spread);
  const bool passed = answers.decided && difference <= allowed && likeness >= tolerance.min_cosine;
  checks.add(index, "network", passed, difference, allowed, network_detail(difference, likeness, tolerance, answers));
}

}  // namespace edgetl
