// The edge between containers, which throw where memory ends, and the C functions, which must not.
#pragma once

#include <new>
#include <stdexcept>

#include "fail.h"

namespace edgetl {

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
