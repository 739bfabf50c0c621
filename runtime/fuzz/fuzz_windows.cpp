// Any rates, table, window and pieces: the windows of a stream are those of the whole recording, resampled at once.
#include <algorithm>
#include <cstdlib>
#include <numeric>
#include <vector>

#include "windows.h"

namespace {

constexpr int32_t rates[] = {1000, 1500, 7000, 8000, 11'025, 16'000, 44'100, 48'000};

void require(bool holds) {
  if (!holds) std::abort();
}

struct Input {
  const uint8_t* data;
  size_t bytes;
  uint32_t next() { return bytes == 0 ? 0 : (--bytes, *data++); }
};

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  Input input{data, bytes};
  const int32_t from = rates[input.next() % 8], to = rates[input.next() % 8];
  const size_t taps = from == to ? 0 : 2 + 2 * (input.next() % 20);
  const auto window = static_cast<int32_t>(1 + input.next()), hop = static_cast<int32_t>(1 + input.next());
  const size_t piece = 1 + input.next(), factor = 1 + input.next();
  std::vector<int16_t> recording;
  while (input.bytes > 0) recording.push_back(static_cast<int16_t>((input.next() - 128) * factor));
  std::vector<int16_t> table(taps * static_cast<size_t>(to / std::gcd(from, to)));
  for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<int16_t>(i * 7919 * factor);
  edgetl::Resampler resampler;
  edgetl::Windows windows;
  require(resampler.open(from, to, table.data(), taps) && windows.make(resampler, window, hop));

  const auto count = static_cast<int64_t>(recording.size()), length = resampler.length_of(count);
  std::vector<int16_t> whole(static_cast<size_t>(length)), heard(static_cast<size_t>(window));
  edgetl::cut_window(resampler, recording.data(), count, length, whole.data());
  int64_t begin = 0;
  const auto check = [&] {
    require(begin + window <= length && windows.end_of_window() == begin + window);
    windows.give(heard.data());
    require(std::equal(heard.begin(), heard.end(), whole.begin() + begin));
    begin += hop;
  };
  for (size_t at = 0; at < recording.size();) {
    at += windows.take(recording.data() + at, std::min(piece, recording.size() - at));
    if (windows.complete()) check();
  }
  for (windows.take(nullptr, 0); windows.complete(); windows.take(nullptr, 0)) check();
  for (windows.end(); windows.complete(); windows.end()) check();
  require(begin + window > length);
  return 0;
}
