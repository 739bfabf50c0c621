// Any bytes as an ONNX model: the walk over its messages ends, and never reads outside them.
#include <cstdlib>

#include "onnx_file.h"

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const edgetl::OutsideData found = edgetl::find_outside_data({data, bytes});
  if (bytes == 0 && found != edgetl::OutsideData::not_onnx) std::abort();
  return 0;
}
