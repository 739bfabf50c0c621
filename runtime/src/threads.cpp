#include "threads.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace edgetl {
namespace {

constexpr size_t max_text_bytes = 65536;
constexpr int max_cpus = 65536;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::string read_text(const std::string& path) {
  const std::unique_ptr<std::FILE, CloseFile> file(std::fopen(path.c_str(), "re"));
  if (file == nullptr) return {};
  std::string text(max_text_bytes, '\0');
  text.resize(std::fread(text.data(), 1, text.size(), file.get()));
  return text;
}

// The number at `text`, with `text` moved behind it; negative when there is none.
double number(const char*& text) {
  char* end = nullptr;
  const double value = std::strtod(text, &end);
  const bool found = end != text && std::isfinite(value);
  text = end;
  return found ? value : -1;
}

double cpus_of(double quota, double period) { return quota > 0 && period > 0 ? quota / period : HUGE_VAL; }

double quota_v2(const std::string& folder) {
  const std::string line = read_text(folder + "/cpu.max");  // "max 100000" or "150000 100000"
  const char* text = line.c_str();
  const double quota = number(text);
  return quota > 0 ? cpus_of(quota, number(text)) : HUGE_VAL;
}

double quota_v1(const std::string& folder) {
  const std::string quota = read_text(folder + "/cpu.cfs_quota_us");
  const std::string period = read_text(folder + "/cpu.cfs_period_us");
  const char* quota_text = quota.c_str();
  const char* period_text = period.c_str();
  return cpus_of(number(quota_text), number(period_text));
}

// The tightest quota from the group up to the mount. In a container the group may be a folder of the host that is not
// mounted here; the mount itself is.
double tightest(const std::string& mount, std::string group, double (*quota_of)(const std::string&)) {
  double found = quota_of(mount);
  while (!group.empty() && group != "/") {
    found = std::min(found, quota_of(mount + group));
    group.resize(std::min(group.size(), group.rfind('/')));
  }
  return found;
}

bool lists_cpu(const std::string& controllers) { return ("," + controllers + ",").find(",cpu,") != std::string::npos; }

// One line of /proc/self/cgroup: "0::/group" (v2) or "4:cpu,cpuacct:/group" (v1).
double quota_of_line(const std::string& line, const std::string& root) {
  const size_t first = line.find(':');
  const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
  if (second == std::string::npos) return HUGE_VAL;
  const std::string controllers = line.substr(first + 1, second - first - 1);
  const std::string group = line.substr(second + 1);
  if (controllers.empty()) return tightest(root + "/sys/fs/cgroup", group, quota_v2);
  return lists_cpu(controllers) ? tightest(root + "/sys/fs/cgroup/cpu", group, quota_v1) : HUGE_VAL;
}

double cgroup_cpus(const std::string& root) {
  const std::string text = read_text(root + "/proc/self/cgroup");
  double found = HUGE_VAL;
  for (size_t start = 0; start < text.size();) {
    const size_t end = std::min(text.find('\n', start), text.size());
    found = std::min(found, quota_of_line(text.substr(start, end - start), root));
    start = end + 1;
  }
  return found;
}

struct FreeCpuSet {
  void operator()(cpu_set_t* set) const { CPU_FREE(set); }
};

int affinity_cpus() {
  for (int cpus = CPU_SETSIZE; cpus <= max_cpus; cpus *= 2) {  // too small a set is refused by the kernel
    const std::unique_ptr<cpu_set_t, FreeCpuSet> set(CPU_ALLOC(static_cast<size_t>(cpus)));
    const size_t bytes = CPU_ALLOC_SIZE(static_cast<size_t>(cpus));
    if (set != nullptr && sched_getaffinity(0, bytes, set.get()) == 0) return CPU_COUNT_S(bytes, set.get());
  }
  return 1;
}

}  // namespace

int usable_threads() { return usable_threads(affinity_cpus(), ""); }

int usable_threads(int cpus, const std::string& root) {
  const double quota = std::ceil(cgroup_cpus(root));
  return std::max(1, quota < cpus ? static_cast<int>(quota) : cpus);
}

}  // namespace edgetl
