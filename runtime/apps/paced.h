// Paced arrivals, by the rules of edgetl/bench/paced.py: latency counts from the scheduled arrival, service time from the
// start of the run; between arrivals the thread sleeps.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "latency.h"
#include "stats.h"

namespace edgetl {

struct Pace {
  double rate_hz;        // arrivals per second on average
  std::string arrivals;  // fixed: equal gaps; poisson: independent ones
};

struct Paced {
  Pace pace;
  int32_t runs;
  std::optional<Interval> p50_ms, p90_ms;
  Estimate p99_ms;
  std::optional<Estimate> p999_ms;  // nothing with too few runs for its interval
  std::optional<Interval> service_p50_ms;
  Estimate service_p99_ms;
  double utilization;  // service time times rate; from 1 on the queue grows without end
};

// Nanoseconds after the start; the first one is 0. Poisson gaps are drawn by `seed`.
std::vector<int64_t> arrival_times(const Pace& pace, int32_t runs, uint64_t seed);

// Runs once per arrival, in order, never before it.
edgetl_status run_paced(const TimedRun& run, const Pace& pace, int32_t runs, uint64_t seed, std::optional<Paced>& found,
                        edgetl_error* error);

}  // namespace edgetl
