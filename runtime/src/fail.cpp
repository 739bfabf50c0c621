#include "fail.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "utf8.h"

namespace edgetl {
namespace {

// Where a sequence of `bytes` bytes that was cut off must end to hold whole characters only.
size_t whole_characters(const uint8_t* text, size_t bytes) {
  for (size_t back = 1; back <= 4 && back <= bytes; ++back) {
    const uint8_t byte = text[bytes - back];
    if ((byte & 0xC0) == 0x80) continue;
    return utf8_sequence(text + bytes - back, back) == 0 ? bytes - back : bytes;
  }
  return bytes;
}

bool is_control(const uint8_t* sequence, size_t length) {
  if (length == 1) return sequence[0] < 0x20 || sequence[0] == 0x7F;
  if (length == 3) return sequence[0] == 0xE2 && sequence[1] == 0x80 && (sequence[2] | 1) == 0xA9;  // ends a line
  return length == 2 && sequence[0] == 0xC2 && sequence[1] < 0xA0;
}

}  // namespace

void make_printable(char* characters, size_t bytes) {
  auto* text = reinterpret_cast<uint8_t*>(characters);
  for (size_t i = 0; i < bytes;) {
    const size_t length = utf8_sequence(text + i, bytes - i);
    const size_t step = length == 0 ? 1 : length;
    const bool breaks = text[i] == '\n' || text[i] == '\r' || text[i] == '\t';  // engines answer in several lines
    if (length == 0 || is_control(text + i, length)) std::memset(text + i, breaks ? ' ' : '?', step);
    i += step;
  }
}

edgetl_status fail(edgetl_error* error, edgetl_status status, const char* format, ...) {
  if (error == nullptr) return status;
  // not into error->message at once: the arguments may point there
  char line[sizeof error->message];
  va_list arguments;
  va_start(arguments, format);
  const int wanted = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  size_t bytes = wanted < 0 ? 0 : static_cast<size_t>(wanted);
  if (bytes >= sizeof line) bytes = whole_characters(reinterpret_cast<uint8_t*>(line), sizeof line - 1);
  make_printable(line, bytes);
  std::memcpy(error->message, line, bytes);
  error->message[bytes] = '\0';
  error->status = status;
  return status;
}

edgetl_status null_argument(edgetl_error* error, const char* what) {
  return fail(error, EDGETL_INVALID_ARGUMENT, "expected %s; found NULL", what);
}

edgetl_status succeed(edgetl_error* error) {
  if (error != nullptr) {
    error->status = EDGETL_OK;
    error->message[0] = '\0';
  }
  return EDGETL_OK;
}

}  // namespace edgetl
