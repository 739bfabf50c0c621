#include "conditions.h"

#include <dirent.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "stats.h"

namespace edgetl {
namespace {

constexpr double most_waited = 0.05, most_stolen = 0.02, most_spread = 0.10, most_load_per_core = 1.5;
constexpr double hot_c = 90, least_clock = 0.9;
constexpr size_t steal = 7, of_all = 8;  // places among the numbers of a line `cpu` of /proc/stat

std::vector<std::string> entries(const std::string& folder) {
  std::vector<std::string> names;
  if (DIR* opened = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(opened)) names.emplace_back(entry->d_name);
    closedir(opened);
  }
  return names;
}

std::vector<double> numbers_in(const std::string& path, const std::string& first_word = "") {
  std::ifstream file(path);
  std::string line, word;
  std::getline(file, line);
  std::istringstream words(line);
  if (!first_word.empty()) words >> word;
  std::vector<double> numbers;
  for (double number; words >> number;) numbers.push_back(number);
  return numbers;
}

std::optional<int64_t> whole_in(const std::string& path) {
  std::ifstream file(path);
  int64_t value = 0;
  return file >> value ? std::optional<int64_t>(value) : std::nullopt;
}

// Over all threads of this process, the second number of schedstat, nanoseconds.
std::optional<double> waited_s(const std::string& root) {
  std::optional<double> waited;
  const std::string tasks = root + "/proc/self/task/";
  for (const std::string& task : entries(tasks)) {
    const std::vector<double> numbers = numbers_in(tasks + task + "/schedstat");
    if (numbers.size() >= 2) waited = waited.value_or(0) + numbers[1] / 1e9;
  }
  return waited;
}

std::optional<int64_t> throttle_events(const std::string& root) {
  std::optional<int64_t> events;
  const std::string cpus = root + "/sys/devices/system/cpu/";
  for (const std::string& cpu : entries(cpus)) {
    if (cpu.rfind("cpu", 0) != 0) continue;
    for (const char* kind : {"core_throttle_count", "package_throttle_count"}) {
      const std::optional<int64_t> count = whole_in(cpus + cpu + "/thermal_throttle/" + kind);
      if (count) events = events.value_or(0) + *count;
    }
  }
  return events;
}

std::optional<double> difference(const std::optional<double>& before, const std::optional<double>& after) {
  return before && after ? std::optional<double>(std::max(0.0, *after - *before)) : std::nullopt;
}

std::string percent(double share) {
  char text[32];
  std::snprintf(text, sizeof text, "%.0f %%", 100 * share);
  return text;
}

std::string load_on_cores(const Machine& machine) {
  char text[96];
  const auto cores = static_cast<long long>(*machine.logical_cores);
  std::snprintf(text, sizeof text, "load average %.3g on %lld core%s", *machine.load_average, cores,
                cores == 1 ? "" : "s");
  return text;
}

std::string busy(const Seen& seen, bool own) {
  const Machine& machine = seen.machine;
  const bool load = machine.load_average && machine.logical_cores;
  const Conditions& met = seen.conditions;
  std::string signs;
  const auto add = [&](const std::string& sign) { signs += (signs.empty() ? "" : "; ") + sign; };
  if (met.waited && *met.waited > most_waited && !own) {
    add("the timed runs waited " + percent(*met.waited) + " of the time for a core" +
        (load ? " (" + load_on_cores(machine) + ")" : ""));
  }
  if (!met.waited && load && *machine.load_average > most_load_per_core * static_cast<double>(*machine.logical_cores)) {
    add(load_on_cores(machine));
  }
  if (met.stolen && *met.stolen > most_stolen) {
    add("the host took " + percent(*met.stolen) + " of the CPU time for others");
  }
  if (seen.spread && *seen.spread > most_spread && !own) {
    add("the middle half of the rounds spans " + percent(*seen.spread) + " of the median time");
  }
  return signs.empty() ? "" : "busy machine: " + signs;
}

}  // namespace

