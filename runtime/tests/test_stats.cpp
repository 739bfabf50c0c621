#include <doctest/doctest.h>

#include <cstddef>
#include <vector>

#include "stats.h"

using edgetl::Interval;
using edgetl::quantile;

namespace {

std::vector<double> mixed(size_t count) {
  std::vector<double> samples;
  for (size_t i = 0; i < count; ++i) samples.push_back(static_cast<double>(i * 7919 % 1009));
  return samples;
}

void check(const std::optional<Interval>& found, double value, double low, double high) {
  REQUIRE(found.has_value());
  CHECK(found->value == value);
  CHECK(found->low == low);
  CHECK(found->high == high);
}

}  // namespace

// The expected numbers are those of edgetl/stats.py for the same samples.
TEST_CASE("quantiles and their intervals are those of the Python side") {
  check(quantile(mixed(6), 0.5), 397, 0, 856);
  check(quantile(mixed(40), 0.5), 488, 335, 670);
  check(quantile(mixed(40), 0.9), 885, 794, 1005);
  check(quantile(mixed(299), 0.99), 1001, 973, 1006);
  check(quantile(mixed(300), 0.5), 505, 447, 567);
  check(quantile(mixed(300), 0.9), 906, 869, 944);
  check(quantile(mixed(300), 0.99), 997, 973, 1006);
  check(quantile(mixed(1000), 0.5), 505, 474, 537);
  check(quantile(mixed(1000), 0.9), 907, 888, 927);
  check(quantile(mixed(1000), 0.99), 998, 991, 1005);
}

TEST_CASE("too few samples have no quantile") {
  CHECK_FALSE(quantile({}, 0.5));
  CHECK_FALSE(quantile(mixed(5), 0.5));
  CHECK_FALSE(quantile(mixed(6), 0.9));
  CHECK_FALSE(quantile(mixed(298), 0.99));
}

TEST_CASE("a speed-up is the ratio of medians inside its interval") {
  std::vector<double> baseline, samples;
  for (size_t i = 0; i < 300; ++i) {
    baseline.push_back(10 + static_cast<double>(i * 7919 % 13));
    samples.push_back(5 + static_cast<double>(i * 104729 % 7));
  }
  const Interval found = edgetl::speedup(baseline, samples, 0);
  CHECK(found.value == 2);
  CHECK(found.low <= found.value);
  CHECK(found.high >= found.value);
  CHECK(found.high - found.low < 0.5);
  CHECK(edgetl::speedup(baseline, samples, 0).low == found.low);
}

TEST_CASE("a series is exactly as fast as itself") {
  const Interval found = edgetl::speedup({3, 1, 2, 5, 4}, {3, 1, 2, 5, 4}, 7);
  CHECK(found.value == 1);
  CHECK(found.low == 1);
  CHECK(found.high == 1);
}

TEST_CASE("the median of an even count lies between the middle two") {
  CHECK(edgetl::median({3}) == 3);
  CHECK(edgetl::median({9, 1, 5}) == 5);
  CHECK(edgetl::median({4, 1, 2, 100}) == 3);
}
