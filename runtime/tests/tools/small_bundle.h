// A bundle of a 4 x 6 network with three classes and one golden image, written by a test into a folder of its own: a
// classifier, or a detector with five anchors; or a classifier of sound or of texts with one golden recording or text, or
// of series.
#pragma once

#include <stdlib.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "edgetl/runtime.h"
#include "resample.h"
#include "resize.h"
#include "sha256.h"

namespace small_bundle {

constexpr int32_t height = 4, width = 6, classes = 3, anchors = 5;
constexpr size_t input_bytes = height * width * 3;
constexpr int32_t picture_height = 5, picture_width = 7;
constexpr size_t picture_bytes = picture_height * picture_width * 3;

inline edgetl::Preprocessing preprocessing() {
  edgetl::Preprocessing p;
  p.height = height;
  p.width = width;
  return p;
}

inline std::string picture() {
  std::string pixels;
  for (size_t index = 0; index < picture_bytes; ++index) pixels += static_cast<char>(index * 37 % 251);
  return pixels;
}

inline std::string resized(const std::string& pixels) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(pixels.data());
  const edgetl_image image{bytes, picture_width, picture_height, picture_width * 3, EDGETL_RGB};
  size_t scratch_bytes = 0;
  edgetl::resize_scratch_bytes(preprocessing(), picture_width, picture_height, scratch_bytes, nullptr);
  std::vector<uint64_t> scratch(scratch_bytes / 8 + 1);
  std::string made(input_bytes, '\0');
  edgetl::resize(preprocessing(), image, scratch.data(), scratch_bytes, reinterpret_cast<uint8_t*>(made.data()),
                 nullptr);
  return made;
}

inline std::string safetensors(const std::vector<float>& logits) {
  const std::string bytes = std::to_string(classes * sizeof(float));
  const std::string end = std::to_string(2 * classes * sizeof(float));
  const std::string facts = "{\"dtype\":\"F32\",\"shape\":[1,3],\"data_offsets\":";
  std::string header =
      "{\"float_logits\":" + facts + "[0," + bytes + "]},\"logits\":" + facts + "[" + bytes + "," + end + "]}}";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  std::string data(classes * sizeof(float), '\0');
  std::memcpy(data.data(), logits.data(), data.size());
  return std::string(1, static_cast<char>(header.size())) + std::string(7, '\0') + header + data + data;
}

struct TensorText {
  std::string name, type, shape;  // as "F32", "[1,5,4]"
  std::string data;
};

inline std::string tensor_file(const std::vector<TensorText>& tensors) {
  std::string entries, data;
  for (const TensorText& tensor : tensors) {
    const std::string begin = std::to_string(data.size());
    data += tensor.data;
    entries += (entries.empty() ? "\"" : ",\"") + tensor.name + "\":{\"dtype\":\"" + tensor.type +
               "\",\"shape\":" + tensor.shape + ",\"data_offsets\":[" + begin + "," + std::to_string(data.size()) +
               "]}";
  }
  std::string header = "{" + entries + "}", length(8, '\0');
  header.resize((header.size() + 7) / 8 * 8, ' ');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  return length + header + data;
}

template <typename Value>
std::string bytes_of(const std::vector<Value>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(Value)};
}

// Golden scores, of which the first is `score`, over boxes without area; and the golden objects.
inline std::string outputs_file(float score) {
  std::vector<float> scores(size_t{anchors} * classes);
  scores[0] = score;
  return tensor_file({{"boxes", "F32", "[1,5,4]", bytes_of(std::vector<float>(size_t{anchors} * 4))},
                      {"index", "I64", "[1,5]", bytes_of(std::vector<int64_t>{0, 1, 2, 3, 4})},
                      {"scores", "F32", "[1,5,3]", bytes_of(scores)}});
}

