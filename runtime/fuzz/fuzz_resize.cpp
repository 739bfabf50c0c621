// Any sizes, policy, filter and layout; the scratch memory is exactly as large as it was asked for.
#include <cstring>
#include <vector>

#include "resize.h"

namespace {

struct Input {
  uint16_t width, height, out_width, out_height, padding;
  uint8_t policy, filter, format, crop;
};

edgetl::Preprocessing preprocessing(const Input& input) {
  edgetl::Preprocessing p;
  p.height = input.out_height % 300 + 1;
  p.width = input.out_width % 300 + 1;
  p.resize = static_cast<edgetl::Resize>(input.policy % 4);
  p.interpolation = static_cast<edgetl::Interpolation>(input.filter % 2);
  p.crop_pct = 0.05 + input.crop * 0.95 / 255;
  return p;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input;
  if (size < sizeof input) return 0;
  std::memcpy(&input, data, sizeof input);
  const edgetl::Preprocessing p = preprocessing(input);
  const auto format = static_cast<edgetl_pixels>(input.format % 4);
  const size_t stride = static_cast<size_t>(input.width) * (format == EDGETL_GREY ? 1 : 3) + input.padding % 64;
  if (stride * input.height > 4'000'000) return 0;
  if (static_cast<size_t>(p.width) * input.height > 4'000'000) return 0;  // seconds of work in an instrumented build

  std::vector<uint8_t> pixels(stride * input.height);
  for (size_t i = 0; i < pixels.size() && size > sizeof input; ++i) {
    pixels[i] = data[sizeof input + i % (size - sizeof input)];
  }
  size_t bytes = 0;
  edgetl_error error;
  if (edgetl::resize_scratch_bytes(p, input.width, input.height, bytes, &error) != EDGETL_OK) return 0;
  if (bytes > 64'000'000) return 0;
  std::vector<uint8_t> scratch(bytes), out(static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3);
  const edgetl_image image = {pixels.data(), input.width, input.height, stride, format};
  edgetl::resize(p, image, scratch.data(), bytes, out.data(), &error);
  return 0;
}
