// edgetl-bench: measure bundles on this device by the protocol and in the JSON form of `edgetl bench BUNDLE`.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "arguments.h"
#include "bench_extras.h"
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

using edgetl::Images;
using edgetl::Model;
using edgetl::Request;

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
       {"--duration", "SECONDS", "Time whole rounds for so long, instead of --runs."},
       {"--warmup", "N", "Untimed runs of each bundle before them. [default: until times are steady]"},
       {"--rate", "HZ", "Also measure with so many arrivals a second; latency counts from the arrival."},
       {"--arrivals", "HOW", "With --rate: fixed (equal gaps) or poisson (independent ones). [default: fixed]"},
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

// Untimed runs of every model before the timed ones.
bool warm_up(const Request& request, const std::vector<edgetl::TimedRun>& runs, edgetl::BenchResult& result,
             edgetl_error* error) {
  if (!request.until_steady) return true;
  for (size_t i = 0; i < runs.size(); ++i) {
    if (edgetl::warm_up(runs[i], result.bundles[i].warm_up.emplace(), error) != EDGETL_OK) return false;
  }
  return true;
}

// Each model alone, one after the other.
bool pace(const Request& request, const std::vector<edgetl::TimedRun>& runs, edgetl::BenchResult& result,
          edgetl_error* error) {
  if (!request.pace) return true;
  const std::optional<double>& seconds = request.protocol.duration_s;
  const double arrivals = seconds ? std::round(request.pace->rate_hz * *seconds) : request.protocol.runs;
  const auto count = static_cast<int32_t>(std::clamp(arrivals, 1.0, 1e8));
  for (size_t i = 0; i < runs.size(); ++i) {
    const edgetl_status status =
        edgetl::run_paced(runs[i], *request.pace, count, request.protocol.seed, result.bundles[i].paced, error);
    if (status != EDGETL_OK) return false;
  }
  return true;
}

void describe_times(const std::vector<double>& times_ms, edgetl::BundleResult& bundle) {
  bundle.runs = static_cast<int32_t>(times_ms.size());
  bundle.p50_ms = edgetl::quantile(times_ms, 0.5, edgetl::block_runs);
  bundle.p90_ms = edgetl::quantile(times_ms, 0.9, edgetl::block_runs);
  bundle.p99_ms = edgetl::p99(times_ms, edgetl::block_runs);
  const edgetl::Estimate p999 = edgetl::tail(times_ms, 0.999, edgetl::block_runs);
  if (p999.interval) bundle.p999_ms = p999;
  bundle.runs_for_p99 = edgetl::runs_for_tail(times_ms, 0.99, edgetl::block_runs);
  bundle.runs_for_p999 = edgetl::runs_for_tail(times_ms, 0.999, edgetl::block_runs);
  bundle.round_spread = edgetl::round_spread(times_ms, edgetl::block_runs);
}

void warn(edgetl::BenchResult& result) {
  std::optional<double> spread;
  std::string unsteady;
  for (const edgetl::BundleResult& bundle : result.bundles) {
    if (bundle.round_spread) spread = std::max(spread.value_or(0), *bundle.round_spread);
    const bool steady = !bundle.warm_up || bundle.warm_up->steady_from;
    if (!steady) unsteady += (unsteady.empty() ? "" : ", ") + bundle.bundle;
  }
  const int32_t threads = result.bundles[0].threads;
  const edgetl::Seen seen = {result.machine,
                             static_cast<double>(result.usable_cores),
                             threads,
                             *result.conditions,
                             spread,
                             result.clock_mhz.before,
                             result.clock_mhz.after,
                             result.temperature_c.after};
  result.warnings = edgetl::doubts(seen);
  if (!unsteady.empty()) result.warnings.push_back("never became steady while warming up: " + unsteady);
  for (const edgetl::BundleResult& bundle : result.bundles) {
    if (!bundle.paced || bundle.paced->utilization < 1) continue;
    char text[200];
    std::snprintf(
        text, sizeof text,
        "%g arrivals a second need %.2f times the time there is: the queue grows, and latencies depend on how "
        "long it was measured",
        bundle.paced->pace.rate_hz, bundle.paced->utilization);
    result.warnings.emplace_back(text);
  }
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
  if (!warm_up(request, timed, result, &error)) {
    problem = error.message;
    return false;
  }
  const edgetl::Counters before = edgetl::counters_now();
  if (edgetl::time_interleaved(timed, request.protocol, times_ms, &error) != EDGETL_OK) {
    problem = error.message;
    return false;
  }
  result.conditions = edgetl::between(before, edgetl::counters_now(), result.bundles[0].threads);
  result.clock_mhz.after = edgetl::clock_mhz();
  result.temperature_c.after = edgetl::temperature_c();
  for (size_t i = 0; i < times_ms.size(); ++i) {
    edgetl::BundleResult& bundle = result.bundles[i];
    describe_times(times_ms[i], bundle);
    if (i > 0) bundle.ratio = edgetl::speedup(times_ms[0], times_ms[i], edgetl::block_runs, request.protocol.seed);
  }
  if (!pace(request, timed, result, &error)) {
    problem = error.message;
    return false;
  }
  warn(result);
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

bool measure(const Request& request, edgetl::BenchResult& result, std::string& problem) {
  Images images;
  std::vector<Model> models;
  if (!read_bundles(request, result, images, problem)) return false;
  if (!measure_cold_starts(request, result, problem)) return false;
  if (!open_models(request, result, models, problem)) return false;
  if (!request.images.empty() && !named_images(request, models[0].get(), images, problem)) return false;
  keep_median_length(images.inputs);
  return time_models(request, models, images, result, problem) &&
         edgetl::time_texts(request, models, images, result, problem) &&
         edgetl::time_detection(request, models, images, result, problem);
}

bool read_pace(const edgetl::Arguments& arguments, Request& request, std::string& problem) {
  std::optional<double> rate;
  const char* given = arguments.text("--arrivals");
  const std::string arrivals = given == nullptr ? "fixed" : given;
  if (arrivals != "fixed" && arrivals != "poisson") {
    problem = "--arrivals takes fixed or poisson; found `" + arrivals + "`";
    return false;
  }
  if (!arguments.decimal("--rate", 0.001, 1e6, rate, problem)) return false;
  if (rate) request.pace = edgetl::Pace{*rate, arrivals};
  return arguments.decimal("--duration", 0.1, 86'400, request.protocol.duration_s, problem);
}

bool read_request(const edgetl::Arguments& arguments, Request& request, std::string& problem) {
  request.folders = arguments.positional();
  request.images = arguments.all("--images");
  request.protocol.seed = seed;
  request.until_steady = !arguments.has("--warmup");
  request.options.struct_size = sizeof request.options;
  request.options.engine_library = arguments.text("--engine-library");
  return read_pace(arguments, request, problem) &&
         arguments.number("--runs", 300, 10'000'000, 300, request.protocol.runs, problem) &&
         arguments.number("--warmup", 1, 1'000'000, edgetl::block_runs, request.protocol.warmup, problem) &&
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
    for (const std::string& warning : result.warnings) std::fprintf(stderr, "edgetl-bench: %s\n", warning.c_str());
    for (const edgetl::BundleResult& bundle : result.bundles) std::printf("%s\n", edgetl::line_of(bundle).c_str());
  }
  return edgetl::finish_output(program());
}
