// Any bytes as a manifest: refused with one line, or within the bounds that the rest of the runtime relies on.
#include <cstdlib>
#include <cstring>

#include "manifest.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_bounds(const edgetl::Manifest& manifest) {
  const edgetl::Preprocessing& p = manifest.preprocessing;
  require(p.height >= 1 && p.height <= 8192 && p.width >= 1 && p.width <= 8192);
  require(p.crop_pct >= 0.05 && p.crop_pct <= 1);
  require(manifest.labels.size() >= 2 && manifest.labels.size() <= 100'000);
  require(manifest.files.size() <= 1000 && manifest.files.count(manifest.model) == 1);
  require(manifest.golden.files.size() == static_cast<size_t>(manifest.golden.count) && manifest.golden.count <= 64);
  for (const auto& [name, entry] : manifest.files) {
    require(!name.empty() && name.size() <= 200 && name[0] != '/' && name[0] != '.');
    require(name.find("/.") == name.npos && name.find("//") == name.npos);
    require(entry.size_bytes <= edgetl::max_file_bytes);
  }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  edgetl::Manifest manifest;
  edgetl_error error;
  const edgetl_status status = edgetl::parse_manifest(data, bytes, manifest, &error);
  require(error.status == status);
  require(std::strlen(error.message) < sizeof error.message && std::strchr(error.message, '\n') == nullptr);
  if (status == EDGETL_OK) {
    check_bounds(manifest);
  } else {
    require(status == EDGETL_BUNDLE_INVALID && error.message[0] != '\0');
  }
  return 0;
}
