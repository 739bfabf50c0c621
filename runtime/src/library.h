// A shared library that is loaded when a bundle needs it, never linked.
#pragma once

#include <cstddef>
#include <string>

#include "edgetl/runtime.h"

namespace edgetl {

// Lets go of the library when it ends. The code stays mapped: engines leave threads and thread-local destructors behind.
class Library {
 public:
  Library() = default;
  ~Library();
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  // Loads `path`; when that is null the path in EDGETL_ENGINE_LIBRARY; when that is not set the first of `names` that
  // can be loaded. EDGETL_ENGINE_MISSING lists what was tried.
  edgetl_status open(const char* engine, const char* path, const char* const* names, size_t count, edgetl_error* error);

  // One name or path. False, and what the loader said in `why`, when it cannot be loaded.
  bool load(const char* name, std::string& why);

  // False, and `function` null, when the library has no such symbol.
  template <typename Function>
  bool find(const char* symbol, Function*& function) const {
    function = reinterpret_cast<Function*>(address(symbol));
    return function != nullptr;
  }

 private:
  void* address(const char* symbol) const;
  void* handle_ = nullptr;
};

}  // namespace edgetl
