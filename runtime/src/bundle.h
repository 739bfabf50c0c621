// A bundle whose files were found complete and unchanged, all of its bytes in memory (read once, digested, then used:
// what was checked is what runs).
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "edgetl/runtime.h"
#include "manifest.h"

namespace edgetl {

struct Bytes {  // not owned
  const uint8_t* data = nullptr;
  size_t size = 0;
};

class Bundle {
 public:
  Bundle();
  ~Bundle();
  Bundle(const Bundle&) = delete;
  Bundle& operator=(const Bundle&) = delete;

  // `options` may be null; see edgetl_open for what is checked.
  edgetl_status read_folder(const char* folder, const edgetl_options* options, edgetl_error* error);
  edgetl_status read_files(const edgetl_file* files, size_t count, const edgetl_options* options, edgetl_error* error);

  const Manifest& manifest() const { return manifest_; }
  const std::string& where() const { return where_; }  // the folder, or "embedded bundle <name>"
  const char* digest() const { return digest_; }       // SHA-256 of manifest.json, hexadecimal
  Bytes file(const std::string& name) const;           // {} when there is none
  void release(const std::string& name);               // give back the memory of a file that is not needed any more

 private:
  struct Storage;
  edgetl_status check_files(const std::set<std::string>& present, const edgetl_options* options, edgetl_error* error);
  edgetl_status check_contents(edgetl_error* error) const;
  Manifest manifest_;
  std::string where_;
  char digest_[65] = "";
  std::unique_ptr<Storage> storage_;
};

}  // namespace edgetl
