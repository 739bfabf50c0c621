#include "latency.h"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <numeric>
#include <random>

namespace edgetl {
namespace {

constexpr int32_t settle_runs = 2;
constexpr int32_t most_runs = 100'000'000;  // bounds the memory
constexpr double shortest_ms = 1e-6;        // a coarse clock may not move during a run of the null engine

using Clock = std::chrono::steady_clock;

edgetl_status time_block(const TimedRun& run, int32_t first, int32_t behind, std::vector<double>& times_ms,
                         edgetl_error* error) {
  for (int32_t number = first - settle_runs; number < first; ++number) {
    if (const edgetl_status status = run(number, error)) return status;
  }
  for (int32_t number = first; number < behind; ++number) {
    const Clock::time_point start = Clock::now();
    const edgetl_status status = run(number, error);
    const Clock::time_point end = Clock::now();
    if (status != EDGETL_OK) return status;
    times_ms.push_back(std::max(shortest_ms, std::chrono::duration<double, std::milli>(end - start).count()));
  }
  return EDGETL_OK;
}

}  // namespace

edgetl_status time_interleaved(const std::vector<TimedRun>& models, const Protocol& protocol,
                               std::vector<std::vector<double>>& times_ms, edgetl_error* error) {
  times_ms.assign(models.size(), {});
  for (const TimedRun& run : models) {
    for (int32_t number = 0; number < protocol.warmup; ++number) {
      if (const edgetl_status status = run(number, error)) return status;
    }
  }
  std::vector<size_t> order(models.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::mt19937_64 generator(protocol.seed);
  const Clock::time_point begin = Clock::now();
  const auto goes_on = [&](int32_t taken) {
    if (!protocol.duration_s) return taken < protocol.runs;
    return taken == 0 ||
           (taken < most_runs && Clock::now() - begin < std::chrono::duration<double>(*protocol.duration_s));
  };
  for (int32_t first = 0; goes_on(first); first += block_runs) {
    const int32_t behind = protocol.duration_s ? first + block_runs : std::min(first + block_runs, protocol.runs);
    std::shuffle(order.begin(), order.end(), generator);
    for (const size_t index : order) {
      if (const edgetl_status status = time_block(models[index], first, behind, times_ms[index], error)) return status;
    }
  }
  return EDGETL_OK;
}

}  // namespace edgetl
