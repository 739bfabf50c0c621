#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <vector>

#include "resize.h"

namespace {

using edgetl::Interpolation;
using edgetl::Preprocessing;
using edgetl::Resize;

constexpr uint8_t canary = 0xC5;

Preprocessing squash(int32_t height, int32_t width) {
  Preprocessing p;
  p.height = height;
  p.width = width;
  return p;
}

edgetl_image image_of(const std::vector<uint8_t>& pixels, int32_t width, int32_t height, edgetl_pixels format) {
  const size_t row = static_cast<size_t>(width) * (format == EDGETL_GREY ? 1 : 3);
  return {pixels.data(), width, height, row, format};
}

std::vector<uint8_t> resized(const Preprocessing& p, const edgetl_image& image) {
  size_t bytes = 0;
  REQUIRE(edgetl::resize_scratch_bytes(p, image.width, image.height, bytes, nullptr) == EDGETL_OK);
  std::vector<uint8_t> scratch(bytes + 64, canary);
  std::vector<uint8_t> out(static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3 + 64, canary);
  REQUIRE(edgetl::resize(p, image, scratch.data(), bytes, out.data(), nullptr) == EDGETL_OK);
  CHECK(std::all_of(scratch.end() - 64, scratch.end(), [](uint8_t byte) { return byte == canary; }));
  CHECK(std::all_of(out.end() - 64, out.end(), [](uint8_t byte) { return byte == canary; }));
  out.resize(out.size() - 64);
  return out;
}

std::vector<uint8_t> gray_row(const std::vector<uint8_t>& rgb) {
  std::vector<uint8_t> gray;
  for (size_t i = 0; i < rgb.size(); i += 3) gray.push_back(rgb[i]);
  return gray;
}

std::string refusal(const Preprocessing& p, const edgetl_image& image) {
  std::vector<uint8_t> scratch(1 << 20), out(static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3);
  edgetl_error error{};
  CHECK(edgetl::resize(p, image, scratch.data(), scratch.size(), out.data(), &error) == EDGETL_INVALID_ARGUMENT);
  return error.message;
}

}  // namespace

TEST_CASE("an image of the wanted size stays as it is") {
  const std::vector<uint8_t> pixels = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
  CHECK(resized(squash(2, 2), image_of(pixels, 2, 2, EDGETL_RGB)) == pixels);
}

TEST_CASE("one colour stays one colour") {
  const std::vector<uint8_t> pixels(7 * 5 * 3, 201);
  for (const auto filter : {Interpolation::bilinear, Interpolation::bicubic}) {
    for (const auto policy : {Resize::squash, Resize::crop}) {
      Preprocessing p = squash(11, 3);
      p.interpolation = filter;
      p.resize = policy;
      const std::vector<uint8_t> out = resized(p, image_of(pixels, 7, 5, EDGETL_RGB));
      CHECK(std::all_of(out.begin(), out.end(), [](uint8_t value) { return value == 201; }));
    }
  }
}

TEST_CASE("halving weighs four pixels 1 3 3 1, and fewer at the ends") {
  // inside (1*0 + 3*0 + 3*80 + 1*80) / 8 = 40; ends (3*0 + 3*0 + 1*0) / 7 and (1*80 + 3*80 + 3*80) / 7
  const std::vector<uint8_t> pixels = {0, 0, 0, 80, 80, 80};
  CHECK(gray_row(resized(squash(1, 3), image_of(pixels, 6, 1, EDGETL_GREY))) == std::vector<uint8_t>{0, 40, 80});
}

TEST_CASE("doubling lays the new pixels at quarters") {
  const std::vector<uint8_t> pixels = {0, 100};
  const std::vector<uint8_t> expected = {0, 25, 75, 100};
  CHECK(gray_row(resized(squash(1, 4), image_of(pixels, 2, 1, EDGETL_GREY))) == expected);
  CHECK(gray_row(resized(squash(4, 1), image_of(pixels, 1, 2, EDGETL_GREY))) == expected);
}

TEST_CASE("bicubic overshoot is cut at 0 and 255") {
  const std::vector<uint8_t> pixels = {0, 0, 255, 255};
  Preprocessing p = squash(1, 16);
  p.interpolation = Interpolation::bicubic;
  const std::vector<uint8_t> out = gray_row(resized(p, image_of(pixels, 4, 1, EDGETL_GREY)));
  CHECK(out.front() == 0);
  CHECK(out.back() == 255);
}

