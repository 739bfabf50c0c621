#include "decode.h"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <jpeglib.h>
#include <png.h>

namespace {

using Bytes = std::vector<uint8_t>;

constexpr int32_t width = 40, height = 24;

Bytes scene() {
  Bytes rgb;
  for (int32_t y = 0; y < height; ++y) {
    for (int32_t x = 0; x < width; ++x) rgb.insert(rgb.end(), {uint8_t(x * 6), uint8_t(y * 10), uint8_t(x + y)});
  }
  return rgb;
}

Bytes jpeg_of(const Bytes& rgb, bool progressive) {
  jpeg_compress_struct jpeg;
  jpeg_error_mgr errors;
  jpeg.err = jpeg_std_error(&errors);
  jpeg_create_compress(&jpeg);
  unsigned char* data = nullptr;
  unsigned long bytes = 0;
  jpeg_mem_dest(&jpeg, &data, &bytes);
  jpeg.image_width = width;
  jpeg.image_height = height;
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  jpeg_set_quality(&jpeg, 95, TRUE);
  if (progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  for (size_t y = 0; y < height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(rgb.data() + y * width * 3);
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  Bytes file(data, data + bytes);
  std::free(data);
  return file;
}

Bytes png_of(const Bytes& pixels, png_uint_32 format) {
  png_image image;
  std::memset(&image, 0, sizeof image);
  image.version = PNG_IMAGE_VERSION;
  image.width = width;
  image.height = height;
  image.format = format;
  png_alloc_size_t bytes = 0;
  REQUIRE(png_image_write_to_memory(&image, nullptr, &bytes, 0, pixels.data(), 0, nullptr) != 0);
  Bytes file(bytes);
  REQUIRE(png_image_write_to_memory(&image, file.data(), &bytes, 0, pixels.data(), 0, nullptr) != 0);
  return file;
}

Bytes decoded(const Bytes& file, int32_t expected_width = width, int32_t expected_height = height) {
  edgetl::Picture picture;
  edgetl_error error{};
  REQUIRE_MESSAGE(edgetl::decode("picture", file.data(), file.size(), picture, &error) == EDGETL_OK, error.message);
  CHECK(picture.width == expected_width);
  CHECK(picture.height == expected_height);
  return {picture.rgb.get(), picture.rgb.get() + picture.bytes()};
}

std::string refusal(const Bytes& file) {
  edgetl::Picture picture;
  edgetl_error error{};
  CHECK(edgetl::decode("picture", file.data(), file.size(), picture, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(picture.rgb == nullptr);
  return error.message;
}

// Puts an APP1 segment with this orientation behind the start marker.
Bytes turned(const Bytes& jpeg, uint8_t orientation) {
  Bytes file(jpeg.begin(), jpeg.begin() + 2);
  const Bytes segment = {0xFF, 0xE1, 0, 34,   'E', 'x', 'i', 'f', 0, 0, 'M', 'M',         0, 42, 0, 0, 0, 8,
                         0,    1,    1, 0x12, 0,   3,   0,   0,   0, 1, 0,   orientation, 0, 0,  0, 0, 0, 0};
  file.insert(file.end(), segment.begin(), segment.end());
  file.insert(file.end(), jpeg.begin() + 2, jpeg.end());
  return file;
}

}  // namespace

TEST_CASE("a PNG comes back as it was") { CHECK(decoded(png_of(scene(), PNG_FORMAT_RGB)) == scene()); }

TEST_CASE("a JPEG comes back nearly as it was") {
  for (const bool progressive : {false, true}) {
    const Bytes expected = scene(), found = decoded(jpeg_of(expected, progressive));
    int largest = 0;
    for (size_t i = 0; i < found.size(); ++i) largest = std::max(largest, std::abs(found[i] - expected[i]));
    CHECK(largest < 24);
  }
}

TEST_CASE("gray is repeated and transparent pixels lie over white") {
  Bytes pixels(static_cast<size_t>(width) * height * 2, 255);
  pixels[0] = 7;
  pixels[2] = 100;
  pixels[3] = 128;
  pixels[4] = 100;
  pixels[5] = 0;
  const Bytes found = decoded(png_of(pixels, PNG_FORMAT_GA));
  CHECK(Bytes(found.begin(), found.begin() + 9) == Bytes{7, 7, 7, 177, 177, 177, 255, 255, 255});
}

TEST_CASE("orientations turn the picture upright") {
  const Bytes file = jpeg_of(scene(), false), as_stored = decoded(file);
  CHECK(decoded(turned(file, 1)) == as_stored);
  CHECK(decoded(turned(file, 9)) == as_stored);
  const Bytes half = decoded(turned(file, 3)), right = decoded(turned(file, 6), height, width);
  const Bytes first(as_stored.begin(), as_stored.begin() + 3);
  CHECK(Bytes(half.end() - 3, half.end()) == first);
  CHECK(Bytes(right.begin() + (height - 1) * 3, right.begin() + height * 3) == first);
}

TEST_CASE("a damaged EXIF block counts as upright") {
  const Bytes file = jpeg_of(scene(), false), good = turned(file, 6), as_stored = decoded(file);
  for (size_t at = 10; at < 20; ++at) {
    Bytes damaged = good;
    damaged[at] = 0xFF;
    CHECK(decoded(damaged) == as_stored);
  }
}

TEST_CASE("truncated files are refused and never crash") {
  for (const Bytes& file : {jpeg_of(scene(), false), jpeg_of(scene(), true), png_of(scene(), PNG_FORMAT_RGB)}) {
    const size_t needed = file.size() - 24;  // closing chunks and markers may be missing
    for (size_t sixteenth = 0; sixteenth < 16; ++sixteenth) {
      const Bytes part(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(needed * sixteenth / 16));
      CHECK(refusal(part).find("picture: not usable as an image") == 0);
    }
  }
}

TEST_CASE("too many pixels are refused from the header") {
  Bytes png = png_of(scene(), PNG_FORMAT_RGB), jpeg = jpeg_of(scene(), false);
  for (size_t i = 0; i + 9 < jpeg.size(); ++i) {
    if (jpeg[i] == 0xFF && jpeg[i + 1] == 0xC0) std::fill_n(jpeg.begin() + static_cast<std::ptrdiff_t>(i) + 5, 4, 0x7F);
  }
  CHECK(refusal(jpeg).find("more than 100000000") != std::string::npos);
  png[16] = 0x40;  // the checksum is wrong now
  CHECK(refusal(png).find("damaged") != std::string::npos);
}

TEST_CASE("other content is refused with the formats that can be read") {
  CHECK(refusal({'G', 'I', 'F', '8', '9', 'a'}).find("neither JPEG nor PNG") != std::string::npos);
  CHECK(refusal({}).find("empty") != std::string::npos);
}

TEST_CASE("files that are not there or are folders are refused with their name") {
  edgetl::Picture picture;
  edgetl_error error{};
  CHECK(edgetl::read_picture_file("no/such/picture.png", picture, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(std::strstr(error.message, "no/such/picture.png: ") == error.message);
  CHECK(edgetl::read_picture_file(".", picture, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(std::strstr(error.message, "not a regular file") != nullptr);
}

TEST_CASE("a named pipe is refused and not waited for") {
  std::string folder = "/tmp/edgetl-pipe-XXXXXX";
  REQUIRE(mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/p.png";
  REQUIRE(mkfifo(path.c_str(), 0600) == 0);
  edgetl::Picture picture;
  edgetl_error error;
  CHECK(edgetl::read_picture_file(path.c_str(), picture, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(std::strstr(error.message, "p.png: not usable as an image: not a regular file") != nullptr);
  unlink(path.c_str());
  rmdir(folder.c_str());
}
