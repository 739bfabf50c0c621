#include <doctest/doctest.h>

#include <cstddef>
#include <optional>
#include <utility>
#include <vector>

#include "stats.h"

using edgetl::Interval;
using edgetl::quantile;

namespace {

constexpr size_t block = 10;

std::vector<double> mixed(size_t count) {
  std::vector<double> samples;
  for (size_t i = 0; i < count; ++i) samples.push_back(static_cast<double>(i * 7919 % 1009));
  return samples;
}

std::vector<double> in_rounds(size_t count) {
  std::vector<double> samples = mixed(count);
  for (size_t i = 0; i < count; ++i) samples[i] += static_cast<double>(100 * (i / block * 37 % 11));
  return samples;
}

void check(const std::optional<Interval>& found, double value, double low, double high) {
  REQUIRE(found.has_value());
  CHECK(found->value == value);
  CHECK(found->low == low);
  CHECK(found->high == high);
}

}  // namespace

// The expected numbers are those of edgetl/bench/time_stats.py for the same samples.
TEST_CASE("quantiles and their intervals are those of the Python side") {
  check(quantile(mixed(6), 0.5, block), 397, 0, 856);
  check(quantile(mixed(40), 0.5, block), 488, 182, 852);
  check(quantile(mixed(40), 0.9, block), 885, 732, 1005);
  check(quantile(mixed(299), 0.99, block), 1001, 973, 1006);
  check(quantile(mixed(300), 0.5, block), 505, 447, 567);
  check(quantile(mixed(300), 0.9, block), 906, 869, 944);
  check(quantile(mixed(300), 0.99, block), 997, 964, 1006);
  check(quantile(mixed(327), 0.5, block), 509, 452, 563);
  check(quantile(mixed(1000), 0.5, block), 505, 474, 537);
  check(quantile(mixed(1000), 0.9, block), 907, 888, 927);
  check(quantile(mixed(1000), 0.99, block), 998, 987, 1008);
}

TEST_CASE("intervals of rounds that differ are those of the Python side") {
  check(quantile(in_rounds(6), 0.5, block), 397, 0, 856);
  check(quantile(in_rounds(40), 0.5, block), 794, 0, 1776);
  check(quantile(in_rounds(40), 0.9, block), 1470, 826, 1776);
  check(quantile(in_rounds(299), 0.99, block), 1906, 1776, 1985);
  check(quantile(in_rounds(300), 0.5, block), 979, 888, 1080);
  check(quantile(in_rounds(300), 0.9, block), 1573, 1482, 1724);
  check(quantile(in_rounds(300), 0.99, block), 1894, 1776, 1985);
  check(quantile(in_rounds(327), 0.5, block), 1001, 927, 1090);
  check(quantile(in_rounds(1000), 0.5, block), 996, 946, 1053);
  check(quantile(in_rounds(1000), 0.9, block), 1582, 1531, 1651);
  check(quantile(in_rounds(1000), 0.99, block), 1894, 1866, 1984);
}

TEST_CASE("intervals of a slow drift are those of the Python side") {
  std::vector<double> slow = mixed(3000);
  for (size_t i = 0; i < slow.size(); ++i) {
    const double away = static_cast<double>(i / block % 40) * (i / 400 % 2 == 1 ? 1.0 : -1.0);
    slow[i] = 100 + away + static_cast<double>(i * 7919 % 13);
  }
  check(quantile(slow, 0.5, block), 104, 61, 151);
  check(quantile(slow, 0.9, block), 135, 123, 151);
  CHECK(edgetl::runs_for_tail(slow, 0.99, block) == 61470);
  CHECK(edgetl::runs_for_tail(slow, 0.999, block) == 614680);
}

TEST_CASE("the runs that a high quantile needs are those of the Python side") {
  std::vector<double> burst(6000, 5.0);
  for (size_t i = burst.size() - 70; i < burst.size(); ++i) burst[i] = 9;
  CHECK(edgetl::runs_for_tail(burst, 0.99, block) == 19500);
  CHECK(edgetl::runs_for_tail(mixed(300), 0.99, block) == 6000);
  CHECK(edgetl::runs_for_tail(mixed(300), 0.999, block) == 60000);
  CHECK_FALSE(edgetl::tail(mixed(6000), 0.999, block).interval);
}

