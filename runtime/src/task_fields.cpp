#include "task_fields.h"

#include <string>

namespace edgetl {
namespace {

constexpr const char* task_words[] = {"classification", "detection"};
constexpr const char* front_words[] = {"image"};
constexpr const char* type_words[] = {"uint8", "int16", "int32", "int64", "float32"};
constexpr const char* kind_words[] = {"detection"};
constexpr const char* keys_of_schema_2[] = {"task", "front", "signature", "postprocess"};

constexpr size_t max_ports = 16;
constexpr size_t max_rank = 6;
constexpr double max_size = 100'000'000;
constexpr int64_t max_elements = 100'000'000;  // of one output for one image

// --- the signature

bool read_dims(Reader& reader, Value value, Port& out) {
  return read_list(reader, value, 1, max_rank, [&](Value item, size_t) {
    int64_t& size = out.dims.emplace_back(-1);
    return item.kind() == Kind::null || read_integer(reader, item, 1, max_size, size);
  });
}

bool read_port(Reader& reader, Value value, Port& out) {
  static constexpr Member<Port> members[] = {
      {"name", true, [](Reader& r, Value v, Port& p) { return read_plain_text(r, v, 64, p.name); }},
      {"dtype", true, [](Reader& r, Value v, Port& p) { return read_word(r, v, type_words, p.type); }},
      {"shape", true, read_dims},
  };
  return read_object(reader, value, out, members);
}

bool read_ports(Reader& reader, Value value, std::vector<Port>& out) {
  return read_list(reader, value, 1, max_ports,
                   [&](Value item, size_t) { return read_port(reader, item, out.emplace_back()); });
}

// Of the task, with the batch and the anchors as in `found`.
Signature expected_signature(const Manifest& manifest) {
  const Preprocessing& p = manifest.preprocessing;
  const auto classes = static_cast<int64_t>(manifest.labels.size());
  const Port image{image_name, "uint8", {-1, p.height, p.width, 3}};
  if (manifest.task == Task::classification) return {{image}, {{logits_name, "float32", {-1, classes}}}};
  const std::vector<Port>& found = manifest.signature.outputs;
  const bool has_anchors = !found.empty() && found[0].dims.size() == 3 && found[0].dims[1] > 0;
  const int64_t anchors = has_anchors ? found[0].dims[1] : 1;
  return {{image}, {{boxes_name, "float32", {-1, anchors, 4}}, {scores_name, "float32", {-1, anchors, classes}}}};
}

bool same(const std::vector<Port>& found, const std::vector<Port>& expected) {
  if (found.size() != expected.size()) return false;
  for (size_t i = 0; i < found.size(); ++i) {
    std::vector<int64_t> dims = found[i].dims;
    if (dims.front() == 1) dims.front() = -1;
    if (found[i].name != expected[i].name || found[i].type != expected[i].type || dims != expected[i].dims)
      return false;
  }
  return true;
}

bool check_ports(Reader& reader, const char* key, const std::vector<Port>& found, const std::vector<Port>& expected) {
  if (same(found, expected)) return true;
  reader.enter("signature");
  reader.enter(key);
  return reader.refuse(described(expected), described(found));
}

bool check_size(Reader& reader, const std::vector<Port>& outputs) {
  for (const Port& port : outputs) {
    int64_t elements = 1;
    for (const int64_t size : single_dims(port)) {
      elements = size > max_elements / elements ? max_elements + 1 : elements * size;
      if (elements <= max_elements) continue;
      reader.enter("signature");
      reader.enter("outputs");
      return reader.refuse("at most 100000000 values for one image", described({port}));
    }
  }
  return true;
}

// --- the whole

bool check_keys(Reader& reader, Value root, bool of_schema_2) {
  for (const char* key : keys_of_schema_2) {
    const Value found = root.find(key);
    if (static_cast<bool>(found) == of_schema_2) continue;
    reader.enter(key);
    return of_schema_2 ? reader.refuse("a value", "nothing") : reader.refuse("no such key in schema 1", found);
  }
  return true;
}

bool check_postprocess(Reader& reader, Value root, Task task) {
  const Value found = root.find("postprocess");
  if ((found.kind() != Kind::null) == (task == Task::detection)) return true;
  reader.enter("postprocess");
  return reader.refuse(task == Task::detection ? "an object" : "null for this task", found);
}

}  // namespace

bool read_task(Reader& reader, Value value, Manifest& out) {
  size_t which = 0;
  if (!read_word(reader, value, task_words, which)) return false;
  out.task = static_cast<Task>(which);
  return true;
}

bool read_front(Reader& reader, Value value, Manifest&) {
  size_t which = 0;
  return read_word(reader, value, front_words, which);
}

bool read_signature(Reader& reader, Value value, Manifest& out) {
  static constexpr Member<Signature> members[] = {
      {"inputs", true, [](Reader& r, Value v, Signature& s) { return read_ports(r, v, s.inputs); }},
      {"outputs", true, [](Reader& r, Value v, Signature& s) { return read_ports(r, v, s.outputs); }},
  };
  return read_object(reader, value, out.signature, members);
}

bool read_postprocess(Reader& reader, Value value, Manifest& out) {
  using P = Postprocess;
  static constexpr Member<P> members[] = {
      {"kind", false,
       [](Reader& r, Value v, P&) {
         size_t which = 0;
         return read_word(r, v, kind_words, which);
       }},
      {"score_threshold", false, [](Reader& r, Value v, P& p) { return read_float(r, v, 0, 1, p.score_threshold); }},
      {"iou_threshold", false, [](Reader& r, Value v, P& p) { return read_float(r, v, 0, 1, p.iou_threshold); }},
      {"max_candidates", false,
       [](Reader& r, Value v, P& p) { return read_integer(r, v, 1, most_candidates, p.max_candidates); }},
      {"max_detections", false,
       [](Reader& r, Value v, P& p) { return read_integer(r, v, 1, most_detections, p.max_detections); }},
  };
  return value.kind() == Kind::null || read_object(reader, value, out.postprocess, members);
}

bool check_task(Reader& reader, Value root, Manifest& out) {
  const bool of_schema_2 = root.find("schema").number() == 2;
  if (!check_keys(reader, root, of_schema_2)) return false;
  if (out.task == Task::classification && out.labels.size() < 2) {
    reader.enter("labels");
    return reader.refuse("a list of 2 to 100000", root.find("labels"));
  }
  const Signature expected = expected_signature(out);
  if (!of_schema_2) {
    out.signature = expected;
    return true;
  }
  return check_postprocess(reader, root, out.task) &&
         check_ports(reader, "inputs", out.signature.inputs, expected.inputs) &&
         check_ports(reader, "outputs", out.signature.outputs, expected.outputs) &&
         check_size(reader, out.signature.outputs);
}

}  // namespace edgetl
