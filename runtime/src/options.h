// Structures that begin with their size, so that a caller may have been compiled with another version of them.
#pragma once

#include <cstddef>

#include "edgetl/runtime.h"

namespace edgetl {

// Copies the first bytes of `theirs` that both versions have over `ours`. Bytes after those this version knows must be
// zero: otherwise the caller requests something that would be ignored.
edgetl_status take_bytes(const void* theirs, size_t their_size, void* ours, size_t our_size, const char* name,
                         const char* type, edgetl_error* error);

// name  of the argument, and `type` of the structure, for messages
template <typename Struct>
edgetl_status take_struct(const Struct* theirs, Struct& ours, const char* name, const char* type, edgetl_error* error) {
  const edgetl_status status = take_bytes(theirs, theirs->struct_size, &ours, sizeof ours, name, type, error);
  ours.struct_size = sizeof ours;
  return status;
}

}  // namespace edgetl
