// edgetl-bench: measure bundles on this device by the protocol and in the JSON form of `edgetl bench BUNDLE`.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "bench_result.h"
#include "bundle.h"
#include "cold_start.h"
#include "decode.h"
#include "edgetl/runtime.h"
#include "golden.h"
#include "latency.h"
#include "machine.h"
#include "model.h"
#include "pictures.h"
#include "sounds.h"
#include "stats.h"
#include "texts.h"
#include "threads.h"

namespace {

constexpr size_t timed_images = 16;
constexpr uint64_t seed = 0;

const edgetl::Program& program() {
  static const edgetl::Program described = {
      "edgetl-bench",
      "BUNDLE...",
      1,
      std::numeric_limits<size_t>::max(),
      "Measure latency, cold start and memory of bundles on this device; several are timed in the same rounds.",
      {{"--runs", "N", "Timed runs of each bundle, at least 300. [default: 300]"},
       {"--warmup", "N", "Untimed runs of each bundle before them. [default: 30]"},
       {"--threads", "N", "Threads per inference. [default: 1]"},
       {"--images", "PATH",
        "Images for timing, WAV files of a bundle for sound, or .txt files; files or folders; repeatable. [default: "
        "the golden "
        "ones]"},
       {"--cold-starts", "N", "Fresh processes per bundle that open it and infer once. [default: 3]"},
       {"--json", nullptr, "Print the result as JSON."},
       {"--engine-library", "PATH", "The engine's shared library. [default: EDGETL_ENGINE_LIBRARY, else usual names]"},
       {edgetl::cold_start_option, nullptr, "", true}}};
  return described;
}

struct Closes {
  void operator()(edgetl_model* model) const { edgetl_close(model); }
};
using Model = std::unique_ptr<edgetl_model, Closes>;

struct Request {
  std::vector<std::string> folders;
  std::vector<std::string> images;
  edgetl::Protocol protocol;
  int32_t cold_starts;
  edgetl_options options;
};

// The images of all bundles, as decoded, and as the network takes them; or recordings, only as it takes them; or texts.
struct Images {
  std::vector<edgetl::GivenText> texts;
  std::vector<edgetl::Picture> pictures;
  std::vector<std::vector<uint8_t>> inputs;
};

bool same_input(const edgetl::Manifest& one, const edgetl::Manifest& other) {
  const edgetl::Preprocessing &a = one.preprocessing, &b = other.preprocessing;
  return one.front == other.front && one.audio.rate_hz == other.audio.rate_hz &&
         one.text.tokenizer == other.text.tokenizer && one.text.lengths == other.text.lengths &&
         one.audio.file_rate_hz == other.audio.file_rate_hz && one.audio.samples == other.audio.samples &&
         one.series.steps == other.series.steps && one.series.channels == other.series.channels &&
         a.height == b.height && a.width == b.width && a.resize == b.resize && a.crop_pct == b.crop_pct &&
         a.interpolation == b.interpolation && a.fill == b.fill;
}

// Facts from one bundle's manifest.
void describe_bundle(const edgetl::Bundle& bundle, const std::string& folder, edgetl::BundleResult& result) {
  const edgetl::Manifest& manifest = bundle.manifest();
  result.bundle = folder;
  result.bundle_sha256 = bundle.digest();
  result.target = manifest.target;
  result.precision = manifest.precision;
  result.backend = manifest.backend;
  for (const std::string& file : manifest.model_files) {
    const auto entry = manifest.files.find(file);
    if (entry != manifest.files.end()) result.size_bytes += static_cast<int64_t>(entry->second.size_bytes);
  }
}

bool golden_images(const edgetl::Bundle& bundle, const std::string& folder, Images& shown, std::string& problem) {
  if (bundle.manifest().golden.count == 0) {
    const std::string nouns = std::string(edgetl::noun_of(bundle.manifest().front)) + "s";
    problem = folder + ": has no golden " + nouns + " for timing; name " + nouns + " with --images";
    return false;
  }
  std::vector<edgetl::GoldenImage> images;
  edgetl_error error{};
  if (edgetl::read_golden(bundle, images, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  for (const edgetl::GoldenImage& image : images) {
    shown.inputs.emplace_back(image.input.data, image.input.data + image.input.size);
    if (bundle.manifest().front == edgetl::Front::text) {
      shown.texts.push_back({image.file_name, {reinterpret_cast<const char*>(image.file.data), image.file.size}});
    }
    if (bundle.manifest().front != edgetl::Front::image) continue;
    edgetl::Picture& picture = shown.pictures.emplace_back();
    picture.rgb = std::make_unique<uint8_t[]>(image.rgb.size);
    std::copy_n(image.rgb.data, image.rgb.size, picture.rgb.get());
    picture.width = image.width;
    picture.height = image.height;
  }
  return true;
}

bool read_bundles(const Request& request, edgetl::BenchResult& result, Images& images, std::string& problem) {
  std::optional<edgetl::Manifest> first;
  for (const std::string& folder : request.folders) {
    edgetl::Bundle bundle;
    edgetl_error error{};
    if (bundle.read_folder(folder.c_str(), &request.options, &error) != EDGETL_OK) {
      problem = error.message;
      return false;
    }
    describe_bundle(bundle, folder, result.bundles.emplace_back());
    if (first && !same_input(*first, bundle.manifest())) {
      problem =
          folder + ": takes another input than " + request.folders[0] + "; bundles timed together need the same images";
      return false;
    }
    if (!first && request.images.empty() && !golden_images(bundle, folder, images, problem)) return false;
    if (!first) first = bundle.manifest();
  }
  return true;
}

bool named_texts(const Request& request, edgetl_model* model, Images& images, std::string& problem) {
  std::vector<std::string> files;
  edgetl_error error{};
  edgetl_status status = edgetl::list_files(request.images, edgetl::Files::texts, timed_images, files, &error);
  if (status == EDGETL_OK) status = edgetl::gather_texts({}, files, images.texts, &error);
  for (size_t i = 0; status == EDGETL_OK && i < images.texts.size(); ++i) {
    std::vector<int32_t> ids;
    size_t count = 0;
    status = edgetl::tokens_of(model, images.texts[i], ids, count, &error);
    const auto* bytes = reinterpret_cast<const uint8_t*>(ids.data());
    images.inputs.emplace_back(bytes, bytes + ids.size() * sizeof(int32_t));
  }
  problem = error.message;
  return status == EDGETL_OK;
}

bool named_images(const Request& request, edgetl_model* model, Images& images, std::string& problem) {
  if (model->bundle.manifest().front == edgetl::Front::text) return named_texts(request, model, images, problem);
  std::vector<std::string> files;
  edgetl_error error{};
  const int32_t rate_hz = edgetl::rate_of_sound(model);
  const edgetl::Series& series = model->bundle.manifest().series;
  const edgetl::Files kind = series.channels > 0 ? edgetl::Files::windows
                             : rate_hz > 0       ? edgetl::Files::sounds
                                                 : edgetl::Files::pictures;
  edgetl_status status = edgetl::list_files(request.images, kind, timed_images, files, &error);
  edgetl::InputLoader loader(model);
  for (size_t i = 0; status == EDGETL_OK && i < files.size(); ++i) {
    if (rate_hz > 0) {
      edgetl::Sound sound;
      status = edgetl::read_sound_file(files[i], rate_hz, sound, &error);
      if (status == EDGETL_OK) edgetl::prepare_sound(*model, sound, images.inputs.emplace_back());
      continue;
    }
    if (series.channels > 0) {
      edgetl::Window window;
      status = edgetl::read_window_file(files[i], series.channels, window, &error);
      if (status == EDGETL_OK) edgetl::prepare_window(*model, window, images.inputs.emplace_back());
      continue;
    }
    edgetl::Picture& picture = images.pictures.emplace_back();
    status = edgetl::read_picture_file(files[i].c_str(), picture, &error);
    if (status == EDGETL_OK) status = loader.prepare(picture, images.inputs.emplace_back(), &error);
  }
  problem = error.message;
  return status == EDGETL_OK;
}

bool measure_cold_starts(const Request& request, edgetl::BenchResult& result, std::string& problem) {
  if (request.cold_starts == 0) return true;
  for (edgetl::BundleResult& bundle : result.bundles) {
    edgetl::ColdStart cold{};
    if (!edgetl::measure_cold_start(bundle.bundle, request.options, request.cold_starts, cold, problem)) return false;
    bundle.cold_start = cold;
  }
  return true;
}

bool open_models(const Request& request, edgetl::BenchResult& result, std::vector<Model>& models,
                 std::string& problem) {
  for (edgetl::BundleResult& bundle : result.bundles) {
    edgetl_error error{};
    edgetl_model* model = nullptr;
    if (edgetl_open(bundle.bundle.c_str(), &request.options, &model, &error) != EDGETL_OK) {
      problem = error.message;
      return false;
    }
    models.emplace_back(model);
    edgetl_info info{};
    info.struct_size = sizeof info;
    edgetl_get_info(model, &info);
    bundle.backend_version = info.engine_version;
    bundle.runs = request.protocol.runs;
    bundle.threads = info.threads;
  }
  return true;
}

edgetl::TimedRun network_run(edgetl_model* model, const Images& images) {
  return [model, &images](int32_t number, edgetl_error* error) {
    const size_t turn = edgetl::turn_of(number, images.inputs.size());
    const std::vector<uint8_t>& input = images.inputs[turn];
    return edgetl::infer(*model, {input.data(), input.size()}, error);
  };
}

bool time_models(const Request& request, const std::vector<Model>& models, const Images& images,
                 edgetl::BenchResult& result, std::string& problem) {
  std::vector<edgetl::TimedRun> timed;
  timed.reserve(models.size());
  for (const Model& model : models) timed.push_back(network_run(model.get(), images));
  std::vector<std::vector<double>> times_ms;
  edgetl_error error{};
  result.machine = edgetl::describe_machine();
  result.usable_cores = edgetl::usable_threads();
  result.clock_mhz.before = edgetl::clock_mhz();
  result.temperature_c.before = edgetl::temperature_c();
  if (edgetl::time_interleaved(timed, request.protocol, times_ms, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  result.clock_mhz.after = edgetl::clock_mhz();
  result.temperature_c.after = edgetl::temperature_c();
  for (size_t i = 0; i < times_ms.size(); ++i) {
    edgetl::BundleResult& bundle = result.bundles[i];
    bundle.p50_ms = edgetl::quantile(times_ms[i], 0.5, edgetl::block_runs);
    bundle.p90_ms = edgetl::quantile(times_ms[i], 0.9, edgetl::block_runs);
    bundle.p99_ms = edgetl::p99(times_ms[i], edgetl::block_runs);
    if (i > 0) bundle.ratio = edgetl::speedup(times_ms[0], times_ms[i], edgetl::block_runs, request.protocol.seed);
  }
  return true;
}

// A detector's whole way from the decoded picture to its objects, apart from the rounds of the networks.
bool time_detection(const Request& request, const std::vector<Model>& models, const Images& images,
                    edgetl::BenchResult& result, std::string& problem) {
  std::vector<edgetl::TimedRun> timed;
  std::vector<size_t> places;
  std::vector<edgetl::InputLoader> loaders;
  std::vector<edgetl_detection> objects;
  loaders.reserve(models.size());
  for (size_t i = 0; i < models.size(); ++i) {
    edgetl_model* model = models[i].get();
    if (model->bundle.manifest().task != edgetl::Task::detection) continue;
    edgetl::InputLoader& loader = loaders.emplace_back(model);
    places.push_back(i);
    timed.emplace_back([&images, &loader, &objects, model](int32_t number, edgetl_error* error) {
      const edgetl::Picture& picture = images.pictures[edgetl::turn_of(number, images.pictures.size())];
      return loader.detect(model, picture, nullptr, objects, error);
    });
  }
  std::vector<std::vector<double>> times_ms;
  edgetl_error error{};
  if (edgetl::time_interleaved(timed, request.protocol, times_ms, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  for (size_t i = 0; i < places.size(); ++i) {
    result.bundles[places[i]].detect_p50_ms = edgetl::quantile(times_ms[i], 0.5, edgetl::block_runs);
  }
  return true;
}

// The time of a mixture of lengths would be that of none: only inputs as long as the median one are timed.
void keep_median_length(std::vector<std::vector<uint8_t>>& inputs) {
  std::vector<size_t> sizes;
  for (const std::vector<uint8_t>& input : inputs) sizes.push_back(input.size());
  std::sort(sizes.begin(), sizes.end());
  const size_t median = sizes[(sizes.size() - 1) / 2];
  const auto other = [&](const std::vector<uint8_t>& input) { return input.size() != median; };
  inputs.erase(std::remove_if(inputs.begin(), inputs.end(), other), inputs.end());
}

// The tokens of `input`, repeated or cut to `length`.
std::vector<uint8_t> of_length(const std::vector<uint8_t>& input, int32_t length) {
  std::vector<uint8_t> made(static_cast<size_t>(length) * sizeof(int32_t));
  for (size_t i = 0; i < made.size(); ++i) made[i] = input[i % input.size()];
  return made;
}

// The median of each, in interleaved rounds; short ones, enough for an interval.
bool time_medians(const Request& request, const std::vector<edgetl::TimedRun>& timed,
                  std::vector<std::optional<edgetl::Interval>>& medians, std::string& problem) {
  const edgetl::Protocol protocol{100, edgetl::block_runs, request.protocol.seed};
  std::vector<std::vector<double>> times_ms;
  edgetl_error error{};
  if (edgetl::time_interleaved(timed, protocol, times_ms, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  for (const std::vector<double>& times : times_ms) {
    medians.push_back(edgetl::quantile(times, 0.5, edgetl::block_runs));
  }
  return true;
}

// The networks at each length, and the tokenizer apart.
bool time_texts(const Request& request, const std::vector<Model>& models, const Images& images,
                edgetl::BenchResult& result, std::string& problem) {
  if (images.texts.empty()) return true;
  for (const int32_t length : models[0]->bundle.manifest().text.lengths) {
    const std::vector<uint8_t> input = of_length(images.inputs[0], length);
    std::vector<edgetl::TimedRun> timed;
    std::vector<std::optional<edgetl::Interval>> medians;
    for (const Model& model : models) {
      timed.emplace_back([&input, opened = model.get()](int32_t, edgetl_error* error) {
        return edgetl::infer(*opened, {input.data(), input.size()}, error);
      });
    }
    if (!time_medians(request, timed, medians, problem)) return false;
    for (size_t i = 0; i < models.size(); ++i) result.bundles[i].by_length.push_back({length, medians[i]});
  }
  std::vector<int32_t> ids;
  const edgetl::TimedRun tokenize = [&](int32_t number, edgetl_error* error) {
    size_t count = 0;
    return edgetl::tokens_of(models[0].get(), images.texts[edgetl::turn_of(number, images.texts.size())], ids, count,
                             error);
  };
  std::vector<std::optional<edgetl::Interval>> medians;
  if (!time_medians(request, {tokenize}, medians, problem)) return false;
  for (edgetl::BundleResult& bundle : result.bundles) bundle.tokenize_p50_ms = medians[0];
  return true;
}

bool measure(const Request& request, edgetl::BenchResult& result, std::string& problem) {
  Images images;
  std::vector<Model> models;
  if (!read_bundles(request, result, images, problem)) return false;
  if (!measure_cold_starts(request, result, problem)) return false;
  if (!open_models(request, result, models, problem)) return false;
  if (!request.images.empty() && !named_images(request, models[0].get(), images, problem)) return false;
  keep_median_length(images.inputs);
  return time_models(request, models, images, result, problem) &&
         time_texts(request, models, images, result, problem) &&
         time_detection(request, models, images, result, problem);
}

bool read_request(const edgetl::Arguments& arguments, Request& request, std::string& problem) {
  request.folders = arguments.positional();
  request.images = arguments.all("--images");
  request.protocol.seed = seed;
  request.options.struct_size = sizeof request.options;
  request.options.engine_library = arguments.text("--engine-library");
  return arguments.number("--runs", 300, 10'000'000, 300, request.protocol.runs, problem) &&
         arguments.number("--warmup", 1, 1'000'000, 30, request.protocol.warmup, problem) &&
         arguments.number("--cold-starts", 0, 100, 3, request.cold_starts, problem) &&
         arguments.number("--threads", 1, 1024, 1, request.options.threads, problem);
}

}  // namespace

int main(int argc, char** argv) {
  edgetl::Arguments arguments;
  int code = 0;
  if (!arguments.start(program(), argc, argv, code)) return code;
  Request request{};
  std::string problem;
  if (!read_request(arguments, request, problem)) return edgetl::wrong_usage(program(), problem);
  if (arguments.has(edgetl::cold_start_option)) {
    return edgetl::run_cold_start(request.folders[0].c_str(), request.options);
  }
  edgetl::BenchResult result;
  result.created = edgetl::utc_date(std::time(nullptr));
  if (!measure(request, result, problem)) return edgetl::failed(program(), problem);
  if (arguments.has("--json")) {
    std::fputs(edgetl::json_of(result).c_str(), stdout);
  } else {
    for (const edgetl::BundleResult& bundle : result.bundles) std::printf("%s\n", edgetl::line_of(bundle).c_str());
  }
  return edgetl::finish_output(program());
}
