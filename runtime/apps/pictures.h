// Picture files for the apps: find, decode, preprocess.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "decode.h"
#include "edgetl/runtime.h"

namespace edgetl {

// Picture files -> the input of one model, or its objects. Keeps its memory between pictures.
class InputLoader {
 public:
  explicit InputLoader(const edgetl_model* model) : model_(model) {}
  edgetl_status load(const std::string& path, std::vector<uint8_t>& input, edgetl_error* error);
  edgetl_status prepare(const Picture& picture, std::vector<uint8_t>& input, edgetl_error* error);

  // `objects` has room for all of them.
  edgetl_status detect(edgetl_model* model, const Picture& picture, const edgetl_postprocess* settings,
                       std::vector<edgetl_detection>& objects, edgetl_error* error);

 private:
  edgetl_status reserve(const Picture& picture, edgetl_error* error);
  const edgetl_model* model_;
  std::vector<uint64_t> scratch_;  // aligned to 8
};

enum class Files { pictures, sounds, windows, texts };

// `paths` with every folder replaced by the files of this kind in and below it: JPEG and PNG, WAV, windows of series, .txt; in the order of their
// names; at most `most`, evenly spread.
edgetl_status list_files(const std::vector<std::string>& paths, Files kind, size_t most,
                         std::vector<std::string>& files, edgetl_error* error);

// The decoder in the form that edgetl_verify takes.
edgetl_status decode_for_verify(void* user, const char* name, const uint8_t* file, size_t bytes, uint8_t* rgb,
                                size_t capacity, int32_t* width, int32_t* height);

}  // namespace edgetl
