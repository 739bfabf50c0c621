// What edgetl-bench found, in the form of edgetl/bench/measurement.py.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

#include "cold_start.h"
#include "conditions.h"
#include "machine.h"
#include "paced.h"
#include "stats.h"
#include "steady.h"

namespace edgetl {

// The network alone, of texts that are filled up to `tokens`.
struct OfLength {
  int32_t tokens;
  std::optional<Interval> p50_ms;
};

struct BundleResult {
  std::string bundle, bundle_sha256, target, precision, backend, backend_version;
  int64_t size_bytes = 0;
  std::optional<Interval> p50_ms, p90_ms;
  std::optional<Estimate> p99_ms;
  int32_t runs = 0, threads = 0;
  std::optional<Interval> ratio;  // to the first bundle
  std::optional<ColdStart> cold_start;
  std::optional<Interval> detect_p50_ms;    // of a detector: from the decoded picture to its objects
  std::vector<OfLength> by_length;          // of a network of texts, the shortest first
  std::optional<Interval> tokenize_p50_ms;  // of texts, apart from the network
  std::optional<double> round_spread;       // how unsteady the machine was
  std::optional<Estimate> p999_ms;          // nothing with fewer runs than its interval needs
  std::optional<int64_t> runs_for_p99, runs_for_p999;
  std::optional<WarmUp> warm_up;  // nothing when the number of runs was given
  std::optional<Paced> paced;
};

struct BeforeAfter {
  std::optional<double> before, after;
};

struct BenchResult {
  std::string created;
  Machine machine;
  int usable_cores = 0;
  BeforeAfter clock_mhz, temperature_c;
  std::vector<BundleResult> bundles;
  std::optional<Conditions> conditions;
  std::vector<std::string> warnings;
};

// ISO 8601 date and time; empty for a clock that was never set.
std::string utc_date(std::time_t now);

std::string json_of(const BenchResult& result);

// One line for people.
std::string line_of(const BundleResult& bundle);

}  // namespace edgetl
