// The tensors of a safetensors file, trusting nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "bundle.h"

namespace edgetl {

struct Tensor {
  std::string type;  // "F32", "I64", ...
  std::vector<int64_t> shape;
  Bytes data;
};

class Tensors {
 public:
  // Not owned: the bytes must stay. EDGETL_BUNDLE_INVALID, after `path`, if they are damaged.
  edgetl_status read(Bytes file, const std::string& path, edgetl_error* error);

  // EDGETL_BUNDLE_INVALID unless the tensor is there with this type and shape, where -1 is any size, and finite.
  edgetl_status take(const char* name, const std::vector<int64_t>& shape, std::vector<float>& values,
                     edgetl_error* error) const;
  edgetl_status take(const char* name, const std::vector<int64_t>& shape, std::vector<int64_t>& values,
                     edgetl_error* error) const;

 private:
  edgetl_status find(const char* name, const char* type, const std::vector<int64_t>& shape, const Tensor*& found,
                     edgetl_error* error) const;
  std::string path_;
  std::map<std::string, Tensor> tensors_;
};

}  // namespace edgetl
