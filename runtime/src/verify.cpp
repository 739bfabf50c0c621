// The self-test; edgetl/bundle/golden.py is the reference. Every step starts from the golden result of the step before.
#include <algorithm>
#include <cinttypes>
#include <cstdlib>
#include <cstring>
#include <new>

#include "buffer.h"
#include "checks.h"
#include "fail.h"
#include "golden.h"
#include "interface.h"
#include "model.h"
#include "resize.h"
#include "without_throwing.h"

namespace edgetl {
namespace {

constexpr double not_comparable = 255;  // the difference of pictures that cannot be compared

struct Decoder {
  edgetl_decode_fn decode;
  void* user;
};

int largest_step(const uint8_t* found, Bytes expected) {
  int largest = 0;
  for (size_t index = 0; index < expected.size; ++index) {
    largest = std::max(largest, std::abs(int{found[index]} - int{expected.data[index]}));
  }
  return largest;
}

// Decoders of JPEG may round differently; other pictures have one right answer.
int32_t allowed_decode_step(const GoldenImage& golden, const Tolerance& tolerance) {
  const size_t length = std::strlen(golden.file_name);
  const bool jpeg = length >= 4 && std::strcmp(golden.file_name + length - 4, ".jpg") == 0;
  return jpeg ? tolerance.max_decode_step : 0;
}

edgetl_status check_decode(const GoldenImage& golden, int32_t index, const Decoder& decoder, int32_t allowed,
                           Checks& checks, edgetl_error* error) {
  const Buffer<uint8_t> rgb = make_buffer<uint8_t>(golden.rgb.size);
  if (rgb == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for an image of %zu bytes", golden.rgb.size);
  std::fill_n(rgb.get(), golden.rgb.size, uint8_t{0});
  int32_t width = 0;
  int32_t height = 0;
  const edgetl_status status = decoder.decode(decoder.user, golden.file_name, golden.file.data, golden.file.size,
                                              rgb.get(), golden.rgb.size, &width, &height);
  if (status == EDGETL_OUT_OF_MEMORY) return fail(error, status, "%s: no memory to decode it", golden.file_name);
  if (status != EDGETL_OK) {
    checks.add(index, "decode", false, not_comparable, allowed,
               detail("the decoder refused %s (%s)", golden.file_name, edgetl_status_name(status)));
  } else if (width != golden.width || height != golden.height) {
    checks.add(index, "decode", false, not_comparable, allowed,
               detail("%s: %" PRId32 " x %" PRId32 " pixels instead of %" PRId32 " x %" PRId32, golden.file_name, width,
                      height, golden.width, golden.height));
  } else {
    const int step = largest_step(rgb.get(), golden.rgb);
    checks.add(index, "decode", step <= allowed, step, allowed,
               detail("largest pixel difference %d of 255 (limit %d)", step, static_cast<int>(allowed)));
  }
  return EDGETL_OK;
}

edgetl_status check_resize(const GoldenImage& golden, int32_t index, const Preprocessing& p, Checks& checks,
                           edgetl_error* error) {
  size_t scratch_bytes = 0;
  edgetl_status status = resize_scratch_bytes(p, golden.width, golden.height, scratch_bytes, error);
  if (status != EDGETL_OK) return status;
  const Buffer<uint8_t> scratch = make_buffer<uint8_t>(scratch_bytes);
  const Buffer<uint8_t> made = make_buffer<uint8_t>(input_bytes(p));
  if (scratch == nullptr || made == nullptr) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "no memory to resize an image of %zu bytes", golden.rgb.size);
  }
  const edgetl_image image{golden.rgb.data, golden.width, golden.height, static_cast<size_t>(golden.width) * 3,
                           EDGETL_RGB};
  status = resize(p, image, scratch.get(), scratch_bytes, made.get(), error);
  if (status != EDGETL_OK) return status;
  const int step = largest_step(made.get(), golden.input);
  checks.add(index, "resize", step == 0, step, 0, detail("largest pixel difference %d of 255 (limit 0)", step));
  return EDGETL_OK;
}

edgetl_status check_pixels(const Manifest& manifest, const GoldenImage& golden, int32_t index, const Decoder& decoder,
                           Checks& checks, edgetl_error* error) {
  edgetl_status status = EDGETL_OK;
  if (decoder.decode != nullptr) {
    const int32_t allowed = allowed_decode_step(golden, manifest.golden.tolerance);
    status = check_decode(golden, index, decoder, allowed, checks, error);
  }
  return status == EDGETL_OK ? check_resize(golden, index, manifest.preprocessing, checks, error) : status;
}

edgetl_status check_network(edgetl_model& model, const GoldenImage& golden, int32_t index, Checks& checks,
                            edgetl_error* error) {
  const Engine& engine = *model.engine;
  const Manifest& manifest = model.bundle.manifest();
  const edgetl_status status = infer(model, golden.input, error);
  if (status != EDGETL_OK) return status;
  if (manifest.task == Task::detection) return check_objects(engine, manifest, golden, index, checks, error);
  check_logits(engine, manifest, golden, index, checks);
  return EDGETL_OK;
}

edgetl_status replay(edgetl_model& model, const std::vector<GoldenImage>& images, const Decoder& decoder,
                     Checks& checks, edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  edgetl_status status = EDGETL_OK;
  int32_t index = 0;
  for (const GoldenImage& golden : images) {
    if (manifest.front == Front::audio) {
      status = check_sound(model.bundle, model.resampler, golden, index, checks, error);
    } else if (manifest.front == Front::series) {
      status = check_series(manifest.series, golden, index, checks);
    } else if (manifest.front == Front::text) {
      status = check_text(manifest.text, model.tokenizer, golden, index, checks, error);
    } else {
      status = check_pixels(manifest, golden, index, decoder, checks, error);
    }
    if (status == EDGETL_OK) status = check_network(model, golden, index, checks, error);
    if (status != EDGETL_OK) return status;
    ++index;
  }
  return checks.result(error);
}

edgetl_status verify(const char* folder, const edgetl_options& options, const Decoder& decoder,
                     const Listener& listener, edgetl_error* error) {
  const std::unique_ptr<edgetl_model> model(new (std::nothrow) edgetl_model);
  if (model == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the model");
  edgetl_status status = model->bundle.read_folder(folder, &options, error);
  if (status != EDGETL_OK) return status;
  if (model->bundle.manifest().golden.count == 0) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: this bundle has no golden vectors to replay", folder);
  }
  std::vector<GoldenImage> images;
  status = read_golden(model->bundle, images, error);
  if (status == EDGETL_OK) status = open_engine(options, *model, error);
  if (status != EDGETL_OK) return status;
  Checks checks(listener, model->bundle.where(), noun_of(model->bundle.manifest().front));
  return replay(*model, images, decoder, checks, error);
}

}  // namespace
}  // namespace edgetl

edgetl_status edgetl_verify(const char* folder, const edgetl_options* options, edgetl_decode_fn decode,
                            void* decode_user, edgetl_check_fn check, void* check_user, edgetl_error* error) {
  if (folder == nullptr) return edgetl::fail(error, EDGETL_INVALID_ARGUMENT, "expected a bundle; found NULL");
  edgetl_options taken{};
  const edgetl_status status = edgetl::take_options(options, taken, error);
  if (status != EDGETL_OK) return status;
  return edgetl::without_throwing(error, [&] {
    return edgetl::verify(folder, taken, {decode, decode_user}, {check, check_user}, error);
  });
}
