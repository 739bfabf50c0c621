#include "library.h"

#include <dlfcn.h>
#include <stdlib.h>

#include "fail.h"

namespace edgetl {
namespace {

constexpr const char* variable = "EDGETL_ENGINE_LIBRARY";

const char* from_environment() {
  const char* path = secure_getenv(variable);
  return path != nullptr && path[0] != '\0' ? path : nullptr;
}

}  // namespace

Library::~Library() {
  if (handle_ != nullptr) dlclose(handle_);
}

edgetl_status Library::open(const char* engine, const char* path, const char* const* names, size_t count,
                            edgetl_error* error) {
  const char* chosen = path != nullptr ? path : from_environment();
  if (chosen != nullptr) {
    names = &chosen;
    count = 1;
  }
  std::string tried;
  for (size_t index = 0; index < count; ++index) {
    std::string why;
    if (load(names[index], why)) return succeed(error);
    tried += (index > 0 ? "; " : "") + why;
  }
  return fail(error, EDGETL_ENGINE_MISSING,
              "expected the shared library of %s; set %s or options.engine_library to its path; tried: %s", engine,
              variable, tried.c_str());
}

bool Library::load(const char* name, std::string& why) {
  handle_ = dlopen(name, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle_ != nullptr) return true;
  const char* said = dlerror();
  why = said != nullptr ? said : std::string(name) + ": cannot be loaded";
  return false;
}

void* Library::address(const char* symbol) const { return handle_ != nullptr ? dlsym(handle_, symbol) : nullptr; }

}  // namespace edgetl
