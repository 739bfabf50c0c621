#include "json.h"

#include <algorithm>
#include <charconv>

#include "utf8.h"

namespace edgetl::json {

// Keeps its own stack of open lists and objects: a text of nothing but brackets must not exhaust the thread's.
class Parser {
 public:
  Parser(const uint8_t* text, size_t bytes, const Limits& limits, Document& document)
      : text_(text), bytes_(bytes), limits_(limits), nodes_(document.nodes_), texts_(document.texts_) {}

  bool run() {
    skip_space();
    if (!value(0, 0)) return false;
    while (!open_.empty()) {
      if (!step()) return false;
    }
    skip_space();
    return at_ == bytes_ || refuse("more text after the end");
  }

  std::string problem() const {
    const size_t until = std::min(at_, bytes_);
    const auto line = 1 + std::count(text_, text_ + until, uint8_t{'\n'});
    size_t begin = until;
    while (begin > 0 && text_[begin - 1] != '\n') --begin;
    return problem_ + " at line " + std::to_string(line) + ", byte " + std::to_string(until - begin + 1);
  }

 private:
  using Node = Document::Node;

  bool refuse(std::string problem) {
    problem_ = std::move(problem);
    return false;
  }

  int peek() const { return at_ < bytes_ ? text_[at_] : -1; }

  void skip_space() {
    while (at_ < bytes_ && (peek() == ' ' || peek() == '\n' || peek() == '\t' || peek() == '\r')) ++at_;
  }

  bool accept(char wanted) {
    skip_space();
    if (peek() != static_cast<uint8_t>(wanted)) return false;
    ++at_;
    return true;
  }

  // The next member of the innermost open list or object, or its end.
  bool step() {
    const bool object = nodes_[open_.back()].kind == Kind::object;
    const bool empty = nodes_[open_.back()].children == 0;
    if (accept(object ? '}' : ']')) return close();
    if (!empty && !accept(',')) return refuse(object ? "expected `,` or `}`" : "expected `,` or `]`");
    ++nodes_[open_.back()].children;
    const size_t key = texts_.size();
    if (object && !this->key()) return false;
    const size_t key_bytes = texts_.size() - key;
    skip_space();
    return value(key, key_bytes);
  }

  bool key() {
    skip_space();
    if (peek() != '"') return refuse("expected a key in double quotes");
    if (!string()) return false;
    return accept(':') || refuse("expected `:` after a key");
  }

  bool value(size_t key, size_t key_bytes) {
    if (nodes_.size() >= limits_.nodes) return refuse("more than " + std::to_string(limits_.nodes) + " values");
    Node node;
    node.key = static_cast<uint32_t>(key);
    node.key_bytes = static_cast<uint32_t>(key_bytes);
    node.text = static_cast<uint32_t>(texts_.size());
    if (!scan(node)) return false;
    node.text_bytes = static_cast<uint32_t>(texts_.size() - node.text);
    nodes_.push_back(node);
    const auto index = static_cast<uint32_t>(nodes_.size() - 1);
    nodes_.back().end = index + 1;
    if (node.kind == Kind::list || node.kind == Kind::object) open_.push_back(index);
    return true;
  }

  bool scan(Node& node) {
    switch (peek()) {
      case '{': return begin(node, Kind::object);
      case '[': return begin(node, Kind::list);
      case '"': node.kind = Kind::text; return string();
      case 't': return word(node, "true", Kind::boolean);
      case 'f': return word(node, "false", Kind::boolean);
      case 'n': return word(node, "null", Kind::null);
      case -1: return refuse("the text ends early");
      default: return number(node);
    }
  }

  bool begin(Node& node, Kind kind) {
    if (open_.size() >= limits_.depth) return refuse("nested deeper than " + std::to_string(limits_.depth));
    node.kind = kind;
    ++at_;
    return true;
  }

  bool close() {
    const uint32_t index = open_.back();
    open_.pop_back();
    nodes_[index].end = static_cast<uint32_t>(nodes_.size());
    return nodes_[index].kind == Kind::list || keys_differ(index);
  }

  bool keys_differ(uint32_t object) {
    std::vector<std::string_view> keys;
    keys.reserve(nodes_[object].children);
    for (uint32_t child = object + 1; child < nodes_[object].end; child = nodes_[child].end) {
      keys.push_back(std::string_view(texts_).substr(nodes_[child].key, nodes_[child].key_bytes));
    }
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice == keys.end()) return true;
    return refuse("the key `" + std::string(twice->substr(0, 80)) + "` occurs twice, in the object that ends");
  }

  bool word(Node& node, std::string_view wanted, Kind kind) {
    const std::string_view rest(reinterpret_cast<const char*>(text_) + at_, bytes_ - at_);
    if (rest.substr(0, wanted.size()) != wanted) return refuse("expected a value");
    at_ += wanted.size();
    node.kind = kind;
    node.truth = wanted == "true";
    return true;
  }

