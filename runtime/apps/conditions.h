// The load and the hardware while runs are timed, as in edgetl/bench/quiet.py and hardware.py (Linux).
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "machine.h"

namespace edgetl {

// Counters of the system at one moment. Energy by CPU package, with the number at which it starts again from 0.
struct Counters {
  std::chrono::steady_clock::time_point clock;
  std::optional<double> waited_s;
  std::optional<double> stolen_ticks, all_ticks;
  std::optional<int64_t> throttled;
  std::map<std::string, int64_t> energy_uj, range_uj;
};

// Between two moments. Shares of the time that each thread waited for a core, and that the machine's host took.
struct Conditions {
  double seconds;
  std::optional<double> waited, stolen;
  std::optional<int64_t> throttled;  // events that cores and packages counted
  std::optional<double> energy_j;    // of all CPU packages
};

// `root` contains proc and sys.
Counters counters_now(const std::string& root = "");

Conditions between(const Counters& before, const Counters& after, int32_t threads);

// Interquartile range of the rounds' medians over the median; nothing with fewer than four rounds of `block` runs.
std::optional<double> round_spread(const std::vector<double>& times, size_t block);

// Reasons to doubt the times, one line each; `spread` is the largest of all models, clock and heat before and after.
struct Seen {
  Machine machine;
  double usable_cores;
  int32_t threads;
  Conditions conditions;
  std::optional<double> spread, clock_before, clock_after, heat_after;
};
std::vector<std::string> doubts(const Seen& seen);

}  // namespace edgetl
