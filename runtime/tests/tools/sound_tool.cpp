// Lets Python compare: reads commands from stdin, writes results to stdout.
//
//   decode <bytes> <name>, then the file's bytes
//   window <from_hz> <to_hz> <taps> <samples> <count>, then int16: the table (phases, taps) and `count` samples
//   stream <from_hz> <to_hz> <taps> <window> <hop> <piece> <count>, and the same: all windows, the samples being pushed in
//          pieces of `piece`
//   spot <classes> <windows> <smoothing> <refractory> <window> <hop>, then float32: the thresholds and the logits
//
// Answers "ok <rate> <count>" and int16 samples, "ok <count>" and int16 samples, or "ok <windows>" and for each window the
// means as float32 and the detected class as int32; "error <status> <message>".
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "resample.h"
#include "spotting.h"
#include "wav.h"
#include "windows.h"

namespace {

template <typename Value>
bool read_exactly(std::vector<Value>& values) {
  return values.empty() || std::fread(values.data(), sizeof(Value), values.size(), stdin) == values.size();
}

void write(const std::vector<int16_t>& samples) { std::fwrite(samples.data(), 2, samples.size(), stdout); }

bool decode(const char* words) {
  size_t bytes = 0;
  int name = 0;
  if (std::sscanf(words, "%zu %n", &bytes, &name) != 1 || name == 0) return false;
  std::vector<uint8_t> file(bytes);
  if (!read_exactly(file)) return false;
  edgetl::Wav wav;
  edgetl_error error{};
  edgetl_status status = edgetl::read_wav(words + name, {file.data(), file.size()}, wav, &error);
  std::vector<int16_t> samples(wav.count);
  if (status == EDGETL_OK && !edgetl::convert(wav, 0, wav.count, samples.data())) {
    status = edgetl::refuse_floats(words + name, &error);
  }
  if (status != EDGETL_OK) {
    std::printf("error %d %s\n", static_cast<int>(status), error.message);
  } else {
    std::printf("ok %d %zu\n", static_cast<int>(wav.rate_hz), samples.size());
    write(samples);
  }
  return true;
}

bool read_sound(int32_t from, int32_t to, size_t taps, size_t count, edgetl::Resampler& resampler,
                std::vector<int16_t>& samples) {
  int32_t a = from, b = to;
  while (b != 0) a = std::exchange(b, a % b);
  std::vector<int16_t> table(taps * static_cast<size_t>(to / a));
  samples.resize(count);
  return read_exactly(table) && read_exactly(samples) && resampler.open(from, to, table.data(), taps);
}

bool cut(const char* words) {
  int32_t from = 0, to = 0, window = 0;
  size_t taps = 0, count = 0;
  edgetl::Resampler resampler;
  std::vector<int16_t> samples;
  if (std::sscanf(words, "%d %d %zu %d %zu", &from, &to, &taps, &window, &count) != 5 ||
      !read_sound(from, to, taps, count, resampler, samples)) {
    return false;
  }
  std::vector<int16_t> made(static_cast<size_t>(window));
  edgetl::cut_window(resampler, samples.data(), static_cast<int64_t>(count), window, made.data());
  std::printf("ok %zu\n", made.size());
  write(made);
  return true;
}

bool stream(const char* words) {
  int32_t from = 0, to = 0, window = 0, hop = 0;
  size_t taps = 0, piece = 0, count = 0;
  edgetl::Resampler resampler;
  std::vector<int16_t> samples;
  if (std::sscanf(words, "%d %d %zu %d %d %zu %zu", &from, &to, &taps, &window, &hop, &piece, &count) != 7 ||
      !read_sound(from, to, taps, count, resampler, samples)) {
    return false;
  }
  edgetl::Windows windows;
  if (!windows.make(resampler, window, hop)) return false;
  std::vector<int16_t> all;
  const auto give = [&] {
    all.resize(all.size() + static_cast<size_t>(window));
    windows.give(all.data() + all.size() - static_cast<size_t>(window));
  };
  for (size_t at = 0; at < count; at += piece) {
    for (size_t taken = 0, size = std::min(piece, count - at);;) {
      taken += windows.take(samples.data() + at + taken, size - taken);
      if (!windows.complete()) break;
      give();
    }
  }
  for (windows.end(); windows.complete(); windows.end()) give();
  std::printf("ok %zu\n", all.size());
  write(all);
  return true;
}

bool spot(const char* words) {
  size_t classes = 0, count = 0;
  int32_t smoothing = 0;
  long long refractory = 0, window = 0, hop = 0;
  if (std::sscanf(words, "%zu %zu %d %lld %lld %lld", &classes, &count, &smoothing, &refractory, &window, &hop) != 6) {
    return false;
  }
  std::vector<float> thresholds(classes), logits(classes * count);
  edgetl::Spotter spotter;
  if (!read_exactly(thresholds) || !read_exactly(logits)) return false;
  if (!spotter.make(classes, {smoothing, refractory, thresholds.data()})) return false;
  std::printf("ok %zu\n", count);
  for (size_t w = 0; w < count; ++w) {
    spotter.add(logits.data() + w * classes, window + static_cast<long long>(w) * hop);
    const int32_t detected = spotter.detected();
    std::fwrite(spotter.probabilities(), sizeof(float), classes, stdout);
    std::fwrite(&detected, sizeof detected, 1, stdout);
  }
  return true;
}

bool obey(const std::string& command, const std::string& words) {
  if (command == "decode") return decode(words.c_str());
  if (command == "window") return cut(words.c_str());
  if (command == "stream") return stream(words.c_str());
  return command == "spot" && spot(words.c_str());
}

}  // namespace

int main() { return tools::run_commands("`decode`, `window`, `stream` or `spot`", obey); }