inline std::string detections_file(const std::vector<edgetl_detection>& objects) {
  std::vector<float> boxes, scores;
  std::vector<int64_t> labels;
  for (const edgetl_detection& object : objects) {
    boxes.insert(boxes.end(), {object.x0, object.y0, object.x1, object.y1});
    scores.push_back(object.score);
    labels.push_back(object.label);
  }
  const std::string count = std::to_string(objects.size());
  return tensor_file({{"0.boxes", "F32", "[" + count + ",4]", bytes_of(boxes)},
                      {"0.labels", "I64", "[" + count + "]", bytes_of(labels)},
                      {"0.scores", "F32", "[" + count + "]", bytes_of(scores)}});
}

// NumPy format 1.0: magic, version, length of the header (little-endian), header, data.
inline std::string npy(const std::string& type, const std::string& shape, const std::string& data) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': False, 'shape': " + shape + ", }";
  header.resize(117, ' ');  // with the 10 bytes before it and the line end, 128
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

inline std::string npy(int32_t rows, int32_t columns, const std::string& pixels) {
  return npy("|u1", "(" + std::to_string(rows) + ", " + std::to_string(columns) + ", 3)", pixels);
}

// --- sound: recordings at 8 kHz, windows of 12 samples at 16 kHz

constexpr int32_t window = 12, rate_hz = 16'000, file_rate_hz = 8000;
constexpr size_t taps = 4;
constexpr int16_t filter[] = {0, 32767, 0, 0, -2048, 18432, 18432, -2048};  // (2, taps)

inline std::string npy(const std::vector<int16_t>& samples) {
  return npy("<i2", "(" + std::to_string(samples.size()) + ",)", bytes_of(samples));
}

inline std::string little(uint32_t value, size_t bytes) {
  std::string text;
  for (size_t i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 255);
  return text;
}

inline std::string wav(const std::vector<int16_t>& samples, uint32_t rate = file_rate_hz) {
  const std::string data = bytes_of(samples);
  const std::string format = little(1, 2) + little(1, 2) + little(rate, 4) + little(2 * rate, 4) + little(2, 2);
  return "RIFF" + little(static_cast<uint32_t>(36 + data.size()), 4) + "WAVEfmt " + little(16, 4) + format +
         little(16, 2) + "data" + little(static_cast<uint32_t>(data.size()), 4) + data;
}

inline std::vector<int16_t> recording() { return {100, -200, 3000, -32768, 32767}; }

inline edgetl::Resampler resampler() {
  edgetl::Resampler made;
  made.open(file_rate_hz, rate_hz, filter, taps);
  return made;
}

inline std::vector<int16_t> heard(const std::vector<int16_t>& clip) {
  std::vector<int16_t> made(window);
  edgetl::cut_window(resampler(), clip.data(), static_cast<int64_t>(clip.size()), window, made.data());
  return made;
}

// --- series: windows of 4 time steps of 2 channels

constexpr int32_t steps = 4, channels = 2;

// --- texts of 4 or 8 tokens

constexpr const char* tokenizer =
    R"({"schema":1,"special":[{"text":"[SEP]","id":3,"normalized":false,"lstrip":false,"rstrip":false}],)"
    R"("normalize":[{"step":"lower"}],"cut":[{"step":"white"},{"step":"punctuation"}],)"
    R"("model":{"kind":"wordpiece","pieces":["[PAD]","[UNK]","[CLS]","[SEP]","cat","##s","a","."],)"
    R"("unknown":1,"prefix":"##","longest":100},"before":[2],"after":[3],"pad":0})";

constexpr const char* cats = "Cats.";  // 2 4 5 7 3

inline std::string tokens() { return npy("<i4", "(8,)", bytes_of(std::vector<int32_t>{2, 4, 5, 7, 3, 0, 0, 0})); }

inline std::string digest_of(const std::string& content) {
  char digits[65];
  edgetl::write_hex(edgetl::sha256(reinterpret_cast<const uint8_t*>(content.data()), content.size()), digits);
  return digits;
}

