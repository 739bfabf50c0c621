#include "manifest.h"

#include <algorithm>
#include <string_view>

#include "fail.h"
#include "fields.h"
#include "json.h"
#include "task_fields.h"

namespace edgetl {
namespace {

constexpr size_t max_files = 1000;
constexpr size_t max_facts = 1000;
constexpr size_t max_text = 500;

// Read by the Python side only; the reader of JSON has bounded it.
template <class T>
bool skip(Reader&, Value, T&) {
  return true;
}

template <class T>
bool skip_text(Reader& reader, Value value, T&) {
  return check_text(reader, value, json::max_bytes);
}

bool check_plain_text(Reader& reader, Value value, size_t max_points) {
  std::string unused;
  return read_plain_text(reader, value, max_points, unused);
}

// --- names

bool is_name_start(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

bool is_name_part(std::string_view part) {
  return !part.empty() && is_name_start(part.front()) &&
         std::all_of(part.begin(), part.end(), [](char c) { return is_name_start(c) || c == '.' || c == '-'; });
}

// Up to four parts, none of which begins with a dot, so that none can leave the folder or hide in it.
bool is_relative_path(std::string_view path) {
  if (path.size() > 200) return false;
  for (size_t parts = 0; parts < 4; ++parts) {
    const size_t slash = path.find('/');
    if (!is_name_part(path.substr(0, slash))) return false;
    if (slash == path.npos) return true;
    path.remove_prefix(slash + 1);
  }
  return false;
}

bool read_model_name(Reader& reader, Value value, std::string& out) {
  if (value.kind() != Kind::text || !is_name_part(value.text())) {
    return reader.refuse("a plain file name inside the bundle", value);
  }
  return read_text(reader, value, 200, out);
}

// --- the manifest

constexpr const char* backend_words[] = {"null", "onnxruntime", "openvino", "tensorrt", "tensorrt_rtx"};
constexpr const char* machine_words[] = {"x86_64", "aarch64", "any"};
constexpr const char* accelerator_words[] = {"none", "cuda"};
constexpr const char* precision_words[] = {"int8", "mixed", "simplified", "float16", "bfloat16", "float32"};
constexpr const char* verdict_words[] = {"pass", "fail", "not measured"};
constexpr const char* resize_words[] = {"squash", "crop", "letterbox", "letterbox-corner"};
constexpr const char* interpolation_words[] = {"bilinear", "bicubic"};

template <class T>
bool check_precisions(Reader& reader, Value value, T&) {
  return read_list(reader, value, 0, 16, [&](Value item, size_t) {
    size_t which = 0;
    return read_word(reader, item, precision_words, which);
  });
}

// Only for hints: anything but a list of texts is ignored.
bool take_cpu_with(Reader&, Value value, Manifest& out) {
  if (value.kind() != Kind::list) return true;
  for (Value item = value.first(); item; item = item.next()) {
    if (item.kind() == Kind::text) out.cpu_with.emplace_back(item.text());
  }
  return true;
}

bool read_target(Reader& reader, Value value, Manifest& out) {
  static constexpr Member<Manifest> members[] = {
      {"name", true, [](Reader& r, Value v, Manifest& m) { return read_plain_text(r, v, max_text, m.target); }},
      {"summary", true, skip_text<Manifest>},
      {"backend", true, skip_text<Manifest>},
      {"machine", true, [](Reader& r, Value v, Manifest& m) { return read_word(r, v, machine_words, m.machine); }},
      {"accelerator", true,
       [](Reader& r, Value v, Manifest&) {
         size_t which = 0;
         return read_word(r, v, accelerator_words, which);
       }},
      {"precisions", true, check_precisions<Manifest>},
      {"scheme", true, skip<Manifest>},
      {"options", false, skip<Manifest>},
      {"notes", false, skip_text<Manifest>},
      {"cpu_with", false, take_cpu_with},
      {"cpu_without", false, skip<Manifest>},
      {"cpu_part", false, skip_text<Manifest>},
  };
  return read_object(reader, value, out, members);
}

bool read_model_files(Reader& reader, Value value, Manifest& out) {
  out.model_files.resize(std::min(value.size(), max_files));
  return read_list(reader, value, 0, max_files,
                   [&](Value item, size_t index) { return read_model_name(reader, item, out.model_files[index]); });
}

bool read_facts(Reader& reader, Value value, Manifest& out) {
  return read_entries(reader, value, max_facts, [&](Value item) {
    return read_text(reader, item, json::max_bytes, out.facts[std::string(item.key())]);
  });
}

bool read_compiled(Reader& reader, Value value, Manifest& out) {
  static constexpr Member<Manifest> members[] = {
      {"backend", true, [](Reader& r, Value v, Manifest& m) { return read_word(r, v, backend_words, m.backend); }},
      {"backend_version", true, skip_text<Manifest>},
      {"precision", true,
       [](Reader& r, Value v, Manifest& m) { return read_word(r, v, precision_words, m.precision); }},
      {"model", true, [](Reader& r, Value v, Manifest& m) { return read_model_name(r, v, m.model); }},
      {"files", true, read_model_files},
      {"finished", false, [](Reader& r, Value v, Manifest& m) { return read_bool(r, v, m.finished); }},
      {"facts", false, read_facts},
  };
  return read_object(reader, value, out, members);
}

bool read_labels(Reader& reader, Value value, Manifest& out) {
  constexpr size_t most = 100'000;
  out.labels.resize(std::min(value.size(), most));
  return read_list(reader, value, 1, most,
                   [&](Value item, size_t index) { return read_plain_text(reader, item, 500, out.labels[index]); });
}

// `mean` and `std` are inside the compiled model.
bool check_three_numbers(Reader& reader, Value value, double low) {
  return read_list(reader, value, 3, 3, [&](Value item, size_t) {
    double unused = 0;
    return read_double(reader, item, low, 1e6, unused);
  });
}

bool read_fill(Reader& reader, Value value, Preprocessing& out) {
  return read_list(reader, value, 3, 3,
                   [&](Value item, size_t index) { return read_integer(reader, item, 0, 255, out.fill[index]); });
}

bool read_preprocessing(Reader& reader, Value value, Preprocessing& out) {
  using P = Preprocessing;
  static constexpr Member<P> members[] = {
      {"height", true, [](Reader& r, Value v, P& p) { return read_integer(r, v, 1, 8192, p.height); }},
      {"width", true, [](Reader& r, Value v, P& p) { return read_integer(r, v, 1, 8192, p.width); }},
      {"resize", true,
       [](Reader& r, Value v, P& p) {
         size_t which = 0;
         if (!read_word(r, v, resize_words, which)) return false;
         p.resize = static_cast<Resize>(which);
         return true;
       }},
      {"mean", true, [](Reader& r, Value v, P&) { return check_three_numbers(r, v, -1e6); }},
      {"std", true, [](Reader& r, Value v, P&) { return check_three_numbers(r, v, 1e-9); }},
      {"crop_pct", false, [](Reader& r, Value v, P& p) { return read_double(r, v, 0.05, 1, p.crop_pct); }},
      {"interpolation", false,
       [](Reader& r, Value v, P& p) {
         size_t which = 0;
         if (!read_word(r, v, interpolation_words, which)) return false;
         p.interpolation = static_cast<Interpolation>(which);
         return true;
       }},
      {"fill", false, read_fill},
  };
  out.fill = {128, 128, 128};
  return read_object(reader, value, out, members);
}

bool read_tolerance(Reader& reader, Value value, Tolerance& out) {
  using T = Tolerance;
  static constexpr Member<T> members[] = {
      {"max_diff_of_range", true,
       [](Reader& r, Value v, T& t) { return read_double(r, v, 1e-9, 1, t.max_diff_of_range); }},
      {"min_cosine", true, [](Reader& r, Value v, T& t) { return read_double(r, v, 0, 1, t.min_cosine); }},
      {"max_decode_step", false,
       [](Reader& r, Value v, T& t) { return read_integer(r, v, 0, 255, t.max_decode_step); }},
  };
  out.max_decode_step = 2;
  return read_object(reader, value, out, members);
}

// What a front's golden files end in: of the example as it came, and of what it is decoded to, if it is.
struct GoldenNames {
  std::vector<std::string> files;
  const char* decoded;
};

GoldenNames golden_names(Front front) {
  switch (front) {
    case Front::audio: return {{".wav"}, ".samples.npy"};
    case Front::text: return {{".txt"}, nullptr};
    case Front::series: return {{".csv"}, ".window.npy"};
    case Front::image: break;
  }
  return {{".jpg", ".png"}, ".rgb.npy"};
}

bool read_golden_files(Reader& reader, Value value, Manifest& out) {
  const std::vector<std::string> endings = golden_names(out.front).files;
  std::vector<std::string>& files = out.golden.files;
  files.resize(std::min(value.size(), size_t{64}));
  return read_list(reader, value, 1, 64, [&](Value item, size_t index) {
    const std::string stem = "golden/" + std::to_string(index);
    std::string expected;
    for (const std::string& ending : endings) {
      expected += (expected.empty() ? "" : " or ") + stem + ending;
      if (item.kind() == Kind::text && item.text() == stem + ending) files[index] = item.text();
    }
    return !files[index].empty() || reader.refuse(expected, item);
  });
}

bool read_golden_object(Reader& reader, Value value, Manifest& out) {
  using M = Manifest;
  static constexpr Member<M> members[] = {
      {"count", true, [](Reader& r, Value v, M& m) { return read_integer(r, v, 1, 64, m.golden.count); }},
      {"files", true, read_golden_files},
      {"tolerance", true, [](Reader& r, Value v, M& m) { return read_tolerance(r, v, m.golden.tolerance); }},
  };
  if (value.kind() == Kind::null) return true;
  if (!read_object(reader, value, out, members)) return false;
  const size_t found = out.golden.files.size();
  return found == static_cast<size_t>(out.golden.count) ||
         reader.refuse("as many files as `count`", std::to_string(found));
}

bool read_file_entry(Reader& reader, Value value, FileEntry& out) {
  static constexpr Member<FileEntry> members[] = {
      {"sha256", true, [](Reader& r, Value v, FileEntry& f) { return read_sha256(r, v, f.sha256); }},
      {"size_bytes", true,
       [](Reader& r, Value v, FileEntry& f) {
         return read_integer(r, v, 0, static_cast<double>(max_file_bytes), f.size_bytes);
       }},
  };
  return read_object(reader, value, out, members);
}

bool read_file_entries(Reader& reader, Value value, Manifest& out) {
  return read_entries(reader, value, max_files, [&](Value item) {
    if (!is_relative_path(item.key()) || item.key() == "manifest.json") {
      return reader.refuse("a name of plain characters that stays inside the bundle", "this key");
    }
    return read_file_entry(reader, item, out.files[std::string(item.key())]);
  });
}

bool check_schema(Reader& reader, Value value, Manifest&) {
  const bool number = value.kind() == Kind::number && value.is_whole();
  const bool known = number && value.number() >= 1 && value.number() <= EDGETL_MANIFEST_SCHEMA;
  return known || reader.refuse("1 or 2", value);
}

bool check_scheme(Reader& reader, Value value, Manifest&) {
  return value.kind() == Kind::null || check_plain_text(reader, value, 40);
}

bool check_verdict(Reader& reader, Value value, Manifest&) {
  size_t which = 0;
  return read_word(reader, value, verdict_words, which);
}

bool check_pivot_digest(Reader& reader, Value value, Manifest&) {
  std::array<uint8_t, 32> unused{};
  return read_sha256(reader, value, unused);
}

bool read_prepared(Reader& reader, Value value, Manifest& out) {
  if (out.front == Front::audio) return read_audio(reader, value, out.audio);
  if (out.front == Front::text) return read_text_front(reader, value, out.text);
  if (out.front == Front::series) return read_series(reader, value, out.series);
  return read_preprocessing(reader, value, out.preprocessing);
}

bool read_root(Reader& reader, Value value, Manifest& out) {
  using M = Manifest;
  static constexpr Member<M> members[] = {
      {"schema", true, check_schema},
      {"name", true, [](Reader& r, Value v, M& m) { return read_plain_text(r, v, 200, m.name); }},
      {"edgetl_version", true, [](Reader& r, Value v, M&) { return check_plain_text(r, v, 40); }},
      {"target", true, read_target},
      {"compiled", true, read_compiled},
      {"scheme", true, check_scheme},
      {"labels", true, read_labels},
      {"heads", false, read_heads},
      {"preprocessing", true, read_prepared},
      {"task", false, read_task},
      {"front", false, read_front},
      {"signature", false, read_signature},
      {"postprocess", false, read_postprocess},
      {"pivot_sha256", true, check_pivot_digest},
      {"golden", true, read_golden_object},
      {"verdict", false, check_verdict},
      {"reason", false, skip_text<M>},
      {"measured", false, skip<M>},
      {"files", true, read_file_entries},
  };
  out.front = front_of(value);
  return read_object(reader, value, out, members) && check_task(reader, value, out);
}

bool check_listed(Reader& reader, const Manifest& manifest, const std::string& name) {
  return manifest.files.count(name) != 0 || reader.refuse(name + ", which the bundle needs", "no such key");
}

// The tokenizer is part of the input's description, as the digest of its file.
bool check_tokenizer(Reader& reader, const Manifest& manifest) {
  if (manifest.front != Front::text || manifest.files.at(tokenizer_name).sha256 == manifest.text.tokenizer) return true;
  reader.enter(tokenizer_name);
  reader.enter("sha256");
  return reader.refuse("the digest in preprocessing.tokenizer", "another one");
}

bool check_files(Reader& reader, const Manifest& manifest) {
  reader.enter("files");
  std::vector<std::string> needed = manifest.model_files;
  needed.insert(needed.end(), {manifest.model, "labels.txt"});
  if (manifest.audio.rate_hz != manifest.audio.file_rate_hz) needed.emplace_back(resampler_name);
  if (manifest.front == Front::text) needed.emplace_back(tokenizer_name);
  const char* decoded = golden_names(manifest.front).decoded;
  for (size_t i = 0; i < manifest.golden.files.size(); ++i) {
    const std::string stem = "golden/" + std::to_string(i);
    needed.insert(needed.end(), {manifest.golden.files[i], stem + ".input.npy"});
    if (decoded != nullptr) needed.push_back(stem + decoded);
  }
  if (manifest.golden.count > 0 && manifest.task == Task::classification) {
    needed.emplace_back("golden/logits.safetensors");
  } else if (manifest.golden.count > 0) {
    needed.insert(needed.end(), {"golden/outputs.safetensors", "golden/detections.safetensors"});
  }
  return std::all_of(needed.begin(), needed.end(),
                     [&](const std::string& name) { return check_listed(reader, manifest, name); }) &&
         check_tokenizer(reader, manifest);
}

}  // namespace

edgetl_status parse_manifest(const uint8_t* text, size_t bytes, Manifest& manifest, edgetl_error* error) {
  manifest = Manifest();
  if (bytes > max_manifest_bytes) {
    return fail(error, EDGETL_BUNDLE_INVALID, "manifest.json: %zu bytes; a manifest has at most %zu", bytes,
                max_manifest_bytes);
  }
  json::Document document;
  std::string problem;
  if (!document.parse(text, bytes, json::Limits(), problem)) {
    return fail(error, EDGETL_BUNDLE_INVALID, "manifest.json: not readable as JSON: %s", problem.c_str());
  }
  Reader reader("manifest.json: not a manifest of schema 1 or 2", error);
  static_assert(EDGETL_MANIFEST_SCHEMA == 2, "the message names it");
  const bool valid = read_root(reader, document.root(), manifest) && check_files(reader, manifest);
  return valid ? succeed(error) : EDGETL_BUNDLE_INVALID;
}

}  // namespace edgetl
