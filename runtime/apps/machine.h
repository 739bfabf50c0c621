// The machine of a measurement, as in edgetl/bench/machine.py. Values that cannot be read are absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgetl {

struct Machine {
  std::optional<std::string> cpu;
  std::string architecture;
  std::vector<std::string> instruction_sets;
  std::optional<int64_t> logical_cores;
  std::optional<std::string> governor;
  std::optional<double> clock_mhz, clock_min_mhz, clock_max_mhz;
  std::optional<double> load_average;  // over one minute
  std::optional<int64_t> memory_bytes;
  std::string system;
};

// `root` contains proc, sys and etc.
Machine describe_machine(const std::string& root = "");

// Of the first core, at this moment.
std::optional<double> clock_mhz(const std::string& root = "");

// The hottest thermal zone at this moment, in degrees Celsius.
std::optional<double> temperature_c(const std::string& root = "");

// The vector and integer instruction sets that determine a network's speed, from the text of /proc/cpuinfo.
std::vector<std::string> instruction_sets(const std::string& cpuinfo);

// Whether INT8 saturates on the x86 CPU `here`, which lacks VNNI, but not on a target's CPUs, which have it. `machine` and
// `cpu_with` are those of the target.
bool saturates(const Machine& here, const std::string& machine, const std::vector<std::string>& cpu_with);

// Peak resident memory of this process since `reset_peak_rss`; of its whole life where /proc does not allow that.
void reset_peak_rss();
int64_t peak_rss_bytes();

}  // namespace edgetl
