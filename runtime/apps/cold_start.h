// Opening a bundle and its first inference in fresh processes: a loaded engine cannot be unloaded.
#pragma once

#include <cstdint>
#include <string>

#include "edgetl/runtime.h"

namespace edgetl {

struct ColdStart {
  double cold_start_ms;
  int64_t peak_rss_bytes;      // added by opening and the first inference
  int64_t baseline_rss_bytes;  // memory of the process before
};

// The option that makes a program call `run_cold_start` for its first argument.
constexpr const char* cold_start_option = "--cold-start-once";

// In the fresh process: measure, and tell the parent on stdout. Returns the exit code.
int run_cold_start(const char* bundle, const edgetl_options& options);

// Medians over `repeats` runs of this very program. False with one line in `problem` when one failed.
bool measure_cold_start(const std::string& bundle, const edgetl_options& options, int32_t repeats, ColdStart& result,
                        std::string& problem);

}  // namespace edgetl
