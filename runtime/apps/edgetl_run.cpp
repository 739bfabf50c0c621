// edgetl-run: classify picture files and recordings or find objects in pictures, as `edgetl predict` does; or listen to
// a stream.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "answers.h"
#include "arguments.h"
#include "edgetl/runtime.h"
#include "fail.h"
#include "json_writer.h"
#include "pictures.h"
#include "run_stream.h"
#include "sounds.h"
#include "texts.h"

namespace {

using edgetl::JsonWriter;
using edgetl::Prediction;

const edgetl::Program& program() {
  static const edgetl::Program described = {
      "edgetl-run",
      "BUNDLE FILE...",
      1,
      std::numeric_limits<size_t>::max(),
      "Classify JPEG and PNG files with a bundle, or find the objects in them; or classify WAV files, windows of "
      "series in "
      "CSV and NPY files, or texts.",
      {{"--top", "K", "Classes to show per file or window. [default: 3]"},
       {"--threshold", "SCORE",
        "Lowest score of an object to show, 0 to 1. [default: the bundle's own] With --stream, as P or CLASS=P: mean "
        "probability from which a class is detected, 0 to 1, or off; repeatable. [default: 0.5]"},
       {"--threads", "N", "Threads per inference. [default: 1]"},
       {"--json", nullptr, "Print the result as JSON."},
       {"--logits", nullptr, "Also show the raw logits, with all digits."},
       {"--engine-library", "PATH", "The engine's shared library. [default: EDGETL_ENGINE_LIBRARY, else usual names]"},
       {"--text", "TEXT",
        "Classify this text; repeatable. A FILE holds one text, with the path - every line of stdin is one."},
       {"--ids", nullptr, "Show the tokens of texts instead of classes."},
       {"--stream", nullptr,
        "FILE is a WAV file of any length, or - for int16 samples from stdin, mono, little-endian; of sensors CSV "
        "lines, "
        "an NPY file, or - for lines from stdin. Prints a line for each detection, with --json an object."},
       {"--raw", nullptr, "Sensors: float32 values, little-endian, one time step after the other, instead of lines."},
       {"--rate", "HZ", "Rate of the samples from stdin."},
       {"--hop", "MS", "From one window to the next; of sensors in time steps. [default: a quarter of the window]"},
       {"--smoothing", "K", "Windows over whose probabilities the mean is taken. [default: 4]"},
       {"--refractory", "MS",
        "From one detection to the next at least; of sensors in time steps. [default: the window]"},
       {"--hops", nullptr, "Print a line for every window."}}};
  return described;
}

edgetl_info info_of(const edgetl_model* model) {
  edgetl_info info{};
  info.struct_size = sizeof info;
  edgetl_get_info(model, &info);
  return info;
}

edgetl_status classify_picture(edgetl_model* model, edgetl::InputLoader& loader, const std::string& path,
                               std::vector<float>& logits, edgetl_error* error) {
  std::vector<uint8_t> input;
  if (const edgetl_status status = loader.load(path, input, error)) return status;
  return edgetl_run(model, input.data(), input.size(), logits.data(), logits.size(), error);
}

edgetl_status classify_sound(edgetl_model* model, const std::string& path, int32_t rate_hz, std::vector<float>& logits,
                             edgetl_error* error) {
  edgetl::Sound sound;
  if (const edgetl_status status = edgetl::read_sound_file(path, rate_hz, sound, error)) return status;
  return edgetl_classify_samples(model, sound.samples.data(), sound.samples.size(), rate_hz, logits.data(),
                                 logits.size(), error);
}

edgetl_status classify_window(edgetl_model* model, const std::string& path, std::vector<float>& logits,
                              edgetl_error* error) {
  edgetl::Window window;
  const edgetl_info info = info_of(model);
  if (const edgetl_status status = edgetl::read_window_file(path, info.channels, window, error)) return status;
  return edgetl_classify_window(model, window.values.data(), window.steps, window.channels, logits.data(),
                                logits.size(), error);
}

edgetl_status predict(edgetl_model* model, edgetl::InputLoader& loader, size_t top, Prediction& prediction,
                      edgetl_error* error) {
  const edgetl_info info = info_of(model);
  prediction.logits.resize(static_cast<size_t>(info.classes));
  const edgetl_status status = info.channels > 0 ? classify_window(model, prediction.path, prediction.logits, error)
                               : info.rate_hz > 0
                                   ? classify_sound(model, prediction.path, info.rate_hz, prediction.logits, error)
                                   : classify_picture(model, loader, prediction.path, prediction.logits, error);
  if (status == EDGETL_OK) edgetl::rank(model, prediction, top);
  return status;
}

// --- objects

void print_objects(const edgetl_model* model, const std::string& path, const std::vector<edgetl_detection>& objects) {
  std::string line = path + ": " + std::to_string(objects.size()) + (objects.size() == 1 ? " object" : " objects");
  edgetl::make_printable(line.data(), line.size());
  std::printf("%s\n", line.c_str());
  for (const edgetl_detection& object : objects) {
    std::string name = edgetl_label(model, object.label);
    edgetl::make_printable(name.data(), name.size());
    std::printf("  %s %.1f %%  %.1f %.1f %.1f %.1f\n", name.c_str(), 100 * static_cast<double>(object.score),
                static_cast<double>(object.x0), static_cast<double>(object.y0), static_cast<double>(object.x1),
                static_cast<double>(object.y1));
  }
}

void write_objects(const edgetl_model* model, const std::string& path, const std::vector<edgetl_detection>& objects,
                   JsonWriter& json) {
  json.open('{').key("path").text(path).key("objects").open('[');
  for (const edgetl_detection& object : objects) {
    json.open('{').key("label").text(edgetl_label(model, object.label)).key("score").number(object.score);
    json.key("box").open('[').number(object.x0).number(object.y0).number(object.x1).number(object.y1).close().close();
  }
  json.close().close();
}

// --- texts

void print_ids(const std::string& name, const std::vector<int32_t>& ids) {
  std::string line = name + ":";
  edgetl::make_printable(line.data(), line.size());
  for (const int32_t id : ids) line += " " + std::to_string(id);
  std::printf("%s\n", line.c_str());
}

void write_ids(const std::string& name, const std::vector<int32_t>& ids, JsonWriter& json) {
  json.open('{').key("path").text(name).key("ids").open('[');
  for (const int32_t id : ids) json.whole(id);
  json.close().close();
}

// --- all

struct Request {
  size_t top = 0;
  bool as_json = false, with_logits = false, ids = false;
  std::optional<float> threshold;
};

void show(const edgetl_model* model, const Prediction& prediction, const Request& request, JsonWriter& json) {
  if (request.as_json) {
    edgetl::write_json(model, prediction, request.with_logits, json);
  } else {
    edgetl::print_text(model, prediction, request.with_logits);
  }
}

edgetl_status classify_file(edgetl_model* model, edgetl::InputLoader& loader, const std::string& path,
                            const Request& request, JsonWriter& json, edgetl_error* error) {
  Prediction prediction;
  prediction.path = path;
  if (const edgetl_status status = predict(model, loader, request.top, prediction, error)) return status;
  show(model, prediction, request, json);
  return EDGETL_OK;
}

// Of a text without the padding that the network takes.
edgetl_status show_ids(edgetl_model* model, const edgetl::GivenText& given, const Request& request, JsonWriter& json,
                       edgetl_error* error) {
  std::vector<int32_t> ids;
  size_t count = 0;
  if (const edgetl_status status = edgetl::tokens_of(model, given, ids, count, error)) return status;
  ids.resize(count);
  request.as_json ? write_ids(given.name, ids, json) : print_ids(given.name, ids);
  return EDGETL_OK;
}

edgetl_status read_text(edgetl_model* model, const edgetl::GivenText& given, const Request& request, JsonWriter& json,
                        edgetl_error* error) {
  if (request.ids) return show_ids(model, given, request, json, error);
  Prediction prediction;
  prediction.path = given.name;
  prediction.logits.resize(static_cast<size_t>(info_of(model).classes));
  if (const edgetl_status status = edgetl::classify_text(model, given, prediction.logits, error)) return status;
  edgetl::rank(model, prediction, request.top);
  show(model, prediction, request, json);
  return EDGETL_OK;
}

edgetl_status read_texts(edgetl_model* model, const edgetl::Arguments& arguments, const Request& request,
                         JsonWriter& json, edgetl_error* error) {
  const std::vector<std::string>& given = arguments.positional();
  std::vector<edgetl::GivenText> texts;
  edgetl_status status = edgetl::gather_texts(arguments.all("--text"), {given.begin() + 1, given.end()}, texts, error);
  for (size_t i = 0; status == EDGETL_OK && i < texts.size(); ++i) {
    status = read_text(model, texts[i], request, json, error);
  }
  return status;
}

edgetl_status search_file(edgetl_model* model, edgetl::InputLoader& loader, const std::string& path,
                          const Request& request, JsonWriter& json, edgetl_error* error) {
  edgetl_postprocess settings{};
  settings.struct_size = sizeof settings;
  edgetl_get_postprocess(model, &settings);
  if (request.threshold) settings.score_threshold = *request.threshold;
  edgetl::Picture picture;
  std::vector<edgetl_detection> objects;
  if (const edgetl_status status = edgetl::read_picture_file(path.c_str(), picture, error)) return status;
  if (const edgetl_status status = loader.detect(model, picture, &settings, objects, error)) return status;
  if (request.as_json) {
    write_objects(model, path, objects, json);
  } else {
    print_objects(model, path, objects);
  }
  return EDGETL_OK;
}

bool takes_texts(const edgetl_model* model) { return info_of(model).max_tokens > 0; }

bool is_detector(const edgetl_model* model) { return std::strcmp(info_of(model).task, "detection") == 0; }

// Options of another task, front or mode would be ignored.
std::string misplaced(const edgetl::Arguments& arguments, const edgetl_model* model) {
  const bool detector = is_detector(model), stream = arguments.has("--stream");
  const std::string front = info_of(model).front;
  const char* made_for = front == "text" ? "texts" : front == "image" ? "images" : front.c_str();
  if (stream && front != "audio" && front != "series") {
    return std::string("--stream is for sound and series; the bundle is made for ") + made_for;
  }
  for (const char* option : {"--text", "--ids"}) {
    if (!takes_texts(model) && arguments.has(option)) {
      return std::string(option) + " is for texts; the bundle is made for " + (front == "audio" ? "sound" : made_for);
    }
  }
  if (stream && !edgetl::heads_of(model).empty()) return "--stream is for one head; the bundle has several";
  if (stream) return arguments.has("--logits") ? "--logits is for files, not for --stream" : "";
  for (const char* option : {"--rate", "--raw", "--hop", "--smoothing", "--refractory", "--hops"}) {
    if (arguments.has(option)) return std::string(option) + " needs --stream";
  }
  for (const char* option : {"--top", "--logits"}) {
    if (detector && arguments.has(option)) return std::string(option) + " is for classifiers; the bundle is a detector";
  }
  return !detector && arguments.has("--threshold") ? "--threshold is for detectors; the bundle is a classifier" : "";
}

bool read_request(const edgetl::Arguments& arguments, Request& request, int32_t& threads, std::string& problem) {
  int32_t top = 0;
  request.as_json = arguments.has("--json");
  request.with_logits = arguments.has("--logits");
  request.ids = arguments.has("--ids");
  if (arguments.positional().size() < 2 && !arguments.has("--text")) {
    problem = std::string("expected ") + program().positional;
    return false;
  }
  if (!arguments.number("--top", 1, 100'000, 3, top, problem) ||
      !arguments.number("--threads", 1, 1024, 1, threads, problem)) {
    return false;
  }
  request.top = static_cast<size_t>(top);
  const char* text = arguments.text("--threshold");
  if (text == nullptr || arguments.has("--stream")) return true;
  char* end = nullptr;
  const float threshold = std::strtof(text, &end);
  if (end == text || *end != '\0' || !(threshold >= 0 && threshold <= 1)) {
    problem = "--threshold takes a number from 0 to 1; found `" + std::string(text) + "`";
    return false;
  }
  request.threshold = threshold;
  return true;
}

struct Closes {
  void operator()(edgetl_model* model) const { edgetl_close(model); }
};

}  // namespace

int main(int argc, char** argv) {
  edgetl::Arguments arguments;
  int code = 0;
  if (!arguments.start(program(), argc, argv, code)) return code;
  Request request;
  int32_t threads = 0;
  std::string problem;
  if (!read_request(arguments, request, threads, problem)) return edgetl::wrong_usage(program(), problem);
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

  problem = misplaced(arguments, model.get());
  if (!problem.empty()) return edgetl::wrong_usage(program(), problem);
  if (arguments.has("--stream")) return edgetl::run_stream(program(), arguments, model.get(), request.top);
  const auto handle = is_detector(model.get()) ? search_file : classify_file;
  edgetl::InputLoader loader(model.get());
  JsonWriter json;
  json.open('[');
  const bool texts = takes_texts(model.get());
  if (texts && read_texts(model.get(), arguments, request, json, &error) != EDGETL_OK) {
    return edgetl::failed(program(), error.message);
  }
  for (size_t i = 1; !texts && i < arguments.positional().size(); ++i) {
    if (handle(model.get(), loader, arguments.positional()[i], request, json, &error) != EDGETL_OK) {
      return edgetl::failed(program(), error.message);
    }
  }
  json.close();
  if (request.as_json) std::fputs(json.document().c_str(), stdout);
  return edgetl::finish_output(program());
}
