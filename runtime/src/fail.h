// How functions of the runtime report failure: a status, and one line in the caller's edgetl_error.
#pragma once

#include <cstddef>

#include "edgetl/runtime.h"

namespace edgetl {

// Names of files and texts of bundles come from outside: none may move a terminal's cursor. In place.
void make_printable(char* text, size_t bytes);

// Writes the line (cut at 511 bytes, control characters replaced) and returns `status`. `error` may be null.
[[gnu::format(printf, 3, 4)]] edgetl_status fail(edgetl_error* error, edgetl_status status, const char* format, ...);

// EDGETL_INVALID_ARGUMENT. `what` was expected, as "an open model".
edgetl_status null_argument(edgetl_error* error, const char* what);

// Clears `error` and returns EDGETL_OK.
edgetl_status succeed(edgetl_error* error);

}  // namespace edgetl
