#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "paced.h"

TEST_CASE("fixed arrivals have equal gaps") {
  CHECK(edgetl::arrival_times({100, "fixed"}, 4, 0) == std::vector<int64_t>{0, 10'000'000, 20'000'000, 30'000'000});
}

TEST_CASE("poisson arrivals have independent gaps of the same mean, and repeat with their seed") {
  const edgetl::Pace pace{100, "poisson"};
  const std::vector<int64_t> times = edgetl::arrival_times(pace, 20'000, 1);
  CHECK(times.front() == 0);
  CHECK(static_cast<double>(times.back()) / 19'999 == doctest::Approx(1e7).epsilon(0.03));
  double squares = 0;
  for (size_t i = 1; i < times.size(); ++i) {
    const auto gap = static_cast<double>(times[i] - times[i - 1]) - 1e7;
    squares += gap * gap;
  }
  CHECK(squares / 19'999 == doctest::Approx(1e14).epsilon(0.06));
  CHECK(edgetl::arrival_times(pace, 50, 1) == edgetl::arrival_times(pace, 50, 1));
  CHECK(edgetl::arrival_times(pace, 50, 1) != edgetl::arrival_times(pace, 50, 2));
}

TEST_CASE("every arrival runs once, in order, and latency holds the service time") {
  std::vector<int32_t> numbers;
  std::optional<edgetl::Paced> found;
  edgetl_error error{};
  const edgetl::TimedRun run = [&](int32_t number, edgetl_error*) {
    numbers.push_back(number);
    return EDGETL_OK;
  };
  REQUIRE(edgetl::run_paced(run, {20'000, "fixed"}, 300, 0, found, &error) == EDGETL_OK);
  CHECK(numbers.size() == 300 + edgetl::block_runs);
  CHECK(numbers.front() == -edgetl::block_runs);
  CHECK(numbers.back() == 299);
  REQUIRE(found.has_value());
  CHECK(found->runs == 300);
  REQUIRE(found->p50_ms.has_value());
  REQUIRE(found->service_p50_ms.has_value());
  CHECK(found->p50_ms->value >= found->service_p50_ms->value);
  CHECK(found->utilization > 0);
  CHECK_FALSE(found->p99_ms.interval);
  CHECK_FALSE(found->p999_ms);
}

TEST_CASE("an error ends the arrivals") {
  std::optional<edgetl::Paced> found;
  edgetl_error error{};
  const edgetl::TimedRun fails = [](int32_t number, edgetl_error*) {
    return number == 5 ? EDGETL_ENGINE_FAILED : EDGETL_OK;
  };
  CHECK(edgetl::run_paced(fails, {20'000, "fixed"}, 300, 0, found, &error) == EDGETL_ENGINE_FAILED);
  CHECK_FALSE(found);
}
