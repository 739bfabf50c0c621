// A folder with made-up files, as a root file system to read machine facts from.
#pragma once

#include <doctest/doctest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

class Root {
 public:
  Root() {
    std::string place = (std::filesystem::temp_directory_path() / "edgetl-root-XXXXXX").string();
    REQUIRE(mkdtemp(place.data()) != nullptr);
    path_ = place;
  }
  ~Root() { std::filesystem::remove_all(path_); }
  Root(const Root&) = delete;
  Root& operator=(const Root&) = delete;

  void put(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(path_ + "/" + name).parent_path());
    std::ofstream(path_ + "/" + name, std::ios::binary) << text;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};
