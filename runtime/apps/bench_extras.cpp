#include "bench_extras.h"

#include <utility>

#include "model.h"

namespace edgetl {
namespace {

// The tokens of `input`, repeated or cut to `length`.
std::vector<uint8_t> of_length(const std::vector<uint8_t>& input, int32_t length) {
  std::vector<uint8_t> made(static_cast<size_t>(length) * sizeof(int32_t));
  for (size_t i = 0; i < made.size(); ++i) made[i] = input[i % input.size()];
  return made;
}

// The median of each, in interleaved rounds; short ones, enough for an interval.
bool time_medians(const Request& request, const std::vector<TimedRun>& timed,
                  std::vector<std::optional<Interval>>& medians, std::string& problem) {
  const Protocol protocol{100, block_runs, request.protocol.seed};
  std::vector<std::vector<double>> times_ms;
  edgetl_error error{};
  if (time_interleaved(timed, protocol, times_ms, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  for (const std::vector<double>& times : times_ms) {
    medians.push_back(quantile(times, 0.5, block_runs));
  }
  return true;
}

}  // namespace

bool time_texts(const Request& request, const std::vector<Model>& models, const Images& images, BenchResult& result,
                std::string& problem) {
  if (images.texts.empty()) return true;
  for (const int32_t length : models[0]->bundle.manifest().text.lengths) {
    const std::vector<uint8_t> input = of_length(images.inputs[0], length);
    std::vector<TimedRun> timed;
    std::vector<std::optional<Interval>> medians;
    for (const Model& model : models) {
      timed.emplace_back([&input, opened = model.get()](int32_t, edgetl_error* error) {
        return infer(*opened, {input.data(), input.size()}, error);
      });
    }
    if (!time_medians(request, timed, medians, problem)) return false;
    for (size_t i = 0; i < models.size(); ++i) result.bundles[i].by_length.push_back({length, medians[i]});
  }
  std::vector<int32_t> ids;
  const TimedRun tokenize = [&](int32_t number, edgetl_error* error) {
    size_t count = 0;
    return tokens_of(models[0].get(), images.texts[turn_of(number, images.texts.size())], ids, count, error);
  };
  std::vector<std::optional<Interval>> medians;
  if (!time_medians(request, {tokenize}, medians, problem)) return false;
  for (BundleResult& bundle : result.bundles) bundle.tokenize_p50_ms = medians[0];
  return true;
}

bool time_detection(const Request& request, const std::vector<Model>& models, const Images& images, BenchResult& result,
                    std::string& problem) {
  std::vector<TimedRun> timed;
  std::vector<size_t> places;
  std::vector<InputLoader> loaders;
  std::vector<edgetl_detection> objects;
  loaders.reserve(models.size());
  for (size_t i = 0; i < models.size(); ++i) {
    edgetl_model* model = models[i].get();
    if (model->bundle.manifest().task != Task::detection) continue;
    InputLoader& loader = loaders.emplace_back(model);
    places.push_back(i);
    timed.emplace_back([&images, &loader, &objects, model](int32_t number, edgetl_error* error) {
      const Picture& picture = images.pictures[turn_of(number, images.pictures.size())];
      return loader.detect(model, picture, nullptr, objects, error);
    });
  }
  std::vector<std::vector<double>> times_ms;
  edgetl_error error{};
  if (time_interleaved(timed, request.protocol, times_ms, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  for (size_t i = 0; i < places.size(); ++i) {
    result.bundles[places[i]].detect_p50_ms = quantile(times_ms[i], 0.5, block_runs);
  }
  return true;
}

}  // namespace edgetl
