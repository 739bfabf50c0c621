// Any bytes as one of the golden files of a bundle whose manifest fits them. The first byte says which file.
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../tests/tools/small_bundle.h"
#include "bundle.h"
#include "golden.h"

namespace {

constexpr const char* golden_files[] = {"golden/0.rgb.npy", "golden/0.input.npy", "golden/logits.safetensors"};

void require(bool holds) {
  if (!holds) std::abort();
}

void check_sizes(const edgetl::GoldenImage& image) {
  const auto pixels = static_cast<size_t>(image.height) * static_cast<size_t>(image.width);
  require(image.height >= 1 && image.width >= 1 && image.rgb.size == pixels * 3);
  require(image.input.size == small_bundle::input_bytes && image.logits.size() == small_bundle::classes);
  unsigned sum = 0;  // every byte must be there to be read
  for (size_t i = 0; i < image.rgb.size; ++i) sum += image.rgb.data[i];
  for (size_t i = 0; i < image.input.size; ++i) sum += image.input.data[i];
  require(sum <= (image.rgb.size + image.input.size) * 255);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  if (bytes == 0) return 0;
  small_bundle::Files files = small_bundle::files({});
  files[golden_files[data[0] % 3]] = std::string(reinterpret_cast<const char*>(data) + 1, bytes - 1);
  files["manifest.json"] = small_bundle::manifest({}, files);
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
  for (const edgetl::GoldenImage& image : images) check_sizes(image);
  return 0;
}
