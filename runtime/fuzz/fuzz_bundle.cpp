// A small bundle in memory, changed as the input says, then opened and its golden vectors read.
//
// The input: one byte of flags, then changes. A change: which file, what to do with it, two bytes of length
// (little-endian), and that many bytes of content.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "../tests/tools/small_bundle.h"
#include "bundle.h"
#include "golden.h"

namespace {

enum Flag : uint8_t { skip_digest = 1, manifest_fits = 2 };

class Input {
 public:
  Input(const uint8_t* data, size_t bytes) : data_(data), bytes_(bytes) {}

  bool empty() const { return bytes_ == 0; }
  uint8_t byte() {
    if (bytes_ == 0) return 0;
    --bytes_;
    return *data_++;
  }
  std::string text() {
    const size_t low = byte(), high = byte();
    const size_t length = std::min(bytes_, low + 256 * high);
    std::string content(reinterpret_cast<const char*>(data_), length);
    data_ += length;
    bytes_ -= length;
    return content;
  }

 private:
  const uint8_t* data_;
  size_t bytes_;
};

void change(small_bundle::Files& files, Input& input) {
  auto file = files.begin();
  std::advance(file, input.byte() % files.size());
  const uint8_t action = input.byte() % 5;
  const std::string content = input.text();
  if (action == 0) file->second = content;
  if (action == 1) file->second += content;
  if (action == 2) file->second.resize(std::min(file->second.size(), content.size()));
  if (action == 3) files[content] = "new";
  if (action == 4 && files.size() > 1) files.erase(file);
}

void ignore(void*, const char*) {}

void open(const small_bundle::Files& files, bool skip) {
  std::vector<edgetl_file> list;
  for (const auto& [name, content] : files) {
    list.push_back({name.c_str(), reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  }
  edgetl_options options = {};
  options.struct_size = sizeof options;
  options.skip_digest = skip ? 1 : 0;
  options.warn = ignore;
  edgetl_error error;
  edgetl::Bundle bundle;
  std::vector<edgetl::GoldenImage> images;
  edgetl_status status = bundle.read_files(list.data(), list.size(), &options, &error);
  if (status == EDGETL_OK) status = edgetl::read_golden(bundle, images, &error);
  if (error.status != status || std::strchr(error.message, '\n') != nullptr) std::abort();
  for (const edgetl::GoldenImage& image : images) {
    const bool complete = status == EDGETL_OK;
    if (complete && image.logits.size() != bundle.manifest().labels.size()) std::abort();
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  static const small_bundle::Files original = small_bundle::files({});
  Input input(data, bytes);
  const uint8_t flags = input.byte();
  small_bundle::Files files = original;
  // with it behind the changes, the digests are those of the changed files
  if ((flags & manifest_fits) == 0) files["manifest.json"] = small_bundle::manifest({}, original);
  for (int changes = 0; changes < 8 && !input.empty(); ++changes) change(files, input);
  if ((flags & manifest_fits) != 0) files["manifest.json"] = small_bundle::manifest({}, files);
  open(files, (flags & skip_digest) != 0);
  return 0;
}
