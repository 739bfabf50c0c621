// What edgetl-bench times apart from the rounds of the networks: whole detections, and texts of each length.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench_result.h"
#include "edgetl/runtime.h"
#include "latency.h"
#include "paced.h"
#include "pictures.h"
#include "texts.h"

namespace edgetl {

struct Closes {
  void operator()(edgetl_model* model) const { edgetl_close(model); }
};
using Model = std::unique_ptr<edgetl_model, Closes>;

struct Request {
  std::vector<std::string> folders;
  std::vector<std::string> images;
  Protocol protocol;
  bool until_steady;  // no number of warm-up runs was given
  std::optional<Pace> pace;
  int32_t cold_starts;
  edgetl_options options;
};

// The images of all bundles, as decoded, and as the network takes them; or recordings, only as it takes them; or texts.
struct Images {
  std::vector<GivenText> texts;
  std::vector<Picture> pictures;
  std::vector<std::vector<uint8_t>> inputs;
};

// A detector's whole way from the decoded picture to its objects. False with one line in `problem`, as all here.
bool time_detection(const Request& request, const std::vector<Model>& models, const Images& images, BenchResult& result,
                    std::string& problem);

// The networks at each length of text, and the tokenizer apart.
bool time_texts(const Request& request, const std::vector<Model>& models, const Images& images, BenchResult& result,
                std::string& problem);

}  // namespace edgetl
