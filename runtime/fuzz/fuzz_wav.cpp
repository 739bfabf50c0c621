// Any bytes as a WAV file: refused with one line, or every sample can be read.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "wav.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  edgetl::Wav wav;
  edgetl_error error;
  const edgetl_status status = edgetl::read_wav("clip.wav", {data, bytes}, wav, &error);
  require(status == error.status && std::strchr(error.message, '\n') == nullptr);
  if (status != EDGETL_OK) {
    require(status == EDGETL_INVALID_ARGUMENT && error.message[0] != '\0');
    return 0;
  }
  require(wav.count >= 1 && wav.count <= bytes && wav.rate_hz >= 1000 && wav.rate_hz <= 192'000);
  std::vector<int16_t> whole(wav.count), last(1);
  if (!edgetl::convert(wav, 0, wav.count, whole.data())) return 0;
  require(edgetl::convert(wav, wav.count - 1, 1, last.data()) && last[0] == whole.back());
  return 0;
}
