#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "threads.h"

using edgetl::usable_threads;

namespace {

// A folder that stands for the root of a file system.
class Root {
 public:
  Root() {
    std::string name = (std::filesystem::temp_directory_path() / "edgetl-root-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path_ = name;
  }
  ~Root() { std::filesystem::remove_all(path_); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  Root& with(const std::string& file, const std::string& content) {
    const std::filesystem::path place = std::filesystem::path(path_) / file;
    std::filesystem::create_directories(place.parent_path());
    std::ofstream(place) << content;
    return *this;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace

TEST_CASE("without control groups the affinity decides") {
  const Root root;
  CHECK(usable_threads(8, root.path()) == 8);
}

TEST_CASE("this process may use at least one thread") { CHECK(usable_threads() >= 1); }

TEST_CASE("a quota of version 2 is rounded up") {
  Root root;
  root.with("proc/self/cgroup", "0::/service\n").with("sys/fs/cgroup/service/cpu.max", "150000 100000\n");
  CHECK(usable_threads(8, root.path()) == 2);
}

TEST_CASE("a quota above the affinity changes nothing") {
  Root root;
  root.with("proc/self/cgroup", "0::/service\n").with("sys/fs/cgroup/service/cpu.max", "1600000 100000\n");
  CHECK(usable_threads(4, root.path()) == 4);
}

TEST_CASE("no quota is written as max") {
  Root root;
  root.with("proc/self/cgroup", "0::/\n").with("sys/fs/cgroup/cpu.max", "max 100000\n");
  CHECK(usable_threads(4, root.path()) == 4);
}

TEST_CASE("the tightest quota on the way up counts") {
  Root root;
  root.with("proc/self/cgroup", "0::/a/b\n");
  root.with("sys/fs/cgroup/a/b/cpu.max", "600000 100000\n").with("sys/fs/cgroup/a/cpu.max", "300000 100000\n");
  CHECK(usable_threads(8, root.path()) == 3);
}

TEST_CASE("in a container the group's folder is not mounted, the mount itself is read") {
  Root root;
  root.with("proc/self/cgroup", "0::/of/the/host\n").with("sys/fs/cgroup/cpu.max", "200000 100000\n");
  CHECK(usable_threads(8, root.path()) == 2);
}

TEST_CASE("a quota of version 1 is read from the cpu controller") {
  Root root;
  root.with("proc/self/cgroup", "5:memory:/x\n4:cpu,cpuacct:/box\n");
  root.with("sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "250000\n");
  root.with("sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
  CHECK(usable_threads(8, root.path()) == 3);
}

TEST_CASE("a quota of version 1 below zero is none") {
  Root root;
  root.with("proc/self/cgroup", "4:cpu:/\n").with("sys/fs/cgroup/cpu/cpu.cfs_quota_us", "-1\n");
  root.with("sys/fs/cgroup/cpu/cpu.cfs_period_us", "100000\n");
  CHECK(usable_threads(8, root.path()) == 8);
}

TEST_CASE("a tiny quota still gives one thread") {
  Root root;
  root.with("proc/self/cgroup", "0::/\n").with("sys/fs/cgroup/cpu.max", "1000 100000\n");
  CHECK(usable_threads(8, root.path()) == 1);
}

TEST_CASE("files that make no sense are no quota") {
  for (const char* line : {"", "banana", "nan nan", "100000", "100000 0", "-5 100000", "inf 1"}) {
    CAPTURE(line);
    Root root;
    root.with("proc/self/cgroup", "nonsense\n0::/\n::\n").with("sys/fs/cgroup/cpu.max", line);
    CHECK(usable_threads(8, root.path()) == 8);
  }
}
