// edgetl-run: classify picture files, as `edgetl predict` does.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "arguments.h"
#include "edgetl/runtime.h"
#include "fail.h"
#include "json_writer.h"
#include "pictures.h"

namespace {

using edgetl::JsonWriter;

const edgetl::Program& program() {
  static const edgetl::Program described = {
      "edgetl-run",
      "BUNDLE IMAGE...",
      2,
      std::numeric_limits<size_t>::max(),
      "Classify JPEG and PNG files with a bundle.",
      {{"--top", "K", "Classes to show per image. [default: 3]"},
       {"--threads", "N", "Threads per inference. [default: 1]"},
       {"--json", nullptr, "Print the result as JSON."},
       {"--logits", nullptr, "Also show the raw logits, with all digits."},
       {"--engine-library", "PATH",
        "The engine's shared library. [default: EDGETL_ENGINE_LIBRARY, else usual names]"}}};
  return described;
}

struct Prediction {
  std::string path;
  std::vector<size_t> classes;  // most likely first
  std::vector<double> probabilities;
  std::vector<float> logits;
};

// In double precision, as the Python side does, so that the digits agree.
std::vector<double> softmax(const std::vector<float>& logits) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  std::vector<double> shares;
  double sum = 0;
  for (const float logit : logits) {
    shares.push_back(std::exp(static_cast<double>(logit) - largest));
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

void rank(Prediction& prediction, size_t top) {
  const std::vector<double> shares = softmax(prediction.logits);
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return shares[a] > shares[b]; });
  order.resize(std::min(top, order.size()));
  prediction.classes = order;
  for (const size_t index : order) prediction.probabilities.push_back(shares[index]);
}

const char* label(const edgetl_model* model, size_t index) { return edgetl_label(model, static_cast<int32_t>(index)); }

void print_text(const edgetl_model* model, const Prediction& prediction, bool with_logits) {
  std::string line = prediction.path + ":";
  for (size_t i = 0; i < prediction.classes.size(); ++i) {
    char share[32];
    std::snprintf(share, sizeof share, " %.1f %%", 100 * prediction.probabilities[i]);
    line += (i == 0 ? " " : ", ") + std::string(label(model, prediction.classes[i])) + share;
  }
  edgetl::make_printable(line.data(), line.size());
  std::printf("%s\n", line.c_str());
  if (!with_logits) return;
  std::printf("  logits:");
  for (const float logit : prediction.logits) std::printf(" %.9g", static_cast<double>(logit));
  std::printf("\n");
}

void write_json(const edgetl_model* model, const Prediction& prediction, bool with_logits, JsonWriter& json) {
  json.open('{').key("path").text(prediction.path).key("labels").open('[');
  for (const size_t index : prediction.classes) json.text(label(model, index));
  json.close().key("probabilities").open('[');
  for (const double share : prediction.probabilities) json.number(share);
  json.close();
  if (with_logits) {
    json.key("logits").open('[');
    for (const float logit : prediction.logits) json.number(logit);
    json.close();
  }
  json.close();
}

edgetl_status predict(edgetl_model* model, edgetl::InputLoader& loader, size_t top, Prediction& prediction,
                      edgetl_error* error) {
  std::vector<uint8_t> input;
  if (const edgetl_status status = loader.load(prediction.path, input, error)) return status;
  edgetl_info info{};
  info.struct_size = sizeof info;
  edgetl_get_info(model, &info);
  prediction.logits.resize(static_cast<size_t>(info.classes));
  const edgetl_status status =
      edgetl_run(model, input.data(), input.size(), prediction.logits.data(), prediction.logits.size(), error);
  if (status == EDGETL_OK) rank(prediction, top);
  return status;
}

struct Closes {
  void operator()(edgetl_model* model) const { edgetl_close(model); }
};

}  // namespace

int main(int argc, char** argv) {
  edgetl::Arguments arguments;
  int code = 0;
  if (!arguments.start(program(), argc, argv, code)) return code;
  int32_t top = 0, threads = 0;
  std::string problem;
  if (!arguments.number("--top", 1, 100'000, 3, top, problem) ||
      !arguments.number("--threads", 1, 1024, 1, threads, problem)) {
    return edgetl::wrong_usage(program(), problem);
  }
  edgetl_options options{};
  options.struct_size = sizeof options;
  options.threads = threads;
  options.engine_library = arguments.text("--engine-library");
  edgetl_error error{};
  edgetl_model* opened = nullptr;
  if (edgetl_open(arguments.positional()[0].c_str(), &options, &opened, &error) != EDGETL_OK) {
    return edgetl::failed(program(), error.message);
  }
  const std::unique_ptr<edgetl_model, Closes> model(opened);

  const bool as_json = arguments.has("--json"), with_logits = arguments.has("--logits");
  edgetl::InputLoader loader(model.get());
  JsonWriter json;
  json.open('[');
  for (size_t i = 1; i < arguments.positional().size(); ++i) {
    Prediction prediction;
    prediction.path = arguments.positional()[i];
    if (predict(model.get(), loader, static_cast<size_t>(top), prediction, &error) != EDGETL_OK) {
      return edgetl::failed(program(), error.message);
    }
    if (as_json) {
      write_json(model.get(), prediction, with_logits, json);
    } else {
      print_text(model.get(), prediction, with_logits);
    }
  }
  json.close();
  if (as_json) std::fputs(json.document().c_str(), stdout);
  return edgetl::finish_output(program());
}