// --- the bundle

struct Facts {
  std::string backend = "null";
  std::string machine = "any";
  bool finished = true;
  bool golden = true;
  std::vector<float> logits{0, 0, 0};  // golden
  std::string picture = "golden/0.png";
  int schema = 2;
  bool detector = false;
  bool audio = false;
  bool text = false;
  bool series = false;                    // without golden files
  float score = 0;                        // golden, of a detector's first anchor and class
  std::vector<edgetl_detection> objects;  // golden, of a detector
};

using Files = std::map<std::string, std::string>;

inline Files files(const Facts& facts) {
  Files made{{"model.onnx", "a network"}, {"labels.txt", "cat\ndog\nfish\n"}};
  if (facts.audio) {
    made["resampler.npy"] = npy("<i2", "(2, 4)", bytes_of(std::vector<int16_t>(std::begin(filter), std::end(filter))));
    if (!facts.golden) return made;
    made["golden/0.wav"] = wav(recording());
    made["golden/0.samples.npy"] = npy(recording());
    made["golden/0.input.npy"] = npy(heard(recording()));
    made["golden/logits.safetensors"] = safetensors(facts.logits);
    return made;
  }
  if (facts.series) return made;
  if (facts.text) {
    made["tokenizer.json"] = tokenizer;
    if (!facts.golden) return made;
    made["golden/0.txt"] = cats;
    made["golden/0.input.npy"] = tokens();
    made["golden/logits.safetensors"] = safetensors(facts.logits);
    return made;
  }
  if (facts.golden) {
    made[facts.picture] = picture();
    made["golden/0.rgb.npy"] = npy(picture_height, picture_width, picture());
    made["golden/0.input.npy"] = npy(height, width, resized(picture()));
    if (!facts.detector) {
      made["golden/logits.safetensors"] = safetensors(facts.logits);
    } else {
      made["golden/outputs.safetensors"] = outputs_file(facts.score);
      made["golden/detections.safetensors"] = detections_file(facts.objects);
    }
  }
  return made;
}

inline std::string file_table(const Files& files) {
  std::string table;
  for (const auto& [name, content] : files) {
    table += (table.empty() ? "" : ",") + std::string("\"") + name + R"(":{"sha256":")" + digest_of(content) +
             R"(","size_bytes":)" + std::to_string(content.size()) + "}";
  }
  return "{" + table + "}";
}

// What schema 2 says more than schema 1.
inline std::string task_keys(const Facts& facts) {
  if (facts.schema == 1) return "";
  if (facts.audio) {
    return R"("task":"classification","front":"audio","signature":{"inputs":[)"
           R"({"name":"audio","dtype":"int16","shape":[null,12]}],"outputs":[)"
           R"({"name":"logits","dtype":"float32","shape":[null,3]}]},"postprocess":null,)";
  }
  if (facts.text) {
    return R"("task":"classification","front":"text","signature":{"inputs":[)"
           R"({"name":"tokens","dtype":"int32","shape":[null,null]}],"outputs":[)"
           R"({"name":"logits","dtype":"float32","shape":[null,3]}]},"postprocess":null,)";
  }
  if (facts.series) {
    return R"("task":"classification","front":"series","signature":{"inputs":[)"
           R"({"name":"series","dtype":"float32","shape":[null,4,2]}],"outputs":[)"
           R"({"name":"logits","dtype":"float32","shape":[null,3]}]},"postprocess":null,)";
  }
  const std::string image = R"({"inputs":[{"name":"image","dtype":"uint8","shape":[null,4,6,3]}],"outputs":[)";
  if (!facts.detector) {
    return R"("task":"classification","front":"image","signature":)" + image +
           R"({"name":"logits","dtype":"float32","shape":[null,3]}]},"postprocess":null,)";
  }
  return R"("task":"detection","front":"image","signature":)" + image +
         R"({"name":"boxes","dtype":"float32","shape":[null,5,4]},)"
         R"({"name":"scores","dtype":"float32","shape":[null,5,3]}]},)"
         R"("postprocess":{"kind":"detection","score_threshold":0.25,"iou_threshold":0.5,)"
         R"("max_candidates":100,"max_detections":10},)";
}

