// Any bytes as a manifest: refused with one line, or within the bounds that the rest of the runtime relies on.
#include <cstdlib>
#include <cstring>

#include "manifest.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check_ports(const edgetl::Manifest& manifest) {
  const edgetl::Signature& ports = manifest.signature;
  const bool detector = manifest.task == edgetl::Task::detection;
  require(ports.inputs.size() == 1 && ports.outputs.size() == (detector ? 2 : 1));
  require(edgetl::port_bytes(ports.inputs[0]) <= 8192U * 8192U * 3U);
  for (const edgetl::Port& port : ports.outputs) {
    const size_t bytes = edgetl::port_bytes(port);
    require(bytes >= 4 && bytes <= 400'000'000 && bytes % 4 == 0);
  }
  if (!detector) return;
  const edgetl::Postprocess& p = manifest.postprocess;
  require(p.score_threshold >= 0 && p.score_threshold <= 1 && p.iou_threshold >= 0 && p.iou_threshold <= 1);
  require(p.max_candidates >= 1 && p.max_candidates <= edgetl::most_candidates);
  require(p.max_detections >= 1 && p.max_detections <= edgetl::most_detections);
}

void check_prepared(const edgetl::Manifest& manifest) {
  const edgetl::Preprocessing& p = manifest.preprocessing;
  const edgetl::Audio& a = manifest.audio;
  if (manifest.front == edgetl::Front::image) {
    require(p.height >= 1 && p.height <= 8192 && p.width >= 1 && p.width <= 8192);
    require(p.crop_pct >= 0.05 && p.crop_pct <= 1);
    return;
  }
  require(manifest.task == edgetl::Task::classification);
  require(a.rate_hz >= 1000 && a.rate_hz <= 192'000 && a.file_rate_hz >= 1000 && a.file_rate_hz <= 192'000);
  require(a.samples >= 1 && a.samples <= 1 << 20);
  require(edgetl::port_bytes(manifest.signature.inputs[0]) == static_cast<size_t>(a.samples) * 2);
  require(a.rate_hz == a.file_rate_hz || manifest.files.count(edgetl::resampler_name) == 1);
}

void check_bounds(const edgetl::Manifest& manifest) {
  check_prepared(manifest);
  require(manifest.labels.size() >= (manifest.task == edgetl::Task::detection ? 1 : 2) &&
          manifest.labels.size() <= 100'000);
  check_ports(manifest);
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
