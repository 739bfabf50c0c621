#include "decode.h"

#include <algorithm>
#include <cstdio>
#include <new>

#include "decoders.h"
#include "fail.h"
#include "file_content.h"
#include "orientation.h"

namespace edgetl {
namespace {

constexpr const char* an_image = "an image";

edgetl_status refuse(edgetl_error* error, edgetl_status status, const char* name, const char* reason) {
  return refuse_content(error, status, name, an_image, reason);
}

edgetl_status decode_as_stored(const uint8_t* file, size_t bytes, Decoded& decoded) {
  if (is_jpeg(file, bytes)) return decode_jpeg(file, bytes, decoded);
  if (is_png(file, bytes)) return decode_png(file, bytes, decoded);
  std::snprintf(
      decoded.reason, sizeof decoded.reason, "%s",
      bytes == 0 ? "the file is empty" : "its content is neither JPEG nor PNG, the only formats this program reads");
  return EDGETL_INVALID_ARGUMENT;
}

bool turn(Decoded& decoded) {
  if (decoded.orientation == upright) return true;
  Picture& picture = decoded.picture;
  std::unique_ptr<uint8_t[]> turned = allocate(picture.bytes());
  if (turned == nullptr) return false;
  turn_upright(picture.rgb.get(), picture.width, picture.height, decoded.orientation, turned.get());
  picture.rgb = std::move(turned);
  if (decoded.orientation >= 5) std::swap(picture.width, picture.height);
  return true;
}

}  // namespace

std::unique_ptr<uint8_t[]> allocate(size_t bytes) {
  return std::unique_ptr<uint8_t[]>(new (std::nothrow) uint8_t[bytes]);
}

bool size_is_allowed(uint64_t width, uint64_t height, char (&reason)[max_reason_bytes]) {
  if (width == 0 || height == 0) {
    std::snprintf(reason, sizeof reason, "it has no pixels");
    return false;
  }
  if (width > static_cast<uint64_t>(max_picture_pixels) / height) {
    std::snprintf(reason, sizeof reason, "it has %llux%llu pixels, more than %lld",
                  static_cast<unsigned long long>(width), static_cast<unsigned long long>(height),
                  static_cast<long long>(max_picture_pixels));
    return false;
  }
  return true;
}

edgetl_status decode(const char* name, const uint8_t* file, size_t bytes, Picture& picture, edgetl_error* error) {
  picture = Picture();
  Decoded decoded;
  const edgetl_status status = decode_as_stored(file, bytes, decoded);
  if (status == EDGETL_INVALID_ARGUMENT) return refuse(error, status, name, decoded.reason);
  if (status != EDGETL_OK || !turn(decoded)) {
    return refuse(error, EDGETL_OUT_OF_MEMORY, name, "there is not enough memory for its pixels");
  }
  picture = std::move(decoded.picture);
  return succeed(error);
}

edgetl_status read_picture_file(const char* path, Picture& picture, edgetl_error* error) {
  picture = Picture();
  Content content;
  const edgetl_status status = read_content(path, an_image, content, error);
  return status == EDGETL_OK ? decode(path, content.data.get(), content.bytes, picture, error) : status;
}

}  // namespace edgetl
