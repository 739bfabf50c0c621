#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "machine.h"
#include "tools/root.h"

TEST_CASE("what cannot be read is absent") {
  const Root root;
  const edgetl::Machine machine = edgetl::describe_machine(root.path());
  CHECK_FALSE(machine.cpu);
  CHECK_FALSE(machine.governor);
  CHECK_FALSE(machine.clock_mhz);
  CHECK_FALSE(machine.load_average);
  CHECK_FALSE(machine.memory_bytes);
  CHECK(machine.instruction_sets.empty());
  CHECK_FALSE(machine.architecture.empty());
  CHECK_FALSE(edgetl::temperature_c(root.path()));
}

TEST_CASE("CPU, clocks, governor, memory and load are read") {
  const Root root;
  root.put("proc/cpuinfo", "model name\t: Example(R) CPU 9000\ncpu MHz\t\t: 2400.5\nflags\t\t: fpu avx2 avx512_vnni\n");
  root.put("proc/loadavg", "0.50 0.20 0.10 1/100 42\n");
  root.put("proc/meminfo", "MemTotal:        2048 kB\nMemFree: 1 kB\n");
  root.put("etc/os-release", "NAME=x\nPRETTY_NAME=\"Example Linux 1\"\n");
  root.put("sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "performance\n");
  root.put("sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3500000\n");
  const edgetl::Machine machine = edgetl::describe_machine(root.path());
  CHECK(machine.cpu == "Example(R) CPU 9000");
  CHECK(machine.clock_mhz == 2400.5);
  CHECK(machine.clock_max_mhz == 3500.0);
  CHECK_FALSE(machine.clock_min_mhz);
  CHECK(machine.governor == "performance");
  CHECK(machine.memory_bytes == 2048 * 1024);
  CHECK(machine.load_average == 0.5);
  CHECK(machine.system.find("Example Linux 1, ") == 0);
  CHECK(machine.instruction_sets == std::vector<std::string>{"avx2", "vnni"});
}

TEST_CASE("a board without a model name is known by its device tree") {
  const Root root;
  root.put("proc/cpuinfo", "processor\t: 0\nFeatures\t: fp asimd asimddp i8mm\n");
  root.put("proc/device-tree/model", std::string("Raspberry Pi 5 Model B\0", 23));
  const edgetl::Machine machine = edgetl::describe_machine(root.path());
  CHECK(machine.cpu == "Raspberry Pi 5 Model B");
  CHECK(machine.instruction_sets == std::vector<std::string>{"neon", "dotprod", "i8mm"});
}

TEST_CASE("INT8 saturates only without VNNI, and only for a target that has it") {
  edgetl::Machine here;
  here.architecture = "x86_64";
  here.instruction_sets = {"avx2"};
  CHECK(edgetl::saturates(here, "x86_64", {"vnni", "avx_vnni"}));
  CHECK_FALSE(edgetl::saturates(here, "x86_64", {}));
  CHECK_FALSE(edgetl::saturates(here, "aarch64", {"vnni"}));
  here.instruction_sets = {"avx2", "avx_vnni"};
  CHECK_FALSE(edgetl::saturates(here, "x86_64", {"vnni", "avx_vnni"}));
}

TEST_CASE("the hottest thermal zone is told, those that are off are not") {
  const Root root;
  root.put("sys/class/thermal/thermal_zone0/temp", "41500\n");
  root.put("sys/class/thermal/thermal_zone1/temp", "62000\n");
  root.put("sys/class/thermal/thermal_zone2/temp", "-274000\n");
  root.put("sys/class/thermal/cooling_device0/temp", "99000\n");
  CHECK(edgetl::temperature_c(root.path()) == 62.0);
}

TEST_CASE("this process has used memory") {
  edgetl::reset_peak_rss();
  CHECK(edgetl::peak_rss_bytes() > 0);
}
