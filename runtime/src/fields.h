// Checks of single JSON values for readers of strict files: kind, bounds, known keys only. Every function returns false
// after the first value that does not fit, with the way to it in the message.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "edgetl/runtime.h"
#include "json.h"

namespace edgetl {

using json::Kind;
using json::Value;

// Keeps the way to the value at hand, for the message.
class Reader {
 public:
  // `what` begins every message.
  Reader(const char* what, edgetl_error* error) : what_(what), error_(error) {}

  void enter(std::string_view key) { place_.emplace_back(key.substr(0, 80)); }
  void leave() { place_.pop_back(); }

  bool refuse(const std::string& expected, const std::string& found);
  bool refuse(const std::string& expected, Value found) { return refuse(expected, json::describe(found)); }
  bool expect(Value value, Kind kind, const char* expected) { return value.kind() == kind || refuse(expected, value); }

 private:
  const char* what_;
  edgetl_error* error_;
  std::vector<std::string> place_;
};

// --- plain values

bool read_bool(Reader& reader, Value value, bool& out);
bool read_double(Reader& reader, Value value, double low, double high, double& out);
bool read_float(Reader& reader, Value value, double low, double high, float& out);  // rounded from the double

// A number without fraction and exponent.
bool read_whole(Reader& reader, Value value, double low, double high, double& out);

template <class Integer>
bool read_integer(Reader& reader, Value value, double low, double high, Integer& out) {
  double number = 0;
  if (!read_whole(reader, value, low, high, number)) return false;
  out = static_cast<Integer>(number);
  return true;
}

// Texts become zero-terminated strings of the C interface: no zero inside.
bool read_text(Reader& reader, Value value, size_t max_points, std::string& out);
bool check_text(Reader& reader, Value value, size_t max_points);

// Text that fits one line of a terminal or of labels.txt: no control characters and line separators.
bool read_plain_text(Reader& reader, Value value, size_t max_points, std::string& out);

// `out` is the place of the text among `words`.
template <size_t Count>
bool read_word(Reader& reader, Value value, const char* const (&words)[Count], size_t& out) {
  for (out = 0; out < Count; ++out) {
    if (value.kind() == Kind::text && value.text() == words[out]) return true;
  }
  std::string expected = "one of";
  for (const char* word : words) expected += std::string(" ") + word;
  reader.refuse(expected, value);
  return false;
}

template <size_t Count>
bool read_word(Reader& reader, Value value, const char* const (&words)[Count], std::string& out) {
  size_t which = 0;
  if (!read_word(reader, value, words, which)) return false;
  out = words[which];
  return true;
}

// 64 hexadecimal digits in lower case.
bool read_sha256(Reader& reader, Value value, std::array<uint8_t, 32>& out);

// --- lists and objects

// Calls `read(reader, value, index)` for every value of a list of `least` to `most`.
template <class Read>
bool read_list(Reader& reader, Value value, size_t least, size_t most, Read read) {
  if (value.kind() != Kind::list || value.size() < least || value.size() > most) {
    const std::string range =
        least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most);
    return reader.refuse("a list of " + range, value);
  }
  size_t index = 0;
  for (Value item = value.first(); item; item = item.next(), ++index) {
    reader.enter(std::to_string(index));
    if (!read(item, index)) return false;
    reader.leave();
  }
  return true;
}

// Calls `read(reader, value)` for every value of an object with any keys.
template <class Read>
bool read_entries(Reader& reader, Value value, size_t most, Read read) {
  if (value.kind() != Kind::object || value.size() > most) {
    return reader.refuse("an object of at most " + std::to_string(most), value);
  }
  for (Value item = value.first(); item; item = item.next()) {
    reader.enter(item.key());
    if (!read(item)) return false;
    reader.leave();
  }
  return true;
}

template <class T>
struct Member {
  const char* key;
  bool required;
  bool (*read)(Reader& reader, Value value, T& out);
};

// An object with these members and no others.
template <class T, size_t Count>
bool read_object(Reader& reader, Value value, T& out, const Member<T> (&members)[Count]) {
  if (!reader.expect(value, Kind::object, "an object")) return false;
  bool seen[Count] = {};
  for (Value item = value.first(); item; item = item.next()) {
    reader.enter(item.key());
    const auto* member =
        std::find_if(members, members + Count, [&](const Member<T>& known) { return item.key() == known.key; });
    if (member == members + Count) return reader.refuse("no such key", item);
    if (!member->read(reader, item, out)) return false;
    seen[member - members] = true;
    reader.leave();
  }
  for (size_t i = 0; i < Count; ++i) {
    if (!members[i].required || seen[i]) continue;
    reader.enter(members[i].key);
    return reader.refuse("a value", "nothing");
  }
  return true;
}

}  // namespace edgetl
