#include <doctest/doctest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "conditions.h"
#include "tools/root.h"

namespace {

edgetl::Seen quiet() {
  edgetl::Seen seen{};
  seen.machine.logical_cores = 2;
  seen.machine.load_average = 0.3;
  seen.usable_cores = 2;
  seen.threads = 1;
  seen.conditions.waited = 0.0;
  return seen;
}

}  // namespace

TEST_CASE("what cannot be read is absent") {
  const Root root;
  const edgetl::Counters now = edgetl::counters_now(root.path());
  const edgetl::Conditions found = edgetl::between(now, now, 1);
  CHECK_FALSE(found.waited);
  CHECK_FALSE(found.stolen);
  CHECK_FALSE(found.throttled);
  CHECK_FALSE(found.energy_j);
}

TEST_CASE("waiting, steal, throttling and energy are those between two moments") {
  const Root root;
  root.put("proc/self/task/7/schedstat", "100 1000000000 5\n");
  root.put("proc/stat", "cpu  10 0 0 80 0 0 0 10 0 0\ncpu0 1 2 3\n");
  root.put("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "1\n");
  root.put("sys/devices/system/cpu/cpu1/thermal_throttle/package_throttle_count", "2\n");
  root.put("sys/class/powercap/intel-rapl:0/energy_uj", "5000000\n");
  root.put("sys/class/powercap/intel-rapl:0/max_energy_range_uj", "10000000\n");
  root.put("sys/class/powercap/intel-rapl:0:0/energy_uj", "7\n");
  const edgetl::Counters before = edgetl::counters_now(root.path());
  root.put("proc/self/task/7/schedstat", "100 3000000000 5\n");
  root.put("proc/stat", "cpu  60 0 0 110 0 0 0 30 0 0\n");
  root.put("sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count", "11\n");
  root.put("sys/class/powercap/intel-rapl:0/energy_uj", "1000000\n");  // it started again from 0
  edgetl::Counters after = edgetl::counters_now(root.path());
  after.clock = before.clock + std::chrono::seconds(10);
  const edgetl::Conditions found = edgetl::between(before, after, 2);
  CHECK(found.seconds == doctest::Approx(10));
  CHECK(found.waited == doctest::Approx(0.1));
  CHECK(found.stolen == doctest::Approx(0.2));
  CHECK(found.throttled == 10);
  CHECK(found.energy_j == doctest::Approx(6));
}

TEST_CASE("the spread of rounds is that of the Python side") {
  std::vector<double> times;
  for (size_t i = 0; i < 100; ++i) times.push_back(static_cast<double>(1000 + i * 7919 % 101 + i / 10 * 37 % 50 * 10));
  CHECK(edgetl::round_spread(times, 10).value() == doctest::Approx(0.16930970149253732));
  CHECK_FALSE(edgetl::round_spread({times.begin(), times.begin() + 39}, 10));
}

TEST_CASE("a quiet machine is not doubted") { CHECK(edgetl::doubts(quiet()).empty()); }

TEST_CASE("each reason to doubt times is one line, in the words of the Python side") {
  const auto only = [](const edgetl::Seen& seen) {
    const std::vector<std::string> lines = edgetl::doubts(seen);
    REQUIRE(lines.size() == 1);
    return lines[0];
  };
  edgetl::Seen seen = quiet();
  seen.conditions.waited = 0.2;
  CHECK(only(seen) == "busy machine: the timed runs waited 20 % of the time for a core (load average 0.3 on 2 cores)");
  seen = quiet();
  seen.conditions.stolen = 0.5;
  seen.spread = 0.25;
  CHECK(only(seen) ==
        "busy machine: the host took 50 % of the CPU time for others; the middle half of the rounds spans 25 % of the "
        "median time");
  seen = quiet();
  seen.machine.governor = "powersave";
  CHECK(only(seen) == "governor powersave: clocks follow the load; set `performance` for repeatable times");
  seen = quiet();
  seen.conditions.throttled = 3;
  CHECK(only(seen) == "throttled: the CPU counted 3 events of thermal throttling during the timed runs");
  seen = quiet();
  seen.clock_before = 3000;
  seen.clock_after = 2600;
  CHECK(only(seen) == "the clock fell from 3000 to 2600 MHz during the timed runs");
  seen = quiet();
  seen.heat_after = 95;
  CHECK(only(seen) == "hot: 95 °C after the timed runs; clocks may fall");
  seen = quiet();
  seen.threads = 4;
  seen.conditions.waited = 0.5;  // their own doing
  CHECK(only(seen) == "4 threads on 2 usable cores: they wait for each other");
}
