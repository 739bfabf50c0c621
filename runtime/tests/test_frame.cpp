#include "frame.h"

#include <doctest/doctest.h>

using edgetl::Corners;
using edgetl::Frame;
using edgetl::Resize;

namespace {

Frame frame(Resize policy, int32_t width, int32_t height) {
  edgetl::Preprocessing p;
  p.height = 40;
  p.width = 60;
  p.resize = policy;
  Frame made;
  REQUIRE(edgetl::make_frame(p, width, height, made, nullptr) == EDGETL_OK);
  return made;
}

void check(const Frame& found, const Frame& expected) {
  CHECK(found.height == expected.height);
  CHECK(found.width == expected.width);
  CHECK(found.rows == expected.rows);
  CHECK(found.columns == expected.columns);
  CHECK(found.top == expected.top);
  CHECK(found.left == expected.left);
}

void check(const Corners& found, const Corners& expected) {
  CHECK(found.x0 == expected.x0);
  CHECK(found.y0 == expected.y0);
  CHECK(found.x1 == expected.x1);
  CHECK(found.y1 == expected.y1);
}

}  // namespace

TEST_CASE("every policy says where the picture lies") {
  check(frame(Resize::squash, 100, 100), {100, 100, 40, 60, 0, 0});
  check(frame(Resize::letterbox, 100, 100), {100, 100, 40, 40, 0, 10});
  check(frame(Resize::letterbox, 300, 100), {100, 300, 20, 60, 10, 0});
  check(frame(Resize::letterbox_corner, 100, 100), {100, 100, 40, 40, 0, 0});
  check(frame(Resize::letterbox_corner, 300, 100), {100, 300, 20, 60, 0, 0});
  check(frame(Resize::crop, 100, 100), {100, 100, 69, 69, -14, -4});
}

TEST_CASE("a picture without area has no frame") {
  Frame made;
  edgetl_error error;
  CHECK(edgetl::make_frame({}, 0, 5, made, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(error.status == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("boxes return to the picture and are clipped to it") {
  const Frame twice{200, 200, 100, 100, 5, 10};
  check(to_image(twice, {10, 5, 60, 55}), {0, 0, 100, 100});
  check(to_image(twice, {-20, 0, 400, 90}), {0, 0, 200, 170});
  check(to_image(twice, {-3e38F, -3e38F, 3e38F, 3e38F}), {0, 0, 200, 200});
}
