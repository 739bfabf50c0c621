#include "stats.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <random>

namespace edgetl {
namespace {

constexpr double error = 0.05;
constexpr int resamples = 2000;

struct Ranks {
  size_t low, high;  // from 1
};

// P(B <= k) for k = 0 .. count, B binomial(count, q), from the recurrence of its terms in logarithms.
std::vector<double> binomial_cdf(size_t count, double q) {
  std::vector<double> below(count + 1);
  const double none = static_cast<double>(count) * std::log1p(-q);
  const double odds = std::log(q / (1 - q));
  double step = 0, sum = 0;
  for (size_t k = 0; k <= count; ++k) {
    if (k > 0) step += std::log(static_cast<double>(count - k + 1) / static_cast<double>(k)) + odds;
    sum += std::exp(none + step);
    below[k] = std::min(sum, 1.0);
  }
  return below;
}

std::optional<Ranks> quantile_ranks(size_t count, double q) {
  const std::vector<double> below = binomial_cdf(count, q);
  const double least_low = below[0];
  const double least_high = 1 - below[count - 1];
  if (least_low + least_high > error) return std::nullopt;
  double for_low = error / 2, for_high = error / 2;
  if (least_high > for_high) {
    for_low = error - least_high;
    for_high = least_high;
  } else if (least_low > for_low) {
    for_low = least_low;
    for_high = error - least_low;
  }
  constexpr double slack = 1e-12;  // of the cumulative sum
  // `below` ascends: counting gives the rank
  const auto low = std::count_if(below.begin(), below.end(), [&](double p) { return p <= for_low + slack; });
  const auto high = std::count_if(below.begin(), below.end(), [&](double p) { return p < 1 - for_high - slack; });
  return Ranks{static_cast<size_t>(low), static_cast<size_t>(high) + 1};
}

size_t quantile_rank(size_t count, double q) {
  const double rank = std::ceil(q * static_cast<double>(count) - 1e-9);
  return std::max<size_t>(1, static_cast<size_t>(rank));
}

// The order statistic that `quantile` gives for 0.5, so that ratios and quoted times agree.
double lower_median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(quantile_rank(values.size(), 0.5) - 1);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// Between order statistics, linearly.
double interpolated(const std::vector<double>& ordered, double q) {
  const double place = q * static_cast<double>(ordered.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, ordered.size() - 1);
  return ordered[below] + (place - static_cast<double>(below)) * (ordered[above] - ordered[below]);
}

}  // namespace

std::optional<Interval> quantile(std::vector<double> samples, double q) {
  if (samples.empty()) return std::nullopt;
  const std::optional<Ranks> ranks = quantile_ranks(samples.size(), q);
  if (!ranks) return std::nullopt;
  std::sort(samples.begin(), samples.end());
  const double value = samples[quantile_rank(samples.size(), q) - 1];
  return Interval{value, std::min(samples[ranks->low - 1], value), std::max(samples[ranks->high - 1], value)};
}

Interval speedup(const std::vector<double>& baseline, const std::vector<double>& samples, uint64_t seed) {
  const size_t count = baseline.size();
  const auto block = std::max<size_t>(1, static_cast<size_t>(std::lround(std::cbrt(static_cast<double>(count)))));
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<size_t> start(0, count - block);
  std::vector<double> ratios, first, second;
  for (int draw = 0; draw < resamples; ++draw) {
    first.clear();
    second.clear();
    while (first.size() < count) {
      const size_t from = start(generator);
      for (size_t i = from; i < from + block && first.size() < count; ++i) {
        first.push_back(baseline[i]);
        second.push_back(samples[i]);
      }
    }
    ratios.push_back(lower_median(first) / lower_median(second));
  }
  std::sort(ratios.begin(), ratios.end());
  first = baseline;
  second = samples;
  const double value = lower_median(first) / lower_median(second);
  return {value, std::min(interpolated(ratios, error / 2), value),
          std::max(interpolated(ratios, 1 - error / 2), value)};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return interpolated(values, 0.5);
}

}  // namespace edgetl
