#include "run_stream.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "fail.h"
#include "json_writer.h"
#include "sounds.h"
#include "time_steps.h"

namespace edgetl {
namespace {

constexpr float off = 2;  // a threshold that no probability reaches
constexpr size_t piece = 4096;

struct Close {
  void operator()(edgetl_stream* stream) const { edgetl_stream_close(stream); }
};
using Stream = std::unique_ptr<edgetl_stream, Close>;

struct Printer {
  const edgetl_model* model;
  edgetl_info info;
  size_t top;
  bool as_json, every_window, raw;

  bool sensors() const { return info.channels > 0; }
};

// --- options

// A number from 0 to 1, or `off`.
bool read_probability(const char* text, float& value) {
  char* end = nullptr;
  value = std::strcmp(text, "off") == 0 ? off : std::strtof(text, &end);
  return end == nullptr || (end != text && *end == '\0' && value >= 0 && value <= 1);
}

bool read_threshold(const std::string& text, const Printer& printer, std::vector<float>& thresholds,
                    std::string& problem) {
  const size_t equals = text.rfind('=');
  float value = 0;
  if (!read_probability(text.c_str() + (equals == text.npos ? 0 : equals + 1), value)) {
    problem = "--threshold takes a number from 0 to 1 or off, or CLASS= and that; found `" + text + "`";
    return false;
  }
  if (equals == text.npos) {
    std::fill(thresholds.begin(), thresholds.end(), value);
    return true;
  }
  const std::string name = text.substr(0, equals);
  for (int32_t i = 0; i < printer.info.classes; ++i) {
    if (name != edgetl_label(printer.model, i)) continue;
    thresholds[static_cast<size_t>(i)] = value;
    return true;
  }
  problem = "--threshold: the bundle has no class `" + name + "`";
  return false;
}

// A length in milliseconds as samples of the network, or in time steps of sensors, which have no rate; 0, the default, if it
// is not given.
bool read_length(const Arguments& arguments, const char* option, int32_t rate_hz, int32_t& samples,
                 std::string& problem) {
  if (rate_hz == 0) return arguments.number(option, 1, 1 << 20, 0, samples, problem);
  constexpr int32_t longest_ms = 60'000;
  int32_t milliseconds = 0;
  if (!arguments.number(option, 1, longest_ms, 0, milliseconds, problem)) return false;
  const int64_t length = int64_t{milliseconds} * rate_hz / 1000;
  samples = static_cast<int32_t>(length);
  return true;
}

bool read_settings(const Arguments& arguments, const Printer& printer, std::vector<float>& thresholds,
                   edgetl_stream_settings& settings, std::string& problem) {
  const int32_t rate_hz = printer.info.window_rate_hz;
  settings.struct_size = sizeof settings;
  if (!read_length(arguments, "--hop", rate_hz, settings.hop, problem) ||
      !read_length(arguments, "--refractory", rate_hz, settings.refractory, problem) ||
      !arguments.number("--smoothing", 1, 1000, 0, settings.smoothing, problem)) {
    return false;
  }
  for (const std::string& text : arguments.all("--threshold")) {
    if (!read_threshold(text, printer, thresholds, problem)) return false;
  }
  settings.thresholds = thresholds.data();
  return true;
}

// --- output

// The most probable classes, the first of equals first.
std::vector<size_t> best_classes(const edgetl_hop& hop, const Printer& printer) {
  std::vector<size_t> order(static_cast<size_t>(printer.info.classes));
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return hop.probabilities[a] > hop.probabilities[b]; });
  order.resize(std::min(printer.top, order.size()));
  return order;
}

const char* label(const Printer& printer, size_t index) {
  return edgetl_label(printer.model, static_cast<int32_t>(index));
}

