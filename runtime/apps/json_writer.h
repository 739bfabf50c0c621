// JSON as Python's json.dumps(value, indent=1, ensure_ascii=False) writes it, or in one line, as without `indent`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace edgetl {

class JsonWriter {
 public:
  enum class Layout { indented, one_line };
  explicit JsonWriter(Layout layout = Layout::indented) : layout_(layout) {}

  JsonWriter& open(char bracket);  // '{' or '['
  JsonWriter& close();
  JsonWriter& key(const char* name);

  JsonWriter& text(const std::string& value);  // bytes that are not UTF-8 become U+FFFD
  JsonWriter& number(double value);            // shortest that reads back equal; null when it is not finite
  JsonWriter& number(float value);             // nine digits
  JsonWriter& whole(int64_t value);
  JsonWriter& boolean(bool value);
  JsonWriter& null();

  JsonWriter& text_or_null(const std::optional<std::string>& value) { return value ? text(*value) : null(); }
  JsonWriter& number_or_null(const std::optional<double>& value) { return value ? number(*value) : null(); }
  JsonWriter& whole_or_null(const std::optional<int64_t>& value) { return value ? whole(*value) : null(); }

  // The document with a line feed at its end.
  std::string document() const { return out_ + "\n"; }

 private:
  void begin_value();
  void line();

  Layout layout_;
  std::string out_;
  std::vector<char> closing_;  // of the open brackets
  bool first_ = true;          // in the innermost bracket
  bool after_key_ = false;
};

}  // namespace edgetl
