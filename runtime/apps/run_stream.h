// edgetl-run --stream: recordings of sound or sensors of any length, or stdin, through a stream of the library.
#pragma once

#include <cstddef>

#include "arguments.h"
#include "edgetl/audio.h"

namespace edgetl {

// Prints a line, or with --json an object in one line, for each detection, or with --hops for each window, with the `top`
// most probable classes. The exit code.
int run_stream(const Program& program, const Arguments& arguments, edgetl_model* model, size_t top);

}  // namespace edgetl