TEST_CASE("letterbox centers the image on the fill color") {
  Preprocessing p = squash(4, 2);
  p.resize = Resize::letterbox;
  p.fill = {9, 8, 7};
  const std::vector<uint8_t> pixels(2 * 2 * 3, 50);
  const std::vector<uint8_t> expected = {9,  8,  7,  9,  8,  7,  50, 50, 50, 50, 50, 50,
                                         50, 50, 50, 50, 50, 50, 9,  8,  7,  9,  8,  7};
  CHECK(resized(p, image_of(pixels, 2, 2, EDGETL_RGB)) == expected);
}

TEST_CASE("letterbox-corner leaves the fill color below and to the right") {
  Preprocessing p = squash(4, 2);
  p.resize = Resize::letterbox_corner;
  p.fill = {9, 8, 7};
  const std::vector<uint8_t> pixels(2 * 2 * 3, 50);
  const std::vector<uint8_t> expected = {50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50, 50,
                                         9,  8,  7,  9,  8,  7,  9,  8,  7,  9,  8,  7};
  CHECK(resized(p, image_of(pixels, 2, 2, EDGETL_RGB)) == expected);
}

TEST_CASE("crop keeps the middle") {
  Preprocessing p = squash(1, 1);
  p.resize = Resize::crop;
  p.crop_pct = 1.0 / 3;
  const std::vector<uint8_t> pixels = {1, 2, 3, 4, 55, 6, 7, 8, 9};
  CHECK(resized(p, image_of(pixels, 3, 3, EDGETL_GREY)) == std::vector<uint8_t>{55, 55, 55});
}

TEST_CASE("BGR is RGB the other way round, and padding behind rows is not read") {
  const std::vector<uint8_t> rgb = {1, 2, 3, 40, 50, 60}, bgr = {3, 2, 1, 222, 60, 50, 40, 222};
  edgetl_image image = image_of(bgr, 1, 2, EDGETL_BGR);
  image.stride_bytes = 4;
  for (const int32_t size : {2, 5}) {
    CHECK(resized(squash(size, size), image) == resized(squash(size, size), image_of(rgb, 1, 2, EDGETL_RGB)));
  }
}

TEST_CASE("images that cannot be are refused with their size") {
  const std::vector<uint8_t> pixels(64);
  edgetl_image image = image_of(pixels, 4, 4, EDGETL_RGB);
  image.width = 0;
  CHECK(refusal(squash(2, 2), image).find("found 0x4") != std::string::npos);
  image.width = 65535;
  image.height = 65535;
  CHECK(refusal(squash(2, 2), image).find("65535x65535") != std::string::npos);
  image = image_of(pixels, 4, 4, EDGETL_RGB);
  image.stride_bytes = 11;
  CHECK(refusal(squash(2, 2), image).find("stride of at least 12") != std::string::npos);
  image = image_of(pixels, 4, 4, EDGETL_RGB);
  image.pixels = nullptr;
  CHECK(refusal(squash(2, 2), image).find("NULL") != std::string::npos);
  image = image_of(pixels, 4, 4, static_cast<edgetl_pixels>(3));
  CHECK(refusal(squash(2, 2), image).find("found 3") != std::string::npos);
}

TEST_CASE("too elongated crops are refused before anything is read") {
  Preprocessing p = squash(224, 224);
  p.resize = Resize::crop;
  size_t bytes = 1;
  edgetl_error error{};
  CHECK(edgetl::resize_scratch_bytes(p, 65535, 1, bytes, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(bytes == 0);
  CHECK(std::strstr(error.message, "too elongated") != nullptr);
}

TEST_CASE("scratch memory that is too small or not aligned is refused") {
  const std::vector<uint8_t> pixels(300);
  const edgetl_image image = image_of(pixels, 10, 10, EDGETL_RGB);
  const Preprocessing p = squash(4, 4);
  size_t bytes = 0;
  REQUIRE(edgetl::resize_scratch_bytes(p, 10, 10, bytes, nullptr) == EDGETL_OK);
  std::vector<uint8_t> scratch(bytes + 8), out(48);
  CHECK(edgetl::resize(p, image, scratch.data(), bytes - 1, out.data(), nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::resize(p, image, scratch.data() + 1, bytes, out.data(), nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::resize(p, image, nullptr, bytes, out.data(), nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::resize(p, image, scratch.data(), bytes, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("a camera's picture needs little scratch memory") {
  size_t bytes = 0;
  REQUIRE(edgetl::resize_scratch_bytes(squash(224, 224), 1920, 1080, bytes, nullptr) == EDGETL_OK);
  CHECK(bytes < 64 * 1024);
}