void print_text(const Printer& printer, const std::string& path, const edgetl_hop& hop) {
  char part[64];
  const auto seconds = [&](int64_t samples) { return static_cast<double>(samples) / printer.info.rate_hz; };
  if (printer.sensors()) {
    std::snprintf(part, sizeof part, ": time steps %lld to %lld:", static_cast<long long>(hop.begin),
                  static_cast<long long>(hop.end));
  } else {
    std::snprintf(part, sizeof part, ": %.3f to %.3f s:", seconds(hop.begin), seconds(hop.end));
  }
  std::string line = path + part;
  if (hop.detected >= 0) line += std::string(" detected ") + edgetl_label(printer.model, hop.detected) + ";";
  bool first = true;
  for (const size_t index : best_classes(hop, printer)) {
    std::snprintf(part, sizeof part, " %.1f %%", 100 * static_cast<double>(hop.probabilities[index]));
    line += (first ? " " : ", ") + std::string(label(printer, index)) + part;
    first = false;
  }
  make_printable(line.data(), line.size());
  std::printf("%s\n", line.c_str());
}

void print_json(const Printer& printer, const std::string& path, const edgetl_hop& hop) {
  const std::vector<size_t> best = best_classes(hop, printer);
  JsonWriter json(JsonWriter::Layout::one_line);
  json.open('{').key("path").text(path).key("begin").whole(hop.begin).key("end").whole(hop.end);
  if (!printer.sensors()) json.key("rate_hz").whole(printer.info.rate_hz);
  json.key("detected");
  hop.detected >= 0 ? json.text(edgetl_label(printer.model, hop.detected)) : json.null();
  json.key("labels").open('[');
  for (const size_t index : best) json.text(label(printer, index));
  json.close().key("probabilities").open('[');
  for (const size_t index : best) json.number(hop.probabilities[index]);
  json.close().close();
  std::fputs(json.document().c_str(), stdout);
}

void print(const Printer& printer, const std::string& path, const edgetl_hop& hop) {
  if (hop.detected < 0 && !printer.every_window) return;
  printer.as_json ? print_json(printer, path, hop) : print_text(printer, path, hop);
  std::fflush(stdout);  // somebody may wait for it
}

// --- input

edgetl_status push(edgetl_stream* stream, const int16_t* samples, size_t count, const Printer& printer,
                   const std::string& path, edgetl_error* error) {
  for (;;) {
    size_t taken = 0;
    const edgetl_hop* hop = nullptr;
    const edgetl_status status = edgetl_stream_push(stream, samples, count, &taken, &hop, error);
    if (status != EDGETL_OK || hop == nullptr) return status;
    print(printer, path, *hop);
    samples += taken;
    count -= taken;
  }
}

edgetl_status push_time_steps(edgetl_stream* stream, const float* values, size_t time_steps, const Printer& printer,
                              const std::string& path, edgetl_error* error) {
  const auto channels = static_cast<size_t>(printer.info.channels);
  for (;;) {
    size_t taken = 0;
    const edgetl_hop* hop = nullptr;
    edgetl_error why{};
    const edgetl_status status = edgetl_stream_push_steps(stream, values, time_steps, channels, &taken, &hop, &why);
    if (status != EDGETL_OK) return fail(error, status, "%s: %s", path.c_str(), why.message);
    if (hop == nullptr) return status;
    print(printer, path, *hop);
    values += taken * channels;
    time_steps -= taken;
  }
}

edgetl_status end(edgetl_stream* stream, const Printer& printer, const std::string& path, edgetl_error* error) {
  for (;;) {
    const edgetl_hop* hop = nullptr;
    const edgetl_status status = edgetl_stream_end(stream, &hop, error);
    if (status != EDGETL_OK || hop == nullptr) return status;
    print(printer, path, *hop);
  }
}

