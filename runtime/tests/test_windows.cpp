#include "windows.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

using edgetl::Resampler;
using edgetl::Windows;
using Samples = std::vector<int16_t>;

namespace {

Samples noise(size_t count) {
  Samples made(count);
  uint32_t state = 1;
  for (int16_t& sample : made) {
    state = state * 1664525 + 1013904223;
    sample = static_cast<int16_t>(state >> 16);
  }
  return made;
}

Resampler resampler(int32_t from, int32_t to, size_t taps) {
  Resampler made;
  const Samples table = noise(taps * 1000);
  REQUIRE(made.open(from, to, table.data(), taps));
  return made;
}

// What the stream gives, window after window, when samples come in pieces of `piece`.
std::vector<Samples> windows_of(const Resampler& resampler, const Samples& recording, int32_t window, int32_t hop,
                                size_t piece) {
  Windows windows;
  REQUIRE(windows.make(resampler, window, hop));
  std::vector<Samples> made;
  const auto give = [&] {
    CHECK(windows.end_of_window() == window + static_cast<int64_t>(made.size()) * hop);
    windows.give(made.emplace_back(static_cast<size_t>(window)).data());
  };
  for (size_t at = 0; at < recording.size();) {
    const size_t size = std::min(piece, recording.size() - at);
    at += windows.take(recording.data() + at, size);
    if (windows.complete()) give();
  }
  while (windows.take(nullptr, 0), windows.complete()) give();
  for (windows.end(); windows.complete(); windows.end()) give();
  return made;
}

// The same from the whole recording, resampled at once.
std::vector<Samples> expected(const Resampler& resampler, const Samples& recording, int32_t window, int32_t hop) {
  const auto count = static_cast<int64_t>(recording.size()), length = resampler.length_of(count);
  Samples whole(static_cast<size_t>(length));
  cut_window(resampler, recording.data(), count, length, whole.data());
  std::vector<Samples> made;
  for (int64_t begin = 0; begin + window <= length; begin += hop) {
    const auto first = whole.begin() + static_cast<std::ptrdiff_t>(begin);
    made.emplace_back(first, first + static_cast<std::ptrdiff_t>(window));
  }
  return made;
}

}  // namespace

TEST_CASE("windows are the same however the recording is cut") {
  const Samples recording = noise(5003);
  const Resampler resamplers[] = {Resampler(), resampler(8000, 16'000, 24), resampler(44'100, 16'000, 62),
                                  resampler(48'000, 16'000, 2), resampler(11'025, 16'000, 16)};
  for (const Resampler& each : resamplers) {
    for (const auto& [window, hop] : {std::pair{1000, 250}, {300, 1}, {1, 999}, {200, 1100}, {500, 500}}) {
      if (hop == 1 && each.phases() > 2) continue;
      const std::vector<Samples> wanted = expected(each, recording, window, hop);
      CHECK(wanted.size() > 1);
      for (const size_t piece : {size_t{1}, size_t{160}, size_t{4099}, recording.size()}) {
        if (hop == 1 && piece == 1) continue;
        CHECK(windows_of(each, recording, window, hop, piece) == wanted);
      }
    }
  }
}

TEST_CASE("a recording that is shorter than the window completes none") {
  const Resampler twice = resampler(8000, 16'000, 24);
  CHECK(windows_of(twice, noise(49), 100, 25, 10).empty());
  CHECK(windows_of(twice, noise(50), 100, 25, 10).size() == 1);
  CHECK(windows_of(twice, {}, 100, 25, 10).empty());
}

TEST_CASE("samples after a complete window are left to the next call") {
  const Resampler none;
  const Samples recording = noise(10'000);
  Windows windows;
  REQUIRE(windows.make(none, 5000, 5000));
  size_t taken = windows.take(recording.data(), recording.size());
  CHECK(windows.complete());
  CHECK(taken >= 5000);
  CHECK(windows.take(recording.data() + taken, recording.size() - taken) == 0);
  Samples heard(5000);
  windows.give(heard.data());
  CHECK(std::equal(heard.begin(), heard.end(), recording.begin()));
  CHECK_FALSE(windows.complete());
  taken += windows.take(recording.data() + taken, recording.size() - taken);
  CHECK(taken == recording.size());
  REQUIRE(windows.complete());
  windows.give(heard.data());
  CHECK(std::equal(heard.begin(), heard.end(), recording.begin() + 5000));
}

TEST_CASE("after a reset the past is forgotten") {
  const Resampler twice = resampler(8000, 16'000, 24);
  const Samples recording = noise(500);
  Windows windows;
  REQUIRE(windows.make(twice, 100, 50));
  Samples first(100), again(100);
  windows.take(recording.data(), 400);
  windows.give(first.data());
  windows.take(recording.data(), 77);
  windows.reset();
  windows.take(recording.data(), 400);
  REQUIRE(windows.complete());
  windows.give(again.data());
  CHECK(first == again);
}
