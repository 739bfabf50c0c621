// Whole files of users: pictures and recordings.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "edgetl/runtime.h"

namespace edgetl {

struct Content {
  std::unique_ptr<uint8_t[]> data;
  size_t bytes = 0;
};

// A regular file of at most 1,000,000,000 bytes. EDGETL_INVALID_ARGUMENT with one line otherwise.
// what  it should be: "an image"
edgetl_status read_content(const char* path, const char* what, Content& content, edgetl_error* error);

// By its first bytes.
bool is_jpeg(const uint8_t* file, size_t bytes);
bool is_png(const uint8_t* file, size_t bytes);

// EDGETL_INVALID_ARGUMENT with one line for a picture where something else was expected.
// what  it should be: "a text"
edgetl_status refuse_picture(const Content& content, const char* name, const char* what, edgetl_error* error);

// The line: "<name>: not usable as <what>: <reason>; replace or remove it".
edgetl_status refuse_content(edgetl_error* error, edgetl_status status, const char* name, const char* what,
                             const char* reason);

}  // namespace edgetl
