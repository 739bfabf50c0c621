// A strict JSON reader (RFC 8259) for small untrusted files: depth, nodes and bytes are bounded, duplicate
// keys and invalid UTF-8 refused, nothing recurses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace edgetl::json {

constexpr size_t max_bytes = 64'000'000;

struct Limits {
  size_t depth = 64;
  size_t nodes = 250'000;  // values of every kind together
};

enum class Kind : uint8_t { null, boolean, number, text, list, object };

class Value;

class Document {
 public:
  // On failure `problem` says what and where, in one line.
  bool parse(const uint8_t* text, size_t bytes, const Limits& limits, std::string& problem);
  Value root() const;  // of a document that was parsed

 private:
  friend class Value;
  friend class Parser;

  // In the order of the text: the first child of node n is n + 1, its next sibling is `end`.
  struct Node {
    Kind kind = Kind::null;
    bool truth = false;
    bool whole = false;  // a number without fraction and exponent
    uint32_t end = 0;
    uint32_t children = 0;
    uint32_t key = 0, key_bytes = 0;  // in `texts_`
    uint32_t text = 0, text_bytes = 0;
    double number = 0;
  };

  std::vector<Node> nodes_;
  std::string texts_;
};

// Points into a Document, which must stay. A default Value is none.
class Value {
 public:
  Value() = default;

  explicit operator bool() const { return document_ != nullptr; }
  Kind kind() const { return node().kind; }
  bool truth() const { return node().truth; }
  double number() const { return node().number; }
  bool is_whole() const { return node().whole; }
  std::string_view text() const { return piece(node().text, node().text_bytes); }
  std::string_view key() const { return piece(node().key, node().key_bytes); }  // "" outside objects
  size_t size() const { return node().children; }
  Value first() const { return size() == 0 ? Value() : Value(document_, index_ + 1, node().end); }
  Value next() const { return node().end == stop_ ? Value() : Value(document_, node().end, stop_); }
  Value find(std::string_view key) const;  // in an object

 private:
  friend class Document;
  Value(const Document* document, uint32_t index, uint32_t stop) : document_(document), index_(index), stop_(stop) {}
  const Document::Node& node() const { return document_->nodes_[index_]; }
  std::string_view piece(uint32_t begin, uint32_t bytes) const {
    return std::string_view(document_->texts_).substr(begin, bytes);
  }

  const Document* document_ = nullptr;
  uint32_t index_ = 0;
  uint32_t stop_ = 0;  // where the parent ends
};

// For messages: `the number 3`, `the text "abc"`, `a list of 2`.
std::string describe(Value value);

}  // namespace edgetl::json