inline std::string preprocessing_keys(const Facts& facts) {
  if (facts.audio) {
    return R"({"rate_hz":16000,"file_rate_hz":8000,"samples":12,"mel":{"window":4,"hop":2,"dft":4,"bands":2,)"
           R"("low_hz":0.0,"high_hz":8000.0,"triangles":"htk","spectrum":"power","log":"ln","floor":1e-6,"floored":"max","below_loudest":0.0,)"
           R"("coefficients":0,"scale":1.0,"offset":0.0}},)";
  }
  if (facts.text) return R"({"tokenizer":")" + digest_of(tokenizer) + R"(","pad":0,"lengths":[4,8]},)";
  if (facts.series) return R"({"steps":4,"mean":[0.0,0.0],"std":[1.0,1.0]},)";
  return R"({"height":4,"width":6,"resize":"squash","mean":[0.5,0.5,0.5],"std":[0.5,0.5,0.5],"crop_pct":0.875,)"
         R"("interpolation":"bilinear","fill":[128,128,128]},)";
}

inline std::string manifest(const Facts& facts, const Files& files) {
  const std::string example = facts.audio ? "golden/0.wav" : facts.text ? "golden/0.txt" : facts.picture;
  const std::string golden = R"({"count":1,"files":[")" + example +
                             R"("],"tolerance":{"max_diff_of_range":0.1,"min_cosine":0.0,"max_decode_step":2}})";
  return R"({"schema":)" + std::to_string(facts.schema) +
         R"(,"name":"small","edgetl_version":"0.1.0","target":{"name":"any-cpu","summary":"","backend":")" +
         facts.backend + R"(","machine":")" + facts.machine +
         R"(","accelerator":"none","precisions":["int8"],"scheme":{"activation_dtype":"uint8",)"
         R"("activation_symmetric":false,"weight_granularity":"channel","weight_reduced_range":false,)"
         R"("operators":["conv"]},"options":{},"notes":""},"compiled":{"backend":")" +
         facts.backend +
         R"(","backend_version":"0.1.0","precision":"int8","model":"model.onnx",)"
         R"("files":["model.onnx"],"finished":)" +
         (facts.finished ? "true" : "false") +
         R"(,"facts":{}},"scheme":null,"labels":["cat","dog","fish"],"preprocessing":)" + preprocessing_keys(facts) +
         task_keys(facts) + R"("pivot_sha256":")" + std::string(64, '0') + R"(","golden":)" +
         (facts.golden ? golden : "null") + R"(,"verdict":"not measured","reason":"","measured":null,"files":)" +
         file_table(files) + "}";
}

class Folder {
 public:
  explicit Folder(const Facts& facts = {}) {
    std::string name = (std::filesystem::temp_directory_path() / "edgetl-test-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) abort();
    path_ = name;
    const Files made = files(facts);
    write("manifest.json", manifest(facts, made));
    for (const auto& [file, content] : made) write(file, content);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const char* path() const { return path_.c_str(); }

  // Another content for one file, which the manifest then has.
  void replace(const Facts& facts, const std::string& file, const std::string& content) const {
    Files made = files(facts);
    made[file] = content;
    write(file, content);
    write("manifest.json", manifest(facts, made));
  }

 private:
  void write(const std::string& file, const std::string& content) const {
    const std::filesystem::path place = std::filesystem::path(path_) / file;
    std::filesystem::create_directories(place.parent_path());
    std::ofstream(place, std::ios::binary) << content;
  }
  std::string path_;
};

}  // namespace small_bundle
