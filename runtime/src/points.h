// Texts as code points.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "utf8.h"

namespace edgetl {

using Points = std::u32string;

// A step of a hostile tokenizer that makes a text longer than this is refused.
constexpr size_t most_points = size_t{1} << 24;

// Of valid UTF-8, at the start of `text`: `bytes` is its utf8_sequence.
inline char32_t utf8_point(const uint8_t* text, size_t bytes) {
  constexpr uint8_t lead_bits[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
  char32_t point = text[0] & lead_bits[bytes];
  for (size_t i = 1; i < bytes; ++i) point = point << 6 | (text[i] & 0x3F);
  return point;
}

// False if the bytes are not UTF-8; `good` then is where.
inline bool decode_utf8(const uint8_t* text, size_t bytes, Points& points, size_t& good) {
  points.clear();
  for (good = 0; good < bytes;) {
    const size_t length = utf8_sequence(text + good, bytes - good);
    if (length == 0) return false;
    points.push_back(utf8_point(text + good, length));
    good += length;
  }
  return true;
}

// Into `bytes`; returns their number.
inline size_t encode_utf8(char32_t point, uint8_t (&bytes)[4]) {
  const auto tail = [&](unsigned shift) { return static_cast<uint8_t>(0x80 | (point >> shift & 0x3F)); };
  if (point < 0x80) {
    bytes[0] = static_cast<uint8_t>(point);
    return 1;
  }
  if (point < 0x800) {
    bytes[0] = static_cast<uint8_t>(0xC0 | point >> 6);
    bytes[1] = tail(0);
    return 2;
  }
  if (point < 0x10000) {
    bytes[0] = static_cast<uint8_t>(0xE0 | point >> 12);
    bytes[1] = tail(6);
    bytes[2] = tail(0);
    return 3;
  }
  bytes[0] = static_cast<uint8_t>(0xF0 | point >> 18);
  bytes[1] = tail(12);
  bytes[2] = tail(6);
  bytes[3] = tail(0);
  return 4;
}

}  // namespace edgetl
