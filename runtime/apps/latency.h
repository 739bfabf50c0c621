// The latency protocol of edgetl/bench/latency.py: one image at a time, models in turns of short blocks, so that drift
// of the machine hits them equally and every block runs with its own model in the cache.
#pragma once

#include <cstdint>
#include <vector>

#include "edgetl/runtime.h"

namespace edgetl {

constexpr int32_t block_runs = 10;  // timed runs of one model in a row; those of all models are a round

struct Protocol {
  int32_t runs;    // timed, of every model
  int32_t warmup;  // untimed, of every model, before
  uint64_t seed;   // of the order of turns
};

// Inputs are shown in turn: run r gets input r mod their number. `times_ms[m][r]` belongs to model m.
edgetl_status time_interleaved(const std::vector<edgetl_model*>& models,
                               const std::vector<std::vector<uint8_t>>& inputs, const Protocol& protocol,
                               std::vector<std::vector<double>>& times_ms, edgetl_error* error);

}  // namespace edgetl
