// A small bundle, opened through the C functions.
#pragma once

#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <memory>

#include "edgetl/runtime.h"
#include "small_bundle.h"

namespace small_bundle {

struct Close {
  void operator()(edgetl_model* model) const { edgetl_close(model); }
};
using Opened = std::unique_ptr<edgetl_model, Close>;

inline Opened open(const Folder& folder, const edgetl_options* options = nullptr) {
  edgetl_model* model = nullptr;
  edgetl_error error;
  const edgetl_status status = edgetl_open(folder.path(), options, &model, &error);
  CAPTURE(error.message);
  REQUIRE(status == EDGETL_OK);
  return Opened(model);
}

inline bool contains(const edgetl_error& error, const char* text) {
  return std::strstr(error.message, text) != nullptr;
}

inline std::array<uint8_t, 192> gray_picture() {  // 8 x 8
  std::array<uint8_t, 192> pixels{};
  pixels.fill(100);
  return pixels;
}

}  // namespace small_bundle