edgetl_status push_stdin(edgetl_stream* stream, const Printer& printer, edgetl_error* error) {
  std::array<uint8_t, piece * 2> bytes{};
  std::array<int16_t, piece> samples{};
  for (size_t held = 0;;) {  // bytes of a sample that is not complete
    const ssize_t got = ::read(STDIN_FILENO, bytes.data() + held, bytes.size() - held);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail(error, EDGETL_INVALID_ARGUMENT, "-: cannot read stdin: %s", std::strerror(errno));
    if (got == 0 && held == 0) return EDGETL_OK;
    if (got == 0) return fail(error, EDGETL_INVALID_ARGUMENT, "-: stdin ends within a sample of 2 bytes");
    const size_t total = held + static_cast<size_t>(got), count = total / 2;
    for (size_t i = 0; i < count; ++i) samples[i] = static_cast<int16_t>(bytes[2 * i] | bytes[2 * i + 1] << 8);
    const edgetl_status status = push(stream, samples.data(), count, printer, "-", error);
    if (status != EDGETL_OK) return status;
    held = total % 2;
    if (held > 0) bytes[0] = bytes[total - 1];
  }
}

edgetl_status listen(edgetl_stream* stream, const Printer& printer, const std::string& path, edgetl_error* error) {
  edgetl_status status = EDGETL_OK;
  edgetl_stream_reset(stream);
  if (printer.sensors()) {
    const auto take = [&](const float* values, size_t time_steps) {
      return push_time_steps(stream, values, time_steps, printer, path, error);
    };
    status = read_time_steps(path, static_cast<size_t>(printer.info.channels), printer.raw, take, error);
  } else if (path == "-") {
    status = push_stdin(stream, printer, error);
  } else {
    Sound sound;
    status = read_sound_file(path, printer.info.rate_hz, sound, error);
    if (status == EDGETL_OK) status = push(stream, sound.samples.data(), sound.samples.size(), printer, path, error);
  }
  return status == EDGETL_OK ? end(stream, printer, path, error) : status;
}

// Of what is read.
bool check_input(const Arguments& arguments, const std::vector<std::string>& paths, const Printer& printer,
                 std::string& problem) {
  const auto stdins = std::count(paths.begin(), paths.end(), "-");
  int32_t rate_hz = 0;
  if (!arguments.number("--rate", 1000, 192'000, 0, rate_hz, problem)) return false;
  if (stdins > 1) problem = "- can be read once";
  if (printer.sensors() && rate_hz != 0) problem = "--rate is for sound; the bundle is made for series";
  if (!printer.sensors() && printer.raw) problem = "--raw is for series; the bundle is made for sound";
  if (printer.sensors() || !problem.empty()) return problem.empty();
  if (stdins == 0 && rate_hz != 0) problem = "--rate is for samples from stdin; a WAV file says its own";
  if (stdins > 0 && rate_hz != printer.info.rate_hz) {
    problem = "- needs --rate " + std::to_string(printer.info.rate_hz) + ", which the bundle takes";
    if (rate_hz != 0) problem += "; found " + std::to_string(rate_hz) + ": resample the samples";
  }
  return problem.empty();
}

}  // namespace

int run_stream(const Program& program, const Arguments& arguments, edgetl_model* model, size_t top) {
  Printer printer{model, {}, top, arguments.has("--json"), arguments.has("--hops"), arguments.has("--raw")};
  printer.info.struct_size = sizeof printer.info;
  edgetl_get_info(model, &printer.info);
  const std::vector<std::string> paths(arguments.positional().begin() + 1, arguments.positional().end());
  std::vector<float> thresholds(static_cast<size_t>(printer.info.classes), 0.5F);
  edgetl_stream_settings settings{};
  std::string problem;
  if (!check_input(arguments, paths, printer, problem) ||
      !read_settings(arguments, printer, thresholds, settings, problem)) {
    return wrong_usage(program, problem);
  }
  edgetl_stream* opened = nullptr;
  edgetl_error error{};
  if (edgetl_stream_open(model, &settings, &opened, &error) != EDGETL_OK) return failed(program, error.message);
  const Stream stream(opened);
  for (const std::string& path : paths) {
    if (listen(stream.get(), printer, path, &error) != EDGETL_OK) return failed(program, error.message);
  }
  return finish_output(program);
}

}  // namespace edgetl
