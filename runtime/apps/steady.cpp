#include "steady.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <numeric>

#include "stats.h"

namespace edgetl {
namespace {

constexpr int32_t most_warm_up_runs = 1000;
constexpr std::chrono::seconds most_seconds{10};
constexpr double smallest_change = 0.02;  // of the median
constexpr double chance = 0.05;

using Clock = std::chrono::steady_clock;

// From 1; equal times share the mean of their ranks.
std::vector<double> ranks_of(const std::vector<double>& times) {
  std::vector<size_t> order(times.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t one, size_t other) { return times[one] < times[other]; });
  std::vector<double> ranks(times.size());
  for (size_t first = 0; first < order.size();) {
    size_t behind = first;
    while (behind < order.size() && times[order[behind]] == times[order[first]]) ++behind;
    for (size_t i = first; i < behind; ++i) ranks[order[i]] = static_cast<double>(first + behind + 1) / 2;
    first = behind;
  }
  return ranks;
}

// How many of the times come before the change.
std::optional<size_t> change_point(const std::vector<double>& times) {
  const std::vector<double> ranks = ranks_of(times);
  const auto count = static_cast<double>(times.size());
  double sum = 0, most = -1;
  size_t place = 0;
  for (size_t split = 1; split < times.size(); ++split) {
    sum += ranks[split - 1];
    const double statistic = std::abs(2 * sum - static_cast<double>(split) * (count + 1));
    if (statistic > most) {
      most = statistic;
      place = split;
    }
  }
  if (2 * std::exp(-6 * most * most / (count * count * count + count * count)) > chance) return std::nullopt;
  const auto middle = times.begin() + static_cast<std::ptrdiff_t>(place);
  const double before = median({times.begin(), middle}), after = median({middle, times.end()});
  if (std::abs(after - before) < smallest_change * before) return std::nullopt;
  return place;
}

}  // namespace

std::optional<int32_t> steady_from(const std::vector<double>& times) {
  size_t first = 0;
  while (times.size() - first >= static_cast<size_t>(fewest_steady)) {
    const auto change = change_point({times.begin() + static_cast<std::ptrdiff_t>(first), times.end()});
    if (!change) return static_cast<int32_t>(first);
    first += *change;
  }
  return std::nullopt;
}

edgetl_status warm_up(const TimedRun& run, WarmUp& found, edgetl_error* error) {
  std::vector<double> times;
  found = {0, std::nullopt};
  const Clock::time_point begin = Clock::now();
  while (found.runs < most_warm_up_runs && Clock::now() - begin < most_seconds && !found.steady_from) {
    for (int32_t i = 0; i < fewest_steady; ++i) {
      const Clock::time_point start = Clock::now();
      if (const edgetl_status status = run(found.runs++, error)) return status;
      times.push_back(std::chrono::duration<double, std::milli>(Clock::now() - start).count());
    }
    found.steady_from = steady_from(times);
  }
  return EDGETL_OK;
}

}  // namespace edgetl
