// Any bytes as one of the golden files of a bundle whose manifest fits them. The first byte says which file, from 128 on
// of a detector, from 64 on of a classifier of sound.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../tests/tools/small_bundle.h"
#include "bundle.h"
#include "golden.h"

namespace {

constexpr const char* golden_files[] = {"golden/0.rgb.npy", "golden/0.input.npy", "golden/logits.safetensors"};
constexpr const char* sound_files[] = {"golden/0.samples.npy", "golden/0.input.npy", "golden/logits.safetensors"};
constexpr const char* detector_files[] = {"golden/outputs.safetensors", "golden/detections.safetensors"};

void require(bool holds) {
  if (!holds) std::abort();
}

void check_samples(const edgetl::GoldenImage& image) {
  require(image.samples.size >= 2 && image.samples.size % 2 == 0);
  require(image.input.size == small_bundle::window * sizeof(int16_t));
  require(image.logits.size() == small_bundle::classes);
  unsigned sum = 0;  // every byte must be there to be read
  for (size_t i = 0; i < image.samples.size; ++i) sum += image.samples.data[i];
  for (size_t i = 0; i < image.input.size; ++i) sum += image.input.data[i];
  require(sum <= (image.samples.size + image.input.size) * 255);
}

void check_sizes(const edgetl::GoldenImage& image) {
  const auto pixels = static_cast<size_t>(image.height) * static_cast<size_t>(image.width);
  require(image.height >= 1 && image.width >= 1 && image.rgb.size == pixels * 3);
  require(image.input.size == small_bundle::input_bytes);
  if (image.outputs.index.empty()) {
    require(image.logits.size() == small_bundle::classes);
  } else {
    require(image.outputs.index.size() == small_bundle::anchors);
    require(image.outputs.boxes.size() == small_bundle::anchors * 4);
    require(image.outputs.scores.size() == small_bundle::anchors * small_bundle::classes);
    for (const int64_t anchor : image.outputs.index) require(anchor >= 0 && anchor < small_bundle::anchors);
  }
  unsigned sum = 0;  // every byte must be there to be read
  for (size_t i = 0; i < image.rgb.size; ++i) sum += image.rgb.data[i];
  for (size_t i = 0; i < image.input.size; ++i) sum += image.input.data[i];
  require(sum <= (image.rgb.size + image.input.size) * 255);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  if (bytes == 0) return 0;
  small_bundle::Facts facts;
  facts.detector = data[0] >= 128;
  facts.audio = data[0] >= 64 && data[0] < 128;
  small_bundle::Files files = small_bundle::files(facts);
  const char* changed = facts.detector ? detector_files[data[0] % 2]
                        : facts.audio  ? sound_files[data[0] % 3]
                                       : golden_files[data[0] % 3];
  files[changed] = std::string(reinterpret_cast<const char*>(data) + 1, bytes - 1);
  files["manifest.json"] = small_bundle::manifest(facts, files);
  std::vector<edgetl_file> list;
  for (const auto& [name, content] : files) {
    list.push_back({name.c_str(), reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  }
  edgetl_error error;
  edgetl::Bundle bundle;
  std::vector<edgetl::GoldenImage> images;
  require(bundle.read_files(list.data(), list.size(), nullptr, &error) == EDGETL_OK);
  const edgetl_status status = edgetl::read_golden(bundle, images, &error);
  require(status == error.status && std::strchr(error.message, '\n') == nullptr);
  if (status != EDGETL_OK) return 0;
  for (const edgetl::GoldenImage& image : images) facts.audio ? check_samples(image) : check_sizes(image);
  return 0;
}
