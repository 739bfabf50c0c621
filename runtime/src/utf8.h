// UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once

#include <cstddef>
#include <cstdint>

namespace edgetl {

// Bytes of the sequence at the start of `text` (1 .. 4); 0 when it is not one, or is cut off by `bytes`.
inline size_t utf8_sequence(const uint8_t* text, size_t bytes) {
  if (bytes == 0) return 0;
  const uint8_t lead = text[0];
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || length > bytes) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((text[i] & 0xC0) != 0x80) return 0;
  }
  const uint8_t second = text[1];
  const bool overlong = (lead == 0xE0 && second < 0xA0) || (lead == 0xF0 && second < 0x90);
  const bool surrogate = lead == 0xED && second >= 0xA0;
  const bool too_high = lead == 0xF4 && second >= 0x90;
  return overlong || surrogate || too_high ? 0 : length;
}

// Code points of valid UTF-8.
inline size_t utf8_length(const char* text, size_t bytes) {
  size_t points = 0;
  for (size_t i = 0; i < bytes; ++i) points += (static_cast<uint8_t>(text[i]) & 0xC0) != 0x80;
  return points;
}

// Whether valid UTF-8 holds nothing that ends a line or steers a terminal: C0, DEL, C1, U+2028, U+2029. edgetl/text.py
// has the same rule.
inline bool is_plain(const char* characters, size_t bytes) {
  const auto* text = reinterpret_cast<const uint8_t*>(characters);
  for (size_t i = 0; i < bytes; i += utf8_sequence(text + i, bytes - i)) {
    if (text[i] < 0x20 || text[i] == 0x7F) return false;
    if (text[i] == 0xC2 && text[i + 1] < 0xA0) return false;
    if (text[i] == 0xE2 && text[i + 1] == 0x80 && (text[i + 2] | 1) == 0xA9) return false;
  }
  return true;
}

}  // namespace edgetl