  size_t digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    return at_ - begin;
  }

  bool number(Node& node) {
    const size_t begin = at_;
    if (peek() == '-') ++at_;
    const bool zero_first = peek() == '0';
    const size_t integer = digits();
    if (integer == 0) return refuse("expected a value");
    if (zero_first && integer > 1) return refuse("a number with a leading 0");
    const size_t whole_end = at_;
    if (peek() == '.') {
      ++at_;
      if (digits() == 0) return refuse("a number without digits after its point");
    }
    if (peek() == 'e' || peek() == 'E') {
      ++at_;
      if (peek() == '+' || peek() == '-') ++at_;
      if (digits() == 0) return refuse("a number without digits in its exponent");
    }
    node.kind = Kind::number;
    node.whole = whole_end == at_;
    // not strtod, which obeys the locale's decimal point
    const auto* first = reinterpret_cast<const char*>(text_);
    const auto result = std::from_chars(first + begin, first + at_, node.number);
    return result.ec == std::errc() || refuse("a number that no double can hold");
  }

  // Appends the string that starts here to `texts_`.
  bool string() {
    for (++at_; peek() != '"';) {
      if (peek() < 0) return refuse("the text ends inside a string");
      if (peek() < 0x20) return refuse("a control character in a string");
      const bool taken = peek() == '\\' ? escape() : character();
      if (!taken) return false;
    }
    ++at_;
    return true;
  }

  bool character() {
    const size_t length = utf8_sequence(text_ + at_, bytes_ - at_);
    if (length == 0) return refuse("invalid UTF-8");
    texts_.append(reinterpret_cast<const char*>(text_) + at_, length);
    at_ += length;
    return true;
  }

  bool escape() {
    ++at_;
    constexpr std::string_view names = "\"\\/bfnrt";
    constexpr std::string_view meanings = "\"\\/\b\f\n\r\t";
    if (peek() == 'u') return unicode_escape();
    const size_t which = peek() < 0 ? names.npos : names.find(static_cast<char>(peek()));
    if (which == names.npos) return refuse("an unknown escape in a string");
    texts_ += meanings[which];
    ++at_;
    return true;
  }

  bool unicode_escape() {
    uint32_t point = 0;
    if (!four_digits(point)) return false;
    if (point >= 0xDC00 && point < 0xE000) return refuse("half a surrogate pair");
    if (point >= 0xD800 && point < 0xDC00) {
      uint32_t low = 0;
      if (peek() != '\\') return refuse("half a surrogate pair");
      ++at_;
      if (peek() != 'u') return refuse("half a surrogate pair");
      if (!four_digits(low)) return false;
      if (low < 0xDC00 || low >= 0xE000) return refuse("half a surrogate pair");
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    }
    append(point);
    return true;
  }

  // Of `uXXXX`.
  bool four_digits(uint32_t& point) {
    ++at_;
    if (bytes_ - at_ < 4) return refuse("the text ends inside an escape");
    const auto* first = reinterpret_cast<const char*>(text_) + at_;
    const auto result = std::from_chars(first, first + 4, point, 16);
    if (result.ptr != first + 4) return refuse("expected four hexadecimal digits after \\u");
    at_ += 4;
    return true;
  }

  void append(uint32_t point) {
    const auto put = [this](uint32_t byte) { texts_ += static_cast<char>(static_cast<uint8_t>(byte)); };
    if (point < 0x80) return put(point);
    if (point < 0x800) {
      put(0xC0 | point >> 6);
    } else if (point < 0x10000) {
      put(0xE0 | point >> 12);
      put(0x80 | (point >> 6 & 0x3F));
    } else {
      put(0xF0 | point >> 18);
      put(0x80 | (point >> 12 & 0x3F));
      put(0x80 | (point >> 6 & 0x3F));
    }
    put(0x80 | (point & 0x3F));
  }

  const uint8_t* text_;
  size_t bytes_;
  size_t at_ = 0;
  Limits limits_;
  std::vector<Node>& nodes_;
  std::string& texts_;
  std::vector<uint32_t> open_;
  std::string problem_;
};

bool Document::parse(const uint8_t* text, size_t bytes, const Limits& limits, std::string& problem) {
  nodes_.clear();
  texts_.clear();
  if (bytes > max_bytes) {
    problem = "more than " + std::to_string(max_bytes) + " bytes of JSON";
    return false;
  }
  Parser parser(text, bytes, limits, *this);
  const bool parsed = parser.run();
  if (!parsed) problem = parser.problem();
  return parsed;
}

Value Document::root() const { return {this, 0, nodes_[0].end}; }

Value Value::find(std::string_view key) const {
  for (Value child = first(); child; child = child.next()) {
    if (child.key() == key) return child;
  }
  return {};
}

namespace {

// Long texts are cut between characters.
std::string shortened(std::string_view text) {
  constexpr size_t shown_bytes = 60;
  if (text.size() <= shown_bytes) return std::string(text);
  size_t bytes = shown_bytes;
  while (bytes > 0 && (static_cast<uint8_t>(text[bytes]) & 0xC0) == 0x80) --bytes;
  return std::string(text.substr(0, bytes)) + "...";
}

std::string number_text(double number) {
  char text[32];
  const auto result = std::to_chars(text, text + sizeof text, number);
  return std::string(text, result.ptr);
}

}  // namespace

std::string describe(Value value) {
  switch (value.kind()) {
    case Kind::null: return "null";
    case Kind::boolean: return value.truth() ? "true" : "false";
    case Kind::number: return "the number " + number_text(value.number());
    case Kind::text: return "the text \"" + shortened(value.text()) + "\"";
    case Kind::list: return "a list of " + std::to_string(value.size());
    case Kind::object: return "an object of " + std::to_string(value.size());
  }
  return "";
}

}  // namespace edgetl::json
