// Warming up until times are steady, by the rules of edgetl/bench/steady.py.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "latency.h"

namespace edgetl {

constexpr int32_t fewest_steady = 50;  // runs in a row without a change point

// Untimed runs: all of them are discarded; no `steady_from` when times never became steady.
struct WarmUp {
  int32_t runs;
  std::optional<int32_t> steady_from;
};

// The index after the last change of the times by Pettitt's test; nothing when fewer than `fewest_steady` follow.
std::optional<int32_t> steady_from(const std::vector<double>& times);

// Runs until the last ones are steady, for 1,000 runs or ten seconds at most.
edgetl_status warm_up(const TimedRun& run, WarmUp& found, edgetl_error* error);

}  // namespace edgetl
