// Intervals for what a benchmark reports, by the rules of edgetl/stats.py. 95 % coverage.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

namespace edgetl {

struct Interval {
  double value, low, high;
};

// The q-quantile, 0 < q < 1, with the order statistics around it that a binomial count leaves on either side with at
// most 5 %. Nothing when there are too few samples: p99 needs at least 299.
std::optional<Interval> quantile(std::vector<double> samples, double q);

// How many times faster `samples` are than `baseline`: ratio of medians. Index i of both was taken in round i, all
// times are positive; the interval resamples blocks of rounds, drawn by `seed`.
Interval speedup(const std::vector<double>& baseline, const std::vector<double>& samples, uint64_t seed);

// The middle value; the mean of the two middle ones of an even count.
double median(std::vector<double> values);

}  // namespace edgetl
