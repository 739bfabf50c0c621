// What a network must take and give. Every engine describes what it opened; the comparison is the same for all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"

namespace edgetl {

constexpr const char* input_name = "image";    // uint8 (1, height, width, 3), RGB
constexpr const char* output_name = "logits";  // float32 (1, classes)

struct TensorFacts {
  std::string name;
  std::string type;           // "uint8", "float32", or what else was found
  std::vector<int64_t> dims;  // -1: any
};

inline size_t input_bytes(const Preprocessing& p) {
  return static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3;
}

// EDGETL_ENGINE_REFUSED unless there are exactly `image` uint8 (1 or any, height, width, 3) in and `logits` float32
// (1 or any, classes) out, sizes as in the manifest.
edgetl_status check_interface(const Bundle& bundle, const std::vector<TensorFacts>& inputs,
                              const std::vector<TensorFacts>& outputs, edgetl_error* error);

}  // namespace edgetl
