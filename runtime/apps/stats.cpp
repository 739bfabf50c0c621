#include "stats.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>

namespace edgetl {
namespace {

constexpr double error_rate = 0.05;
constexpr double z = 1.959963984540054;  // leaves error_rate / 2 above it in a normal distribution
constexpr double slack = 1e-9;           // of ranks and lengths that are whole numbers but for rounding
constexpr double pi = 3.141592653589793;
constexpr int resamples = 2000;
constexpr double fewest_slower = 60;        // runs than a high quantile
constexpr double fewest_independent = 1.5;  // rounds above a high quantile
constexpr double most_memory = 0.99;        // of rounds
constexpr double most_repeated = 0.9;       // of stretches

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
  if (least_low + least_high > error_rate) return std::nullopt;
  double for_low = error_rate / 2, for_high = error_rate / 2;
  if (least_high > for_high) {
    for_low = error_rate - least_high;
    for_high = least_high;
  } else if (least_low > for_low) {
    for_low = least_low;
    for_high = error_rate - least_low;
  }
  constexpr double sum_slack = 1e-12;
  // `below` ascends: counting gives the rank
  const auto low = std::count_if(below.begin(), below.end(), [&](double p) { return p <= for_low + sum_slack; });
  const auto high = std::count_if(below.begin(), below.end(), [&](double p) { return p < 1 - for_high - sum_slack; });
  return Ranks{static_cast<size_t>(low), static_cast<size_t>(high) + 1};
}

size_t quantile_rank(size_t count, double q) {
  const double rank = std::ceil(q * static_cast<double>(count) - slack);
  return std::max<size_t>(1, static_cast<size_t>(rank));
}

// Fewer than two whole rounds say nothing of how rounds differ: every sample then counts as one.
size_t round_size(size_t count, size_t block) { return 2 * block <= count ? block : 1; }

// How many neighboring rounds are kept together.
size_t stretch_rounds(size_t rounds) {
  return static_cast<size_t>(std::floor(std::cbrt(static_cast<double>(rounds)) + slack));
}

// Factor of a standard error in a 95 % interval; Abramowitz and Stegun 26.7.5, exact for 1 and 2 degrees of freedom.
double student(size_t freedom) {
  if (freedom == 1) return std::tan(pi * (1 - error_rate) / 2);
  if (freedom == 2) return (1 - error_rate) * std::sqrt(2 / (1 - (1 - error_rate) * (1 - error_rate)));
  const double z3 = std::pow(z, 3), z5 = std::pow(z, 5), z7 = std::pow(z, 7), z9 = std::pow(z, 9);
  const auto n = static_cast<double>(freedom);
  return z + (z3 + z) / 4 / n + (5 * z5 + 16 * z3 + 3 * z) / 96 / std::pow(n, 2) +
         (3 * z7 + 19 * z5 + 17 * z3 - 15 * z) / 384 / std::pow(n, 3) +
         (79 * z9 + 776 * z7 + 1482 * z5 - 1920 * z3 - 945 * z) / 92160 / std::pow(n, 4);
}

// Of successive numbers; 0 where all are equal.
double correlation(const std::vector<double>& series, double mean) {
  double power = 0, together = 0;
  for (size_t i = 0; i < series.size(); ++i) {
    power += std::pow(series[i] - mean, 2);
    if (i > 0) together += (series[i] - mean) * (series[i - 1] - mean);
  }
  return power > 0 ? together / power : 0;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// How many times further than for independent samples the ends of a quantile's interval lie, at least 1.
double design_factor(const std::vector<double>& samples, double value, double q, size_t block) {
  block = round_size(samples.size(), block);
  const size_t rounds = samples.size() / block;
  const size_t stretch = stretch_rounds(rounds) * block;
  const size_t count = samples.size() / stretch;
  if (count < 2) return 1;
  const auto share = [&](size_t first, size_t size) {
    const auto from = samples.begin() + static_cast<std::ptrdiff_t>(first);
    const auto below =
        std::count_if(from, from + static_cast<std::ptrdiff_t>(size), [&](double sample) { return sample <= value; });
    return static_cast<double>(below) / static_cast<double>(size);
  };
  const double all = share(0, samples.size());
  const auto stretches = static_cast<double>(count);
  std::vector<double> shares;
  double squares = 0;
  for (size_t i = 0; i < count; ++i) {
    shares.push_back(share(i * stretch, stretch));
    squares += std::pow(shares.back() - all, 2);
  }
  double alike = correlation(shares, mean_of(shares));
  alike = std::clamp(alike + (1 + 3 * alike) / stretches, 0.0, most_repeated);
  const double between = std::sqrt(squares / (stretches - 1) / stretches * ((1 + alike) / (1 - alike)));
  const double independent = std::sqrt(q * (1 - q) / static_cast<double>(samples.size()));
  return std::max(1.0, between / independent * student(count - 1) / z);
}

// Low and high rank as far from q N as rounds that differ ask for; they may lie outside of 1 to N.
struct WiderRanks {
  double low, high;
};

WiderRanks wider_ranks(const Ranks& ranks, size_t count, double q, double wider) {
  const double middle = q * static_cast<double>(count);
  return {std::floor(middle - wider * (middle - static_cast<double>(ranks.low)) + slack),
          std::ceil(middle + wider * (static_cast<double>(ranks.high) - middle) - slack)};
}

std::vector<double> round_medians(const std::vector<double>& samples, size_t block) {
  std::vector<double> medians;
  for (size_t first = 0; first + block <= samples.size(); first += block) {
    const auto from = samples.begin() + static_cast<std::ptrdiff_t>(first);
    medians.push_back(median({from, from + static_cast<std::ptrdiff_t>(block)}));
  }
  return medians;
}

// The number of runs of which the upper end of the interval is one; `count` if it is one of these.
double runs_above(size_t count, double q, double wider) {
  const std::optional<Ranks> ranks = quantile_ranks(count, q);
  const auto runs = static_cast<double>(count);
  if (ranks && wider_ranks(*ranks, count, q, wider).high <= runs) return runs;
  return std::max(runs + 1, std::ceil(std::pow(wider * z, 2) * q / (1 - q)));
}

// The order statistic that is the q-quantile.
double order_statistic(const std::vector<double>& samples, double q) {
  std::vector<double> ordered = samples;
  const auto place = ordered.begin() + static_cast<std::ptrdiff_t>(quantile_rank(samples.size(), q) - 1);
  std::nth_element(ordered.begin(), place, ordered.end());
  return *place;
}

// The share of a bootstrap distribution to leave out on each side.
double expanded_tail(size_t stretches) {
  const auto count = static_cast<double>(stretches);
  return std::erfc(std::sqrt(count / (count - 1)) * student(stretches - 1) / std::sqrt(2.0)) / 2;
}

// The order statistic that `quantile` gives for 0.5, so that ratios and quoted times agree.
double lower_median(std::vector<double>& values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(quantile_rank(values.size(), 0.5) - 1);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

std::optional<Interval> quantile(const std::vector<double>& samples, double q, size_t block) {
  const size_t count = samples.size();
  if (count == 0) return std::nullopt;
  const std::optional<Ranks> ranks = quantile_ranks(count, q);
  if (!ranks) return std::nullopt;
  std::vector<double> ordered = samples;
  std::sort(ordered.begin(), ordered.end());
  const double value = ordered[quantile_rank(count, q) - 1];
  const WiderRanks wider = wider_ranks(*ranks, count, q, design_factor(samples, value, q, block));
  const auto from = static_cast<size_t>(std::max(1.0, wider.low));
  const auto to = static_cast<size_t>(std::min(static_cast<double>(count), wider.high));
  return Interval{value, std::min(ordered[from - 1], value), std::max(ordered[to - 1], value)};
}

int64_t runs_for_tail(const std::vector<double>& samples, double q, size_t block) {
  const double least = std::ceil(fewest_slower / (1 - q) - slack);
  if (samples.size() < 2 * block) return static_cast<int64_t>(least);
  const std::vector<double> medians = round_medians(samples, block);
  const double memory = std::clamp(correlation(medians, mean_of(medians)), 0.0, most_memory);
  const double rounds = std::ceil(fewest_independent / (1 - q) * (1 + memory) / (1 - memory) - slack);
  const double wider = design_factor(samples, order_statistic(samples, q), q, block);
  const double above = runs_above(samples.size(), q, wider);
  return static_cast<int64_t>(std::max({least, rounds * static_cast<double>(block), above}));
}

Estimate tail(const std::vector<double>& samples, double q, size_t block) {
  const double value = order_statistic(samples, q);
  if (static_cast<int64_t>(samples.size()) < runs_for_tail(samples, q, block)) return {value, std::nullopt};
  return {value, quantile(samples, q, block)};
}

Estimate p99(const std::vector<double>& samples, size_t block) { return tail(samples, 0.99, block); }

Interval speedup(const std::vector<double>& baseline, const std::vector<double>& samples, size_t block, uint64_t seed) {
  std::vector<double> first = baseline, second = samples;
  const double value = lower_median(first) / lower_median(second);
  block = round_size(baseline.size(), block);
  const size_t rounds = baseline.size() / block;
  if (rounds < 2) return {value, value, value};
  const size_t stretch = stretch_rounds(rounds);
  std::mt19937_64 generator(seed);
  std::uniform_int_distribution<size_t> start(0, rounds - stretch);
  std::vector<double> ratios;
  for (int draw = 0; draw < resamples; ++draw) {
    first.clear();
    second.clear();
    while (first.size() < rounds * block) {
      const size_t from = start(generator) * block;
      const size_t behind = from + std::min(stretch * block, rounds * block - first.size());
      for (size_t i = from; i < behind; ++i) {
        first.push_back(baseline[i]);
        second.push_back(samples[i]);
      }
    }
    ratios.push_back(lower_median(first) / lower_median(second));
  }
  std::sort(ratios.begin(), ratios.end());
  const double tail = expanded_tail(rounds / stretch);
  return {value, std::min(interpolated(ratios, tail), value), std::max(interpolated(ratios, 1 - tail), value)};
}

double interpolated(const std::vector<double>& ordered, double q) {
  const double place = q * static_cast<double>(ordered.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, ordered.size() - 1);
  return ordered[below] + (place - static_cast<double>(below)) * (ordered[above] - ordered[below]);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return interpolated(values, 0.5);
}

}  // namespace edgetl