TEST_CASE("too few samples have no quantile") {
  CHECK_FALSE(quantile({}, 0.5, block));
  CHECK_FALSE(quantile(mixed(5), 0.5, block));
  CHECK_FALSE(quantile(mixed(6), 0.9, block));
  CHECK_FALSE(quantile(mixed(298), 0.99, block));
}

TEST_CASE("p99 has an interval where it has one on the Python side") {
  const auto interval = [](const std::vector<double>& samples) { return edgetl::p99(samples, block).interval; };
  check(interval(mixed(6000)), 998, 996, 1001);
  check(interval(in_rounds(6005)), 1902, 1888, 1924);
  check(interval(in_rounds(7000)), 1901, 1888, 1921);
}

TEST_CASE("p99 of few rounds, of a drift, and of a burst is an indication") {
  std::vector<double> drift = mixed(7000), burst(6000, 5.0);
  for (size_t i = 0; i < drift.size(); ++i) drift[i] = drift[i] / 1000 + static_cast<double>(i / block / 100);
  for (size_t i = burst.size() - 70; i < burst.size(); ++i) burst[i] = 9;
  const std::vector<std::pair<std::vector<double>, double>> cases = {
      {mixed(300), 997}, {in_rounds(5990), 1904}, {drift, 6.937}, {burst, 9}};
  for (const auto& [samples, value] : cases) {
    const edgetl::Estimate found = edgetl::p99(samples, block);
    CHECK(found.value == doctest::Approx(value));
    CHECK_FALSE(found.interval);
  }
}

TEST_CASE("a speed-up is the ratio of medians inside its interval") {
  std::vector<double> baseline, samples;
  for (size_t i = 0; i < 300; ++i) {
    baseline.push_back(10 + static_cast<double>(i * 7919 % 13));
    samples.push_back(5 + static_cast<double>(i * 104729 % 7));
  }
  const Interval found = edgetl::speedup(baseline, samples, block, 0);
  CHECK(found.value == 2);
  CHECK(found.low <= found.value);
  CHECK(found.high >= found.value);
  CHECK(found.high - found.low < 0.5);
  CHECK(edgetl::speedup(baseline, samples, block, 0).low == found.low);
}

// Draws differ between the languages: the ends agree up to the noise of 2000 of them.
TEST_CASE("a speed-up in rounds that differ has the interval of the Python side") {
  std::vector<double> baseline, samples;
  for (size_t i = 0; i < 300; ++i) {
    baseline.push_back(static_cast<double>(1000 + i * 7919 % 13 + 100 * (i / block * 37 % 11)));
    samples.push_back(static_cast<double>(500 + i * 104729 % 7 + 50 * (i / block * 53 % 13)));
  }
  const Interval found = edgetl::speedup(baseline, samples, block, 0);
  CHECK(found.value == doctest::Approx(1.996016));
  CHECK(found.low == doctest::Approx(1.476).epsilon(0.03));
  CHECK(found.high == doctest::Approx(2.485).epsilon(0.03));
}

TEST_CASE("a single run is its own interval") {
  const Interval found = edgetl::speedup({3}, {2}, block, 7);
  CHECK(found.low == 1.5);
  CHECK(found.high == 1.5);
}

TEST_CASE("a series is exactly as fast as itself") {
  const Interval found = edgetl::speedup({3, 1, 2, 5, 4}, {3, 1, 2, 5, 4}, 1, 7);
  CHECK(found.value == 1);
  CHECK(found.low == 1);
  CHECK(found.high == 1);
}

TEST_CASE("the median of an even count lies between the middle two") {
  CHECK(edgetl::median({3}) == 3);
  CHECK(edgetl::median({9, 1, 5}) == 5);
  CHECK(edgetl::median({4, 1, 2, 100}) == 3);
}
