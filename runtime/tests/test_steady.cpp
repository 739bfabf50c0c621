#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "steady.h"

namespace {

// So many runs at each level, with noise of 1 %.
std::vector<double> at_levels(const std::vector<std::pair<int, double>>& levels) {
  std::vector<double> times;
  for (const auto& [count, level] : levels) {
    for (int i = 0; i < count; ++i) times.push_back(level + static_cast<double>(times.size() * 7919 % 101));
  }
  return times;
}

}  // namespace

// The expected numbers are those of edgetl/bench/steady.py for the same times.
TEST_CASE("times are steady from where the Python side says") {
  CHECK(edgetl::steady_from(at_levels({{200, 10000}})) == 0);
  CHECK(edgetl::steady_from(at_levels({{20, 15000}, {100, 10000}})) == 20);
  CHECK(edgetl::steady_from(at_levels({{20, 15000}, {60, 10000}, {90, 12000}})) == 80);
  CHECK_FALSE(edgetl::steady_from(at_levels({{60, 15000}, {40, 10000}})));
  CHECK_FALSE(edgetl::steady_from(at_levels({{49, 10000}})));
  CHECK(edgetl::steady_from(std::vector<double>(100, 0.0)) == 0);
}

TEST_CASE("a warm-up runs in turn, in whole steps, and stops at an error") {
  std::vector<int32_t> numbers;
  edgetl::WarmUp found{};
  edgetl_error error{};
  const edgetl::TimedRun run = [&](int32_t number, edgetl_error*) {
    numbers.push_back(number);
    return EDGETL_OK;
  };
  CHECK(edgetl::warm_up(run, found, &error) == EDGETL_OK);
  CHECK(found.runs % edgetl::fewest_steady == 0);
  CHECK(static_cast<size_t>(found.runs) == numbers.size());
  CHECK(numbers.front() == 0);
  CHECK(numbers.back() == found.runs - 1);
  const edgetl::TimedRun fails = [](int32_t, edgetl_error*) { return EDGETL_ENGINE_FAILED; };
  CHECK(edgetl::warm_up(fails, found, &error) == EDGETL_ENGINE_FAILED);
}
