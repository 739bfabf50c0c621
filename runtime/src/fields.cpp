#include "fields.h"

#include <cstdio>

#include "fail.h"
#include "utf8.h"

namespace edgetl {

bool Reader::refuse(const std::string& expected, const std::string& found) {
  std::string place;
  for (const std::string& part : place_) place += (place.empty() ? "" : ".") + part;
  if (place.empty()) place = "the file";
  fail(error_, EDGETL_BUNDLE_INVALID, "%s: `%s`: expected %s, found %s", what_, place.c_str(), expected.c_str(),
       found.c_str());
  return false;
}

bool read_bool(Reader& reader, Value value, bool& out) {
  if (!reader.expect(value, Kind::boolean, "true or false")) return false;
  out = value.truth();
  return true;
}

bool read_double(Reader& reader, Value value, double low, double high, double& out) {
  const bool fits = value.kind() == Kind::number && value.number() >= low && value.number() <= high;
  char expected[80];
  std::snprintf(expected, sizeof expected, "a number from %g to %g", low, high);
  out = fits ? value.number() : 0;
  return fits || reader.refuse(expected, value);
}

bool read_float(Reader& reader, Value value, double low, double high, float& out) {
  double number = 0;
  if (!read_double(reader, value, low, high, number)) return false;
  out = static_cast<float>(number);
  return true;
}

bool read_whole(Reader& reader, Value value, double low, double high, double& out) {
  const bool fits = value.kind() == Kind::number && value.is_whole() && value.number() >= low && value.number() <= high;
  char expected[80];
  std::snprintf(expected, sizeof expected, "a whole number from %.0f to %.0f", low, high);
  out = fits ? value.number() : 0;
  return fits || reader.refuse(expected, value);
}

bool read_text(Reader& reader, Value value, size_t max_points, std::string& out) {
  const std::string_view text = value.kind() == Kind::text ? value.text() : std::string_view();
  const bool fits =
      value.kind() == Kind::text && utf8_length(text.data(), text.size()) <= max_points && text.find('\0') == text.npos;
  out = text;
  return fits || reader.refuse("a text of at most " + std::to_string(max_points) + " characters without zeros", value);
}

bool check_text(Reader& reader, Value value, size_t max_points) {
  std::string unused;
  return read_text(reader, value, max_points, unused);
}

bool read_plain_text(Reader& reader, Value value, size_t max_points, std::string& out) {
  if (!read_text(reader, value, max_points, out)) return false;
  const bool plain = is_plain(out.data(), out.size());
  return plain || reader.refuse("text without control characters", value);
}

namespace {

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

}  // namespace

bool read_sha256(Reader& reader, Value value, std::array<uint8_t, 32>& out) {
  const std::string_view text = value.kind() == Kind::text ? value.text() : std::string_view();
  bool fits = text.size() == 2 * out.size();
  for (size_t i = 0; fits && i < out.size(); ++i) {
    const int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
    fits = high >= 0 && low >= 0;
    out[i] = static_cast<uint8_t>(high * 16 + low);
  }
  return fits || reader.refuse("64 hexadecimal digits in lower case", value);
}

}  // namespace edgetl
