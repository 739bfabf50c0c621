// A file is a protobuf message (the encoding: protobuf.dev/programming-guides/encoding; the field numbers: onnx.proto of
// ONNX 1.18). Only what can hold a tensor is entered.
#include "onnx_file.h"

#include <algorithm>
#include <cstring>
#include <iterator>

namespace edgetl {
namespace {

constexpr int max_depth = 64;  // graphs in nodes in graphs; networks have 2 or 3
constexpr size_t max_key_bytes = 5;

enum class Message { model, training, function, graph, node, attribute, sparse, tensor };
enum Wire : uint8_t { varint = 0, fixed64 = 1, bytes = 2, fixed32 = 5 };

struct Inside {
  Message parent;
  uint32_t field;
  Message child;
};

constexpr Inside entered[] = {
    {Message::model, 7, Message::graph},         {Message::model, 20, Message::training},
    {Message::model, 25, Message::function},     {Message::training, 1, Message::graph},
    {Message::training, 2, Message::graph},      {Message::function, 7, Message::node},
    {Message::function, 11, Message::attribute}, {Message::graph, 1, Message::node},
    {Message::graph, 5, Message::tensor},        {Message::graph, 15, Message::sparse},
    {Message::node, 5, Message::attribute},      {Message::attribute, 5, Message::tensor},
    {Message::attribute, 6, Message::graph},     {Message::attribute, 10, Message::tensor},
    {Message::attribute, 11, Message::graph},    {Message::attribute, 22, Message::sparse},
    {Message::attribute, 23, Message::sparse},   {Message::sparse, 1, Message::tensor},
    {Message::sparse, 2, Message::tensor},
};
constexpr uint32_t external_data = 13, data_location = 14;  // of a tensor

struct Field {
  uint32_t number = 0;
  uint8_t wire = 0;
  uint64_t value = 0;  // of a varint
  Bytes content;       // of everything else
};

// The fields of one message, one after another.
class Fields {
 public:
  explicit Fields(Bytes message) : left_(message) {}

  bool at_end() const { return left_.size == 0; }

  // False when what follows is no field.
  bool next(Field& field) {
    const size_t before = left_.size;
    uint64_t key = 0;
    if (!take_varint(key) || before - left_.size > max_key_bytes) return false;
    field.number = static_cast<uint32_t>(key) >> 3;  // protobuf drops the bits above
    field.wire = static_cast<uint8_t>(key & 7);
    if (field.wire == varint) return take_varint(field.value);
    uint64_t size = field.wire == fixed64 ? 8 : 4;
    if (field.wire == bytes && !take_varint(size)) return false;
    if (field.wire != bytes && field.wire != fixed64 && field.wire != fixed32) return false;
    return take(size, field.content);
  }

 private:
  bool take(uint64_t size, Bytes& content) {
    if (size > left_.size) return false;
    content = {left_.data, static_cast<size_t>(size)};
    left_ = {left_.data + content.size, left_.size - content.size};
    return true;
  }

  bool take_varint(uint64_t& value) {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      Bytes byte;
      if (!take(1, byte)) return false;
      if (shift < 64) value |= static_cast<uint64_t>(*byte.data & 0x7F) << shift;
      if (*byte.data < 0x80) return true;
    }
    return false;
  }

  Bytes left_;
};

// NOLINTNEXTLINE(misc-no-recursion): bounded by max_depth
OutsideData walk(Bytes message, Message kind, int depth) {
  if (depth > max_depth) return OutsideData::not_onnx;
  Fields fields(message);
  while (!fields.at_end()) {
    Field field;
    if (!fields.next(field)) return OutsideData::not_onnx;
    if (kind == Message::tensor) {
      // a location other than 0 is EXTERNAL, the only other there is
      const bool located = field.number == data_location && (field.wire != varint || field.value != 0);
      if (field.number == external_data || located) return OutsideData::some;
      continue;
    }
    const auto* inside = std::find_if(std::begin(entered), std::end(entered), [&](const Inside& row) {
      return row.parent == kind && row.field == field.number && field.wire == bytes;
    });
    if (inside == std::end(entered)) continue;
    const OutsideData found = walk(field.content, inside->child, depth + 1);
    if (found != OutsideData::none) return found;
  }
  return OutsideData::none;
}

}  // namespace

OutsideData find_outside_data(Bytes file) {
  constexpr size_t start = 4;
  constexpr const char* other_format = "ORTM";  // onnxruntime's own, which it would take as well
  const bool other = file.size >= start + 4 && std::memcmp(file.data + start, other_format, 4) == 0;
  return file.size == 0 || other ? OutsideData::not_onnx : walk(file, Message::model, 0);
}

}  // namespace edgetl
