// The latency protocol of edgetl/bench/latency.py: one image at a time, models in turns of short blocks, so that drift
// of the machine hits them equally and every block runs with its own model in the cache.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "edgetl/runtime.h"

namespace edgetl {

constexpr int32_t block_runs = 10;  // timed runs of one model in a row; those of all models are a round

struct Protocol {
  int32_t runs;                                     // timed, of every model
  int32_t warmup;                                   // untimed, of every model, before
  uint64_t seed;                                    // of the order of turns
  std::optional<double> duration_s = std::nullopt;  // whole rounds for so long, instead of `runs`
};

// One timed run: number r of a model, with what it shows for it. Numbers before 0 are of runs that settle.
using TimedRun = std::function<edgetl_status(int32_t number, edgetl_error* error)>;

// Inputs are shown in turn: run r gets input r mod their number.
inline size_t turn_of(int32_t number, size_t inputs) {
  const auto count = static_cast<int32_t>(inputs);
  return static_cast<size_t>(((number % count) + count) % count);
}

// `times_ms[m][r]` belongs to run r of model m.
edgetl_status time_interleaved(const std::vector<TimedRun>& models, const Protocol& protocol,
                               std::vector<std::vector<double>>& times_ms, edgetl_error* error);

}  // namespace edgetl
