// manifest.json as the runtime needs it. The Python side (edgetl/bundle/manifest.py) is the reference.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "edgetl/runtime.h"
#include "signature.h"

namespace edgetl {

enum class Resize { squash, crop, letterbox, letterbox_corner };
enum class Interpolation { bilinear, bicubic };
enum class Task { classification, detection };
enum class Front { image, audio, text, series };

// One example, in sentences.
constexpr const char* noun_of(Front front) {
  switch (front) {
    case Front::audio: return "clip";
    case Front::text: return "text";
    case Front::series: return "window";
    case Front::image: break;
  }
  return "image";
}

struct Preprocessing {
  int32_t height = 0;  // 1 .. 8192
  int32_t width = 0;
  Resize resize = Resize::squash;
  double crop_pct = 0.875;  // 0.05 .. 1; used by crop
  Interpolation interpolation = Interpolation::bilinear;
  std::array<uint8_t, 3> fill{};  // RGB; used by letterbox and letterbox_corner
};

// What a network hears: mono, int16. edgetl/types/inputs.py is the reference; its `mel` is inside the compiled model.
struct Audio {
  int32_t rate_hz = 0;       // 1000 .. 192000
  int32_t file_rate_hz = 0;  // the same, of recordings
  int32_t samples = 0;       // 1 .. 2^20, of a window at rate_hz
};

// What a network reads: tokens, int32. The model itself leaves out `pad`.
struct Text {
  std::array<uint8_t, 32> tokenizer{};  // SHA-256 of tokenizer.json
  int32_t pad = 0;                      // 0 .. 10,000,000
  std::vector<int32_t>
      lengths;  // 1 .. 65536 tokens, ascending: a text is filled up to the first that holds it, and cut to the last
};

// What a network sees of sensors: float32. `mean` and `std` are inside the compiled model.
struct Series {
  int32_t steps = 0;     // 1 .. 2^20 time steps
  int32_t channels = 0;  // 1 .. 4096
};

// From the outputs of a detector to objects: defaults and bounds of edgetl/tasks/detection/detections.py.
struct Postprocess {
  float score_threshold = 0.01F;
  float iou_threshold = 0.6F;
  int32_t max_candidates = 1000;
  int32_t max_detections = 100;
};

constexpr int32_t most_candidates = 10'000;
constexpr int32_t most_detections = 1000;

struct Tolerance {
  // Largest difference of a logit, as a fraction of the golden logits' max - min; of a detector, of a score from 0 to 1
  // and of a corner, as a fraction of the longer side of the input.
  double max_diff_of_range = 0;
  double min_cosine = 0;        // between the two logit vectors
  int32_t max_decode_step = 0;  // largest difference of a decoded pixel, 0..255
};

struct Golden {
  int32_t count = 0;               // 0: the bundle carries none
  std::vector<std::string> files;  // per example, the file as it came: "golden/0.jpg", "golden/0.wav", "golden/0.csv"
  Tolerance tolerance;
};

struct FileEntry {
  std::array<uint8_t, 32> sha256{};
  uint64_t size_bytes = 0;
};

// One of several heads of a classifier: the logits from `first` on are its own, one for each class.
struct Head {
  std::string name;
  int32_t first = 0;
  std::vector<std::string> classes;
};

struct Manifest {
  std::string name, target, machine;  // machine: "x86_64", "aarch64" or "any"
  std::vector<std::string> cpu_with;  // instruction sets, at least one of which the target's CPUs have
  std::string backend, precision, model;
  std::vector<std::string> model_files;
  std::map<std::string, std::string> facts;  // of the backend
  bool finished = true;
  std::vector<std::string> labels;
  std::vector<Head> heads;  // none if there is only one
  Front front = Front::image;
  Preprocessing preprocessing;  // of the image front
  Audio audio;                  // of the audio front
  Text text;                    // of the text front
  Series series;                // of the series front
  Task task = Task::classification;
  Signature signature;
  Postprocess postprocess;  // of a detector
  Golden golden;
  std::map<std::string, FileEntry> files;
};

constexpr size_t max_heads = 64;
constexpr size_t max_manifest_bytes = 4'000'000;
constexpr uint64_t max_file_bytes = 4'000'000'000;
constexpr const char* tokenizer_name = "tokenizer.json";  // of the text front
constexpr const char* resampler_name = "resampler.npy";   // from file_rate_hz to rate_hz, where they differ

// Schema 1 or 2. Strict: unknown keys, other schemas, values out of bounds and names that leave the folder are EDGETL_BUNDLE_INVALID.
edgetl_status parse_manifest(const uint8_t* text, size_t bytes, Manifest& manifest, edgetl_error* error);

}  // namespace edgetl
