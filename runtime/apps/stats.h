// Intervals for what a benchmark reports, by the rules of edgetl/bench/time_stats.py. 95 % coverage.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace edgetl {

struct Interval {
  double value, low, high;
};

// The q-quantile, 0 < q < 1, with the order statistics around it that a binomial count leaves on either side with at
// most 5 %, further out where stretches of rounds differ. `samples` are in the order in which they were taken, `block`
// in a round. Nothing when there are too few samples: p99 needs at least 299.
std::optional<Interval> quantile(const std::vector<double>& samples, double q, size_t block);

// A quantile whose interval is known, or not: without one it is an indication.
struct Estimate {
  double value;
  std::optional<Interval> interval;
};

// A high quantile of samples (not empty), with the interval of `quantile` where that can be believed: 60 slower runs, a
// run slow enough for its upper end, and enough independent rounds.
Estimate tail(const std::vector<double>& samples, double q, size_t block);

// The 0.99-quantile, as `tail` gives it.
Estimate p99(const std::vector<double>& samples, size_t block);

// How many runs the q-quantile needs for an interval, on a machine that drifts as it did during `samples`.
int64_t runs_for_tail(const std::vector<double>& samples, double q, size_t block);

// How many times faster `samples` are than `baseline`: ratio of medians. Equal indices of both were taken in one round
// of `block` runs of each, all times are positive; the interval resamples stretches of rounds, drawn by `seed`.
Interval speedup(const std::vector<double>& baseline, const std::vector<double>& samples, size_t block, uint64_t seed);

// The q-quantile between order statistics, linearly; `ordered` ascends.
double interpolated(const std::vector<double>& ordered, double q);

// The middle value; the mean of the two middle ones of an even count.
double median(std::vector<double> values);

}  // namespace edgetl
