// How functions of the runtime report failure: a status, and one line in the caller's edgetl_error.
#pragma once

#include <cstddef>
#include <new>
#include <stdexcept>

#include "edgetl/runtime.h"

namespace edgetl {

// Names of files and texts of bundles come from outside: none may move a terminal's cursor. In place.
void make_printable(char* text, size_t bytes);

// Writes the line (cut at 511 bytes, control characters replaced) and returns `status`. `error` may be null.
[[gnu::format(printf, 3, 4)]] edgetl_status fail(edgetl_error* error, edgetl_status status, const char* format, ...);

// Clears `error` and returns EDGETL_OK.
edgetl_status succeed(edgetl_error* error);

// What `work` returns. Strings and containers throw where memory ends, and nothing may leave a C function.
template <typename Work>
edgetl_status without_throwing(edgetl_error* error, const Work& work) {
  constexpr const char* said = "no memory to open the bundle; free some, or raise the limit of the process";
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "%s", said);
  } catch (const std::length_error&) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "%s", said);
  }
}

}  // namespace edgetl
