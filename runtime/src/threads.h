// How many threads this process may use.
#pragma once

#include <string>

namespace edgetl {

// The smaller of the CPU affinity and the cgroup (v1 or v2) quota rounded up; at least 1.
int usable_threads();

// The same with what it is made of: `cpus` of the affinity, and the file system that holds /proc and /sys ("" for /).
int usable_threads(int cpus, const std::string& root);

}  // namespace edgetl
