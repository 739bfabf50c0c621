#include "machine.h"

#include <dirent.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace edgetl {
namespace {

struct InstructionSet {
  const char* name;
  std::vector<const char*> flags;  // of /proc/cpuinfo, any of which shows it
};

const std::vector<InstructionSet>& known_instruction_sets() {
  static const std::vector<InstructionSet> known = {
      {"avx2", {"avx2"}},
      {"avx512", {"avx512f"}},
      {"vnni", {"avx512_vnni"}},
      {"avx_vnni", {"avx_vnni"}},
      {"bf16", {"avx512_bf16", "amx_bf16", "bf16"}},
      {"amx", {"amx_tile", "amx_int8"}},
      {"neon", {"asimd", "neon"}},
      {"dotprod", {"asimddp"}},
      {"i8mm", {"i8mm"}},
      {"sve", {"sve"}},
  };
  return known;
}

// Files of /proc and /sys tell no size; none of those read here is longer than this.
constexpr size_t max_text_bytes = 4'000'000;

std::string read_text(const std::string& path) {
  std::string text;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return text;
  char block[4096];
  for (size_t got; text.size() < max_text_bytes && (got = std::fread(block, 1, sizeof block, file)) > 0;) {
    text.append(block, got);
  }
  std::fclose(file);
  return text;
}

std::string stripped(const std::string& text) {
  const char* const blank = " \t\r\n";
  const std::string shown = text.substr(0, text.find('\0'));
  const size_t first = shown.find_first_not_of(blank);
  return first == std::string::npos ? "" : shown.substr(first, shown.find_last_not_of(blank) - first + 1);
}

std::optional<std::string> text_of(const std::string& path) {
  const std::string text = stripped(read_text(path));
  return text.empty() ? std::nullopt : std::optional<std::string>(text);
}

std::optional<double> number_in(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  return end == text.c_str() ? std::nullopt : std::optional<double>(value);
}

std::optional<double> mhz(const std::string& path) {
  const std::optional<double> khz = number_in(read_text(path));
  return khz ? std::optional<double>(*khz / 1000) : std::nullopt;
}

// The first line `name <separator> value` of a text.
std::optional<std::string> field(const std::string& text, const std::string& name, char separator) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const size_t at = line.find(separator);
    if (at == std::string::npos || stripped(line.substr(0, at)) != name) continue;
    const std::string value = stripped(line.substr(at + 1));
    return value.empty() ? std::nullopt : std::optional<std::string>(value);
  }
  return std::nullopt;
}

std::optional<std::string> cpu_name(const std::string& cpuinfo, const std::string& root) {
  // ARM kernels give no model name; a board's device tree does
  const std::optional<std::string> name = field(cpuinfo, "model name", ':');
  return name ? name : text_of(root + "/proc/device-tree/model");
}

std::string system_name(const utsname& kernel, const std::string& root) {
  std::string name = std::string(kernel.sysname) + " " + kernel.release;
  std::optional<std::string> pretty = field(read_text(root + "/etc/os-release"), "PRETTY_NAME", '=');
  if (!pretty) return name;
  if (pretty->size() >= 2 && pretty->front() == '"') pretty = pretty->substr(1, pretty->size() - 2);
  return *pretty + ", " + name;
}

std::optional<int64_t> memory_bytes(const std::string& root) {
  const std::optional<std::string> total = field(read_text(root + "/proc/meminfo"), "MemTotal", ':');
  const std::optional<double> kib = total ? number_in(*total) : std::nullopt;
  return kib ? std::optional<int64_t>(static_cast<int64_t>(*kib) * 1024) : std::nullopt;
}

}  // namespace

Machine describe_machine(const std::string& root) {
  const std::string cpuinfo = read_text(root + "/proc/cpuinfo");
  const std::string scaling = root + "/sys/devices/system/cpu/cpu0/cpufreq/";
  utsname kernel{};
  uname(&kernel);
  const long cores = sysconf(_SC_NPROCESSORS_ONLN);
  Machine machine;
  machine.cpu = cpu_name(cpuinfo, root);
  machine.architecture = kernel.machine;
  machine.instruction_sets = instruction_sets(cpuinfo);
  if (cores > 0) machine.logical_cores = cores;
  machine.governor = text_of(scaling + "scaling_governor");
  machine.clock_mhz = clock_mhz(root);
  machine.clock_min_mhz = mhz(scaling + "cpuinfo_min_freq");
  machine.clock_max_mhz = mhz(scaling + "cpuinfo_max_freq");
  machine.load_average = number_in(read_text(root + "/proc/loadavg"));
  machine.memory_bytes = memory_bytes(root);
  machine.system = system_name(kernel, root);
  return machine;
}

std::optional<double> clock_mhz(const std::string& root) {
  const std::optional<double> scaling = mhz(root + "/sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq");
  if (scaling) return scaling;
  const std::optional<std::string> told = field(read_text(root + "/proc/cpuinfo"), "cpu MHz", ':');
  return told ? number_in(*told) : std::nullopt;
}

std::optional<double> temperature_c(const std::string& root) {
  const std::string folder = root + "/sys/class/thermal/";
  DIR* zones = opendir(folder.c_str());
  if (zones == nullptr) return std::nullopt;
  std::optional<double> hottest;
  while (const dirent* entry = readdir(zones)) {
    std::string zone = entry->d_name;
    if (zone.rfind("thermal_zone", 0) != 0) continue;
    const std::optional<double> thousandths = number_in(read_text(zone.insert(0, folder) + "/temp"));
    // disabled zones report values like -274 degrees
    if (!thousandths || *thousandths <= -100'000 || *thousandths >= 200'000) continue;
    if (!hottest || *thousandths / 1000 > *hottest) hottest = *thousandths / 1000;
  }
  closedir(zones);
  return hottest;
}

std::vector<std::string> instruction_sets(const std::string& cpuinfo) {
  const std::optional<std::string> x86 = field(cpuinfo, "flags", ':');
  const std::string flags = " " + (x86 ? *x86 : field(cpuinfo, "Features", ':').value_or("")) + " ";
  std::vector<std::string> found;
  for (const InstructionSet& set : known_instruction_sets()) {
    for (const char* flag : set.flags) {
      if (flags.find(" " + std::string(flag) + " ") == std::string::npos) continue;
      found.emplace_back(set.name);
      break;
    }
  }
  return found;
}

bool saturates(const Machine& here, const std::string& machine, const std::vector<std::string>& cpu_with) {
  const auto has_vnni = [](const std::vector<std::string>& sets) {
    return std::any_of(sets.begin(), sets.end(),
                       [](const std::string& set) { return set == "vnni" || set == "avx_vnni"; });
  };
  return here.architecture == machine && has_vnni(cpu_with) && !has_vnni(here.instruction_sets);
}

void reset_peak_rss() {
  if (std::FILE* file = std::fopen("/proc/self/clear_refs", "w")) {
    std::fputs("5", file);
    std::fclose(file);
  }
}

int64_t peak_rss_bytes() {
  const std::optional<std::string> peak = field(read_text("/proc/self/status"), "VmHWM", ':');
  if (const std::optional<double> kib = peak ? number_in(*peak) : std::nullopt) {
    return static_cast<int64_t>(*kib) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<int64_t>(usage.ru_maxrss) * 1024;
}

}  // namespace edgetl
