// Time steps of sensor channels from a file of any length or from stdin, as they come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "edgetl/runtime.h"

namespace edgetl {

// Gives all time steps of `path` (- is stdin) to `take`, values (time steps, channels), as soon as they are read: lines of CSV or
// TSV, an .npy file, or with `raw` float32 values, little-endian, one time step after the other. Ends with the first status that is not
// EDGETL_OK; EDGETL_INVALID_ARGUMENT, in one line that names `path`, for other numbers of channels, for what is not a
// number, and for an end within a time step.
edgetl_status read_time_steps(const std::string& path, size_t channels, bool raw,
                              const std::function<edgetl_status(const float* values, size_t time_steps)>& take,
                              edgetl_error* error);

}  // namespace edgetl
