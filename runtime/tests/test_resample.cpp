#include "resample.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "npy.h"
#include "tools/small_bundle.h"

using edgetl::Resampler;
using Samples = std::vector<int16_t>;

namespace {

Samples window_of(const Resampler& resampler, const Samples& clip, int64_t samples) {
  Samples made(static_cast<size_t>(samples));
  edgetl::cut_window(resampler, clip.data(), static_cast<int64_t>(clip.size()), samples, made.data());
  return made;
}

bool reads(const std::string& file, const char* type, size_t rank) {
  edgetl::Array array;
  return edgetl::read_array({reinterpret_cast<const uint8_t*>(file.data()), file.size()}, type, rank, array);
}

}  // namespace

TEST_CASE("without a table the middle of a long clip is kept, and a short one lies in the middle of zeros") {
  const Resampler none;
  CHECK(window_of(none, {1, 2, 3, 4, 5, 6}, 3) == Samples{2, 3, 4});
  CHECK(window_of(none, {1, 2, 3, 4, 5, 6}, 4) == Samples{2, 3, 4, 5});
  CHECK(window_of(none, {1, 2, 3}, 3) == Samples{1, 2, 3});
  CHECK(window_of(none, {1, 2, 3}, 6) == Samples{0, 1, 2, 3, 0, 0});
  CHECK(window_of(none, {1}, 4) == Samples{0, 1, 0, 0});
}

TEST_CASE("twice the rate: every second sample is one of the clip, those between are interpolated") {
  const Resampler twice = small_bundle::resampler();
  CHECK(twice.length_of(3) == 6);
  // Q15: 32767 / 32768 of a sample, rounded half up; between a and b, 18432 (a + b) - 2048 (their neighbors)
  CHECK(window_of(twice, {1000, 2000, -3000}, 6) == Samples{1000, 1875, 2000, -625, -3000, -1812});
  CHECK(window_of(twice, {1000, 2000, -3000}, 2) == Samples{2000, -625});
}

TEST_CASE("a third of the rate rounds the length up") {
  Resampler third;
  const int16_t table[] = {8192, 16384, 8192, 0};
  REQUIRE(third.open(24'000, 8000, table, 4));
  CHECK(third.length_of(7) == 3);
  CHECK(window_of(third, {100, 0, 0, 400, 0, 0, 400}, 3) == Samples{50, 200, 200});
}

TEST_CASE("results round half up and saturate") {
  Resampler loud;
  const int16_t table[] = {32767, 32767, 0, 1};
  REQUIRE(loud.open(1000, 2000, table, 2));
  CHECK(window_of(loud, {32767, 32767}, 4) == Samples{32767, 1, 32766, 0});
  CHECK(window_of(loud, {-32768, -32768}, 4) == Samples{-32768, -1, -32767, 0});
}

TEST_CASE("moments follow each other as they are counted") {
  Resampler odd;
  const Samples table(size_t{160} * 2);
  REQUIRE(odd.open(44'100, 16'000, table.data(), 2));
  CHECK(odd.phases() == 160);
  edgetl::Moment at;
  for (int64_t index = 0; index < 1000; ++index, at = odd.next(at)) {
    CHECK(odd.moment_of(index).whole == at.whole);
    CHECK(odd.moment_of(index).phase == at.phase);
  }
}

TEST_CASE("arrays are read as NumPy writes them, and nothing else") {
  using small_bundle::npy;
  CHECK(reads(npy("<i2", "(2,)", "1234"), "<i2", 1));
  CHECK(reads(npy("<i2", "(1, 2)", "1234"), "<i2", 2));
  CHECK(reads(npy("|u1", "(1, 2, 2)", "1234"), "|u1", 3));
  CHECK_FALSE(reads(npy("<i2", "(2,)", "123"), "<i2", 1));
  CHECK_FALSE(reads(npy("<i2", "(2,)", "12345"), "<i2", 1));
  CHECK_FALSE(reads(npy("<i2", "(2,)", "1234"), "|u1", 1));
  CHECK_FALSE(reads(npy("<i2", "(2,)", "1234"), "<i2", 2));
  CHECK_FALSE(reads(npy("<i2", "(1, 2)", "1234"), "<i2", 1));
  CHECK_FALSE(reads(npy("<i2", "(0,)", ""), "<i2", 1));
  CHECK_FALSE(reads(npy("<i2", "(-2,)", "1234"), "<i2", 1));
  CHECK_FALSE(reads(npy("<i2", "(1000000000, 1000000000)", "1234"), "<i2", 2));
  CHECK_FALSE(reads(npy(">i2", "(2,)", "1234"), "<i2", 1));
  CHECK_FALSE(reads("", "<i2", 1));
}
