#include "json_writer.h"

#include <cmath>
#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace edgetl {
namespace {

// Bytes of the UTF-8 sequence at `at`; 0 when there is none (overlong forms and surrogates are none).
size_t sequence_length(const std::string& text, size_t at) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned lead = byte(at);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                        : (lead & 0xF0) == 0xE0       ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(at + i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(at + 1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second >= 0xA0)) return 0;
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second >= 0x90)) return 0;
  return length;
}

std::string escaped(char c) {
  switch (c) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    case '\t': return "\\t";
    case '\b': return "\\b";
    case '\f': return "\\f";
    default: break;
  }
  if (static_cast<unsigned char>(c) >= 0x20) return std::string(1, c);
  char code[8];
  std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(static_cast<unsigned char>(c)));
  return code;
}

}  // namespace

JsonWriter& JsonWriter::open(char bracket) {
  begin_value();
  out_ += bracket;
  closing_.push_back(bracket == '{' ? '}' : ']');
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::close() {
  const char bracket = closing_.back();
  closing_.pop_back();
  if (!first_) line();
  out_ += bracket;
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::key(const char* name) {
  text(name);
  out_ += ": ";
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::text(const std::string& value) {
  begin_value();
  out_ += '"';
  for (size_t at = 0; at < value.size();) {
    const size_t length = sequence_length(value, at);
    if (length == 1) {
      out_ += escaped(value[at]);
    } else if (length == 0) {
      out_ += "\xEF\xBF\xBD";
    } else {
      out_.append(value, at, length);
    }
    at += length == 0 ? 1 : length;
  }
  out_ += '"';
  return *this;
}

JsonWriter& JsonWriter::number(double value) {
  if (!std::isfinite(value)) return null();
  begin_value();
  char digits[32];
  for (int precision = 15; precision <= 17; ++precision) {
    std::snprintf(digits, sizeof digits, "%.*g", precision, value);
    if (std::strtod(digits, nullptr) == value) break;
  }
  out_ += digits;
  return *this;
}

JsonWriter& JsonWriter::number(float value) {
  if (!std::isfinite(value)) return null();
  begin_value();
  char digits[32];
  std::snprintf(digits, sizeof digits, "%.9g", static_cast<double>(value));
  out_ += digits;
  return *this;
}

JsonWriter& JsonWriter::whole(int64_t value) {
  begin_value();
  out_ += std::to_string(value);
  return *this;
}

JsonWriter& JsonWriter::boolean(bool value) {
  begin_value();
  out_ += value ? "true" : "false";
  return *this;
}

JsonWriter& JsonWriter::null() {
  begin_value();
  out_ += "null";
  return *this;
}

void JsonWriter::begin_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (closing_.empty()) return;
  if (!first_) out_ += ',';
  if (!first_ && layout_ == Layout::one_line) out_ += ' ';
  first_ = false;
  line();
}

void JsonWriter::line() {
  if (layout_ == Layout::one_line) return;
  out_ += '\n';
  out_.append(closing_.size(), ' ');
}

}  // namespace edgetl
