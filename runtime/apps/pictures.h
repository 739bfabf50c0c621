// Picture files for the apps: find, decode, preprocess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "edgetl/runtime.h"

namespace edgetl {

// Picture files -> the input of one model. Keeps its memory between pictures.
class InputLoader {
 public:
  explicit InputLoader(const edgetl_model* model) : model_(model) {}
  edgetl_status load(const std::string& path, std::vector<uint8_t>& input, edgetl_error* error);

 private:
  const edgetl_model* model_;
  std::vector<uint64_t> scratch_;  // aligned to 8
};

// `paths` with every folder replaced by the JPEG and PNG files in and below it, in the order of their names; at most
// `most`, evenly spread.
edgetl_status list_pictures(const std::vector<std::string>& paths, size_t most, std::vector<std::string>& files,
                            edgetl_error* error);

// The decoder in the form that edgetl_verify takes.
edgetl_status decode_for_verify(void* user, const char* name, const uint8_t* file, size_t bytes, uint8_t* rgb,
                                size_t capacity, int32_t* width, int32_t* height);

}  // namespace edgetl
