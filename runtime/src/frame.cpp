#include "frame.h"

#include <algorithm>
#include <cmath>

#include "fail.h"

// Contracting a * b + c into one rounding would give other boxes on other processors. GCC: -ffp-contract=off.
#if defined(__clang__)
#pragma clang fp contract(off)
#endif

namespace edgetl {
namespace {

constexpr int64_t max_pixels = 100'000'000;
constexpr int32_t max_side = 65535;

// a / b rounded half up, both positive.
int64_t divide(int64_t a, int64_t b) { return (2 * a + b) / (2 * b); }

int32_t at_least_1(int64_t size) { return static_cast<int32_t>(std::max<int64_t>(1, size)); }

void place_letterbox(const Preprocessing& p, Frame& frame) {
  const int64_t w = frame.width, h = frame.height;
  if (p.height * w <= p.width * h) {
    frame.columns = at_least_1(divide(w * p.height, h));
  } else {
    frame.rows = at_least_1(divide(h * p.width, w));
  }
  if (p.resize == Resize::letterbox_corner) return;
  frame.left = (p.width - frame.columns) / 2;
  frame.top = (p.height - frame.rows) / 2;
}

edgetl_status place_crop(const Preprocessing& p, Frame& frame, edgetl_error* error) {
  const auto cover_h = static_cast<int64_t>(std::floor(p.height / p.crop_pct + 0.5));
  const auto cover_w = static_cast<int64_t>(std::floor(p.width / p.crop_pct + 0.5));
  const int64_t w = frame.width, h = frame.height;
  const bool by_height = cover_h * w >= cover_w * h;
  const int64_t rows = by_height ? cover_h : std::max(cover_h, divide(h * cover_w, w));
  const int64_t columns = by_height ? std::max(cover_w, divide(w * cover_h, h)) : cover_w;
  if (rows * columns > max_pixels) {
    return fail(error, EDGETL_INVALID_ARGUMENT,
                "an image of %dx%d pixels is too elongated for `resize: crop` (%lldx%lld before cropping); "
                "use squash or letterbox",
                frame.width, frame.height, static_cast<long long>(columns), static_cast<long long>(rows));
  }
  frame.columns = static_cast<int32_t>(columns);
  frame.rows = static_cast<int32_t>(rows);
  frame.left = -((frame.columns - p.width) / 2);
  frame.top = -((frame.rows - p.height) / 2);
  return EDGETL_OK;
}

float clip(float value, int32_t limit) { return std::min(value > 0 ? value : 0.0F, static_cast<float>(limit)); }

}  // namespace

edgetl_status make_frame(const Preprocessing& p, int32_t width, int32_t height, Frame& frame, edgetl_error* error) {
  if (width < 1 || height < 1 || width > max_side || height > max_side ||
      static_cast<int64_t>(width) * height > max_pixels) {
    return fail(error, EDGETL_INVALID_ARGUMENT,
                "expected an image of 1..%d pixels a side and at most %lld together, found %dx%d", max_side,
                static_cast<long long>(max_pixels), width, height);
  }
  frame = {height, width, p.height, p.width, 0, 0};
  if (p.resize == Resize::crop) return place_crop(p, frame, error);
  if (p.resize != Resize::squash) place_letterbox(p, frame);
  return EDGETL_OK;
}

Corners to_image(const Frame& frame, const Corners& box) {
  const float x_scale = static_cast<float>(frame.width) / static_cast<float>(frame.columns);
  const float y_scale = static_cast<float>(frame.height) / static_cast<float>(frame.rows);
  const auto left = static_cast<float>(frame.left), top = static_cast<float>(frame.top);
  return {clip((box.x0 - left) * x_scale, frame.width), clip((box.y0 - top) * y_scale, frame.height),
          clip((box.x1 - left) * x_scale, frame.width), clip((box.y1 - top) * y_scale, frame.height)};
}

}  // namespace edgetl
