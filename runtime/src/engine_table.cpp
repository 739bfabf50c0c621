#include <cstring>

#include "engine.h"

namespace edgetl {
namespace {

struct Row {
  const char* name;
  OpenEngine open;
};

constexpr Row rows[] = {
#if EDGETL_WITH_ONNXRUNTIME
    {"onnxruntime", open_onnxruntime},
#endif
#if EDGETL_WITH_OPENVINO
    {"openvino", open_openvino},
#endif
#if EDGETL_WITH_TENSORRT
    {"tensorrt", open_tensorrt},
#endif
    {"null", open_null},
};
constexpr int32_t row_count = sizeof rows / sizeof rows[0];

}  // namespace

OpenEngine find_engine(const char* name) {
  for (const Row& row : rows) {
    if (std::strcmp(row.name, name) == 0) return row.open;
  }
  return nullptr;
}

}  // namespace edgetl

const char* edgetl_engine_name(int32_t index) {
  return index >= 0 && index < edgetl::row_count ? edgetl::rows[index].name : nullptr;
}
