#include "task_fields.h"

#include <iterator>
#include <string>

namespace edgetl {
namespace {

constexpr const char* task_words[] = {"classification", "detection"};
constexpr const char* front_words[] = {"image", "audio", "text", "series"};
constexpr const char* type_words[] = {"uint8", "int16", "int32", "int64", "float32"};
constexpr const char* kind_words[] = {"detection"};
constexpr const char* triangle_words[] = {"htk", "slaney"};
constexpr const char* spectrum_words[] = {"power", "amplitude"};
constexpr const char* log_words[] = {"ln", "dB"};
constexpr const char* floored_words[] = {"max", "add"};
constexpr const char* keys_of_schema_2[] = {"task", "front", "signature", "postprocess"};

constexpr size_t max_ports = 16;
constexpr size_t max_rank = 6;
constexpr double max_port_size = 100'000'000;
constexpr int64_t max_elements = 100'000'000;  // of one output for one image
constexpr double max_pad = 10'000'000, max_length = 1 << 16;
constexpr size_t max_lengths = 16;
constexpr double min_rate = 1000, max_rate = 192'000, max_samples = 1 << 20;

// --- the audio front

// `mel` is inside the compiled model: its values are checked and not kept.
struct Checked {};

bool check_samples(Reader& reader, Value value, Checked&) {
  int32_t unused = 0;
  return read_integer(reader, value, 1, max_samples, unused);
}

bool check_count(Reader& reader, Value value, double low) {
  int32_t unused = 0;
  return read_integer(reader, value, low, 256, unused);
}

bool check_number(Reader& reader, Value value, double low, double high) {
  double unused = 0;
  return read_double(reader, value, low, high, unused);
}

template <size_t Count>
bool check_word(Reader& reader, Value value, const char* const (&words)[Count]) {
  size_t unused = 0;
  return read_word(reader, value, words, unused);
}

bool check_mel(Reader& reader, Value value, Audio&) {
  using C = Checked;
  static constexpr Member<C> members[] = {
      {"window", true, check_samples},
      {"hop", true, check_samples},
      {"dft", true, check_samples},
      {"bands", true, [](Reader& r, Value v, C&) { return check_count(r, v, 1); }},
      {"low_hz", true, [](Reader& r, Value v, C&) { return check_number(r, v, 0, 96'000); }},
      {"high_hz", true, [](Reader& r, Value v, C&) { return check_number(r, v, 0, 96'000); }},
      {"triangles", true, [](Reader& r, Value v, C&) { return check_word(r, v, triangle_words); }},
      {"spectrum", true, [](Reader& r, Value v, C&) { return check_word(r, v, spectrum_words); }},
      {"log", true, [](Reader& r, Value v, C&) { return check_word(r, v, log_words); }},
      {"floor", true, [](Reader& r, Value v, C&) { return check_number(r, v, 1e-30, 1e6); }},
      {"floored", false, [](Reader& r, Value v, C&) { return check_word(r, v, floored_words); }},
      {"below_loudest", false, [](Reader& r, Value v, C&) { return check_number(r, v, 0, 200); }},
      {"coefficients", false, [](Reader& r, Value v, C&) { return check_count(r, v, 0); }},
      {"scale", false, [](Reader& r, Value v, C&) { return check_number(r, v, -1e6, 1e6); }},
      {"offset", false, [](Reader& r, Value v, C&) { return check_number(r, v, -1e6, 1e6); }},
  };
  Checked checked;
  return read_object(reader, value, checked, members);
}

// --- the text front

bool read_lengths(Reader& reader, Value value, Text& out) {
  double least = 1;
  return read_list(reader, value, 1, max_lengths, [&](Value item, size_t) {
    int32_t& length = out.lengths.emplace_back(0);
    if (!read_integer(reader, item, least, max_length, length)) return false;
    least = length + 1.0;
    return true;
  });
}

// --- the series front

constexpr double max_steps = 1 << 20;
constexpr size_t max_channels = 4096;

// `mean` and `std` are inside the compiled model; how many there are says how many channels.
bool read_channels(Reader& reader, Value value, double low, int32_t& channels) {
  size_t count = 0;
  const bool valid = read_list(reader, value, 1, max_channels, [&](Value item, size_t) {
    double unused = 0;
    ++count;
    return read_double(reader, item, low, 1e6, unused);
  });
  if (!valid) return false;
  if (channels != 0 && count != static_cast<size_t>(channels)) {
    return reader.refuse("as many numbers in `std` as in `mean`", std::to_string(count));
  }
  channels = static_cast<int32_t>(count);
  return true;
}

// --- the signature

bool read_dims(Reader& reader, Value value, Port& out) {
  return read_list(reader, value, 1, max_rank, [&](Value item, size_t) {
    int64_t& size = out.dims.emplace_back(-1);
    return item.kind() == Kind::null || read_integer(reader, item, 1, max_port_size, size);
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
  if (manifest.front == Front::audio) {
    return {{{audio_name, "int16", {-1, manifest.audio.samples}}}, {{logits_name, "float32", {-1, classes}}}};
  }
  if (manifest.front == Front::text) {
    return {{{tokens_name, "int32", {-1, -1}}}, {{logits_name, "float32", {-1, classes}}}};
  }
  if (manifest.front == Front::series) {
    return {{{series_name, "float32", {-1, manifest.series.steps, manifest.series.channels}}},
            {{logits_name, "float32", {-1, classes}}}};
  }
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

bool read_head(Reader& reader, Value value, Head& out) {
  using H = Head;
  static constexpr Member<H> members[] = {
      {"name", true, [](Reader& r, Value v, H& h) { return read_plain_text(r, v, 200, h.name); }},
      {"first", true, [](Reader& r, Value v, H& h) { return read_integer(r, v, 0, 100'000, h.first); }},
      {"classes", true,
       [](Reader& r, Value v, H& h) {
         h.classes.resize(std::min(v.size(), size_t{100'000}));
         return read_list(r, v, 2, 100'000,
                          [&](Value item, size_t index) { return read_plain_text(r, item, 500, h.classes[index]); });
       }},
  };
  return read_object(reader, value, out, members);
}

// The classes of all heads are the labels, in order: "head/class".
bool check_heads(Reader& reader, Value root, bool of_schema_2, const Manifest& manifest) {
  if (manifest.heads.empty()) return true;
  std::vector<std::string> labels;
  bool in_order = of_schema_2 && manifest.task == Task::classification;
  for (const Head& head : manifest.heads) {
    in_order = in_order && head.first == static_cast<int32_t>(labels.size());
    for (const std::string& name : head.classes) labels.push_back(head.name + "/" + name);
  }
  if (in_order && labels == manifest.labels) return true;
  reader.enter("heads");
  return reader.refuse("heads of a classifier of schema 2 whose classes are `labels`, in order", root.find("heads"));
}

}  // namespace

bool read_heads(Reader& reader, Value value, Manifest& out) {
  out.heads.resize(std::min(value.size(), max_heads));
  return read_list(reader, value, 2, max_heads,
                   [&](Value item, size_t index) { return read_head(reader, item, out.heads[index]); });
}

bool read_task(Reader& reader, Value value, Manifest& out) {
  size_t which = 0;
  if (!read_word(reader, value, task_words, which)) return false;
  out.task = static_cast<Task>(which);
  return true;
}

bool read_front(Reader& reader, Value value, Manifest& out) {
  size_t which = 0;
  if (!read_word(reader, value, front_words, which)) return false;
  out.front = static_cast<Front>(which);
  return true;
}

Front front_of(Value root) {
  const Value found = root.kind() == Kind::object ? root.find("front") : Value();
  for (size_t which = 0; found && which < std::size(front_words); ++which) {
    if (found.kind() == Kind::text && found.text() == front_words[which]) return static_cast<Front>(which);
  }
  return Front::image;
}

bool read_audio(Reader& reader, Value value, Audio& out) {
  using A = Audio;
  static constexpr Member<A> members[] = {
      {"rate_hz", true, [](Reader& r, Value v, A& a) { return read_integer(r, v, min_rate, max_rate, a.rate_hz); }},
      {"file_rate_hz", true,
       [](Reader& r, Value v, A& a) { return read_integer(r, v, min_rate, max_rate, a.file_rate_hz); }},
      {"samples", true, [](Reader& r, Value v, A& a) { return read_integer(r, v, 1, max_samples, a.samples); }},
      {"mel", true, check_mel},
  };
  return read_object(reader, value, out, members);
}

bool read_text_front(Reader& reader, Value value, Text& out) {
  using T = Text;
  static constexpr Member<T> members[] = {
      {"tokenizer", true, [](Reader& r, Value v, T& t) { return read_sha256(r, v, t.tokenizer); }},
      {"pad", true, [](Reader& r, Value v, T& t) { return read_integer(r, v, 0, max_pad, t.pad); }},
      {"lengths", true, read_lengths},
  };
  return read_object(reader, value, out, members);
}

bool read_series(Reader& reader, Value value, Series& out) {
  using S = Series;
  static constexpr Member<S> members[] = {
      {"steps", true, [](Reader& r, Value v, S& s) { return read_integer(r, v, 1, max_steps, s.steps); }},
      {"mean", true, [](Reader& r, Value v, S& s) { return read_channels(r, v, -1e6, s.channels); }},
      {"std", true, [](Reader& r, Value v, S& s) { return read_channels(r, v, 1e-9, s.channels); }},
  };
  return read_object(reader, value, out, members);
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
  if (out.task == Task::detection && out.front != Front::image) {
    reader.enter("front");
    return reader.refuse("image for detection", root.find("front"));
  }
  if (out.task == Task::classification && out.labels.size() < 2) {
    reader.enter("labels");
    return reader.refuse("a list of 2 to 100000", root.find("labels"));
  }
  if (!check_heads(reader, root, of_schema_2, out)) return false;
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
