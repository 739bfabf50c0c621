#include "paced.h"

#include <chrono>
#include <cmath>
#include <cstddef>
#include <numeric>
#include <random>
#include <thread>

namespace edgetl {
namespace {

using Clock = std::chrono::steady_clock;

double milliseconds(Clock::duration time) { return std::chrono::duration<double, std::milli>(time).count(); }

}  // namespace

std::vector<int64_t> arrival_times(const Pace& pace, int32_t runs, uint64_t seed) {
  const double mean = 1e9 / pace.rate_hz;
  std::mt19937_64 generator(seed);
  std::exponential_distribution<double> gap(1 / mean);
  std::vector<int64_t> times;
  double at = 0;
  for (int32_t run = 0; run < runs; ++run) {
    times.push_back(std::llround(pace.arrivals == "fixed" ? run * mean : at));
    at += gap(generator);
  }
  return times;
}

edgetl_status run_paced(const TimedRun& run, const Pace& pace, int32_t runs, uint64_t seed, std::optional<Paced>& found,
                        edgetl_error* error) {
  const std::vector<int64_t> arrivals = arrival_times(pace, runs, seed);
  std::vector<double> latency, service;
  for (int32_t number = -block_runs; number < 0; ++number) {
    if (const edgetl_status status = run(number, error)) return status;
  }
  const Clock::time_point start = Clock::now();
  for (int32_t number = 0; number < runs; ++number) {
    const Clock::time_point due = start + std::chrono::nanoseconds(arrivals[static_cast<size_t>(number)]);
    std::this_thread::sleep_until(due);
    const Clock::time_point begin = Clock::now();
    if (const edgetl_status status = run(number, error)) return status;
    const Clock::time_point end = Clock::now();
    latency.push_back(milliseconds(end - due));
    service.push_back(milliseconds(end - begin));
  }
  const double busy_ms = std::accumulate(service.begin(), service.end(), 0.0) / static_cast<double>(runs);
  const Estimate p999 = tail(latency, 0.999, block_runs);
  found = Paced{pace,
                runs,
                quantile(latency, 0.5, block_runs),
                quantile(latency, 0.9, block_runs),
                p99(latency, block_runs),
                p999.interval ? std::optional<Estimate>(p999) : std::nullopt,
                quantile(service, 0.5, block_runs),
                p99(service, block_runs),
                busy_ms / 1e3 * pace.rate_hz};
  return EDGETL_OK;
}

}  // namespace edgetl
