// The files of a bundle's folder: regular files only, no link is followed below the folder, everything bounded.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>

#include "buffer.h"
#include "edgetl/runtime.h"

namespace edgetl {

struct FileContent {
  Buffer<uint8_t> data;
  size_t size = 0;
};

// Messages name the file as it is called from here: "steel-x86-cpu/model.onnx".
class Folder {
 public:
  Folder() = default;
  ~Folder();
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  edgetl_status open(const char* path, edgetl_error* error);

  // Names of all files below, with slashes. Links, devices and more files than a bundle has are refused.
  edgetl_status list(std::set<std::string>& names, edgetl_error* error) const;

  // Size of a file without reading it.
  edgetl_status size_of(const std::string& name, uint64_t& bytes, edgetl_error* error) const;

  // The whole file, which must have `bytes` bytes.
  edgetl_status read(const std::string& name, uint64_t bytes, FileContent& content, edgetl_error* error) const;

 private:
  std::string path_;
  int descriptor_ = -1;
};

// `path` counted from the folder of the running program's file; absolute ones as they are.
edgetl_status beside_program(const char* path, std::string& found, edgetl_error* error);

}  // namespace edgetl