Counters counters_now(const std::string& root) {
  Counters now;
  now.clock = std::chrono::steady_clock::now();
  now.waited_s = waited_s(root);
  const std::vector<double> ticks = numbers_in(root + "/proc/stat", "cpu");
  if (ticks.size() >= of_all) {
    now.stolen_ticks = ticks[steal];
    now.all_ticks = 0;
    for (size_t i = 0; i < of_all; ++i) *now.all_ticks += ticks[i];
  }
  now.throttled = throttle_events(root);
  const std::string zones = root + "/sys/class/powercap/";
  for (const std::string& zone : entries(zones)) {
    // packages only: intel-rapl:0, not its parts intel-rapl:0:0
    if (zone.rfind("intel-rapl:", 0) != 0 || std::count(zone.begin(), zone.end(), ':') != 1) continue;
    if (const auto energy = whole_in(zones + zone + "/energy_uj")) now.energy_uj[zone] = *energy;
    if (const auto most = whole_in(zones + zone + "/max_energy_range_uj")) now.range_uj[zone] = *most;
  }
  return now;
}

Conditions between(const Counters& before, const Counters& after, int32_t threads) {
  Conditions found;
  found.seconds = std::chrono::duration<double>(after.clock - before.clock).count();
  const std::optional<double> waited = difference(before.waited_s, after.waited_s);
  if (waited && found.seconds > 0) found.waited = std::min(1.0, *waited / found.seconds / threads);
  const std::optional<double> stolen = difference(before.stolen_ticks, after.stolen_ticks);
  const std::optional<double> all = difference(before.all_ticks, after.all_ticks);
  if (stolen && all && *all > 0) found.stolen = *stolen / *all;
  if (before.throttled && after.throttled) {
    found.throttled = std::max<int64_t>(0, *after.throttled - *before.throttled);
  }
  for (const auto& [zone, energy] : before.energy_uj) {
    const auto later = after.energy_uj.find(zone);
    if (later == after.energy_uj.end()) continue;
    int64_t used = later->second - energy;
    const auto range = before.range_uj.find(zone);
    if (used < 0 && range != before.range_uj.end()) used += range->second;
    found.energy_j = found.energy_j.value_or(0) + static_cast<double>(used) / 1e6;
  }
  return found;
}

std::optional<double> round_spread(const std::vector<double>& times, size_t block) {
  std::vector<double> medians;
  for (size_t first = 0; first + block <= times.size(); first += block) {
    const auto from = times.begin() + static_cast<std::ptrdiff_t>(first);
    medians.push_back(median({from, from + static_cast<std::ptrdiff_t>(block)}));
  }
  if (medians.size() < 4) return std::nullopt;
  std::sort(medians.begin(), medians.end());
  const double middle = interpolated(medians, 0.5);
  if (!(middle > 0)) return std::nullopt;
  return (interpolated(medians, 0.75) - interpolated(medians, 0.25)) / middle;
}

std::vector<std::string> doubts(const Seen& seen) {
  std::vector<std::string> lines;
  char text[160];
  const bool own = seen.threads > std::ceil(seen.usable_cores);
  if (own) {
    std::snprintf(text, sizeof text, "%d threads on %g usable core%s: they wait for each other", seen.threads,
                  seen.usable_cores, seen.usable_cores == 1 ? "" : "s");
    lines.emplace_back(text);
  }
  if (std::string line = busy(seen, own); !line.empty()) lines.push_back(std::move(line));
  if (seen.machine.governor && *seen.machine.governor != "performance") {
    lines.push_back("governor " + *seen.machine.governor +
                    ": clocks follow the load; set `performance` for repeatable times");
  }
  if (seen.conditions.throttled.value_or(0) > 0) {
    lines.push_back("throttled: the CPU counted " + std::to_string(*seen.conditions.throttled) +
                    " events of thermal throttling during the timed runs");
  }
  if (seen.clock_before && seen.clock_after && *seen.clock_after < least_clock * *seen.clock_before) {
    std::snprintf(text, sizeof text, "the clock fell from %.0f to %.0f MHz during the timed runs", *seen.clock_before,
                  *seen.clock_after);
    lines.emplace_back(text);
  }
  if (seen.heat_after && *seen.heat_after >= hot_c) {
    std::snprintf(text, sizeof text, "hot: %.0f °C after the timed runs; clocks may fall", *seen.heat_after);
    lines.emplace_back(text);
  }
  return lines;
}

}  // namespace edgetl
