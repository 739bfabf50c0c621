#include "wav.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tools/small_bundle.h"

using small_bundle::little;

namespace {

struct Format {
  uint32_t tag = 1, channels = 1, rate = 16'000, bits = 16;
};

std::string chunk(const char* name, const std::string& content) {
  return name + little(static_cast<uint32_t>(content.size()), 4) + content + (content.size() % 2 != 0 ? "x" : "");
}

std::string format_of(const Format& f) {
  const uint32_t frame = f.channels * f.bits / 8;
  return little(f.tag, 2) + little(f.channels, 2) + little(f.rate, 4) + little(frame * f.rate, 4) + little(frame, 2) +
         little(f.bits, 2);
}

std::string extensible(const Format& f,
                       const std::string& guid = std::string("\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71", 14)) {
  return format_of({0xFFFE, f.channels, f.rate, f.bits}) + little(22, 2) + little(f.bits, 2) + little(0, 4) +
         little(f.tag, 2) + guid;
}

std::string riff(const std::string& chunks) { return "RIFF" + little(0, 4) + "WAVE" + chunks; }

std::string file_of(const Format& f, const std::string& data) {
  return riff(chunk("fmt ", format_of(f)) + chunk("data", data));
}

struct Read {
  edgetl_status status = EDGETL_OK;
  std::string message;
  edgetl::Wav wav;
  std::vector<int16_t> samples;
};

Read read(const std::string& file) {
  Read made;
  edgetl_error error;
  made.status =
      edgetl::read_wav("clip.wav", {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, made.wav, &error);
  made.message = error.message;
  made.samples.resize(made.wav.count);
  if (made.status == EDGETL_OK) CHECK(edgetl::convert(made.wav, 0, made.wav.count, made.samples.data()));
  return made;
}

constexpr const char* replace_it = "; replace or remove it";
constexpr const char* convert_it = "; convert it: ffmpeg -i FILE -ac 1 -c:a pcm_s16le NEW.wav";

void check_refused(const std::string& file, const std::string& why, const char* remedy = replace_it) {
  const Read found = read(file);
  CHECK(found.status == EDGETL_INVALID_ARGUMENT);
  CHECK(found.message == "clip.wav: not usable as a sound: " + why + remedy);
}

using Samples = std::vector<int16_t>;

std::string floats(const std::vector<float>& values) { return small_bundle::bytes_of(values); }

}  // namespace

TEST_CASE("16 bits are the samples themselves, at the file's rate") {
  const Read found = read(file_of({1, 1, 44'100, 16}, little(0x1234, 2) + little(0x8000, 2) + little(0xFFFF, 2)));
  CHECK(found.wav.rate_hz == 44'100);
  CHECK(found.samples == Samples{0x1234, -32768, -1});
}

TEST_CASE("other widths are rounded half up to 16 bits and saturate") {
  CHECK(read(file_of({1, 1, 8000, 8}, std::string("\x00\x80\xFF", 3))).samples == Samples{-32768, 0, 32512});
  const std::string of_24 = little(0x00007F, 3) + little(0x000080, 3) + little(0xFFFF7F, 3) + little(0x7FFFFF, 3);
  CHECK(read(file_of({1, 1, 8000, 24}, of_24)).samples == Samples{0, 1, -1, 32767});
  const std::string of_32 = little(0x7FFF, 4) + little(0x8000, 4) + little(0xFFFF7FFF, 4) + little(0x7FFFFFFF, 4);
  CHECK(read(file_of({1, 1, 8000, 32}, of_32)).samples == Samples{0, 1, -1, 32767});
}

TEST_CASE("floats are scaled by 32768, rounded half up and saturate") {
  const std::string data = floats({0, 1, -1, 0.5F, 1.5F / 32768, -1.5F / 32768, 8, -8});
  CHECK(read(file_of({3, 1, 8000, 32}, data)).samples == Samples{0, 32767, -32768, 16384, 2, -1, 32767, -32768});
}

TEST_CASE("floats that are no sound are refused") {
  for (const float bad : {8.1F, -9.0F, std::numeric_limits<float>::infinity(), std::nanf("")}) {
    const std::string file = file_of({3, 1, 8000, 32}, floats({0, bad}));
    edgetl::Wav wav;
    Samples samples(2);
    REQUIRE(edgetl::read_wav("a", {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, wav, nullptr) ==
            EDGETL_OK);
    CHECK_FALSE(edgetl::convert(wav, 0, 2, samples.data()));
    CHECK(edgetl::convert(wav, 0, 1, samples.data()));
  }
}

TEST_CASE("channels become their mean, rounded half up") {
  const auto mean = [](std::vector<int16_t> frame) {
    return read(file_of({1, static_cast<uint32_t>(frame.size()), 8000, 16}, small_bundle::bytes_of(frame)))
        .samples.at(0);
  };
  CHECK(mean({1, 2}) == 2);
  CHECK(mean({-1, -2}) == -1);
  CHECK(mean({1, 1, -3}) == 0);
  CHECK(mean({-32768, -32768, -32768, -32768}) == -32768);
  CHECK(mean({32767, 32767, 32766}) == 32767);
}

TEST_CASE("a part of the frames can be converted") {
  const std::string file = file_of({1, 2, 8000, 16}, small_bundle::bytes_of(Samples{2, 4, 6, 8, 10, 12}));
  edgetl::Wav wav;
  Samples samples(2);
  REQUIRE(edgetl::read_wav("a", {reinterpret_cast<const uint8_t*>(file.data()), file.size()}, wav, nullptr) ==
          EDGETL_OK);
  CHECK(wav.count == 3);
  CHECK(edgetl::convert(wav, 1, 2, samples.data()));
  CHECK(samples == Samples{7, 11});
}

TEST_CASE("the extensible format says what it holds") {
  const std::string data = floats({0.25F, 0.75F});
  CHECK(read(riff(chunk("fmt ", extensible({3, 2, 8000, 32})) + chunk("data", data))).samples == Samples{16384});
  const std::string other = extensible({1, 1, 8000, 16}, std::string(14, 'x'));
  check_refused(riff(chunk("fmt ", other) + chunk("data", data)), "it has an unknown kind of WAVE_FORMAT_EXTENSIBLE",
                convert_it);
  const std::string brief = extensible({1, 1, 8000, 16}).substr(0, 39);
  check_refused(riff(chunk("fmt ", brief) + chunk("data", data)), "it has an unknown kind of WAVE_FORMAT_EXTENSIBLE",
                convert_it);
}

TEST_CASE("other chunks are skipped, of odd size too, and what follows the samples is ignored") {
  const std::string format = chunk("fmt ", format_of({})), data = chunk("data", little(7, 2));
  CHECK(read(riff(chunk("LIST", "odd") + format + chunk("bext", "") + data + "garbage")).samples == Samples{7});
  CHECK(read(riff(format + data + chunk("data", little(9, 2)))).samples == Samples{7});
}

TEST_CASE("a writer that could not go back left a placeholder: samples reach to the end") {
  for (const uint32_t size : {0xFFFFFFFFU, 0x7FFFF000U, 0x80000000U}) {
    const std::string file =
        riff(chunk("fmt ", format_of({})) + "data" + little(size, 4) + little(5, 2) + little(6, 2));
    CHECK(read(file).samples == Samples{5, 6});
    CHECK(read(file + "x").samples == Samples{5, 6});
  }
}

TEST_CASE("everything else is refused with one line") {
  const std::string format = chunk("fmt ", format_of({})), data = chunk("data", little(7, 2));
  constexpr const char* no_wav = "it is not a WAV file, the only format this program reads";
  check_refused("", "the file is empty");
  check_refused("RIFF", no_wav);
  check_refused("RIFX" + little(0, 4) + "WAVE" + format + data, no_wav);
  check_refused("RIFF" + little(0, 4) + "AVI " + format + data, no_wav);
  constexpr const char* no_data = "it has no `data` chunk: truncated, or only a header";
  check_refused(riff(""), no_data);
  check_refused(riff(format), no_data);
  check_refused(riff(format + "data"), no_data);
  check_refused(riff(format + chunk("data", "")), "it has no samples");
  check_refused(riff(format + chunk("data", "") + "behind"),
                "its header promises no samples, but 6 bytes follow: it was never finished", convert_it);
  check_refused(riff(data + format), "no `fmt ` chunk before its `data` chunk");
  check_refused(riff(format + format + data), "it has two `fmt ` chunks");
  check_refused(riff("LIST" + little(999, 4) + "INFO"), "its chunk `LIST` has 999 bytes, but 4 follow: truncated");
  check_refused(riff("\x1b[2J" + little(999, 4)), "its chunk `?[2J` has 999 bytes, but 0 follow: truncated");
  check_refused(riff(format + "data" + little(4, 4) + little(7, 2)),
                "its header promises 4 bytes of samples, but 2 follow: truncated");
  check_refused(riff(format + "data" + little(3, 4) + "abc"),
                "its 3 bytes of samples are no multiple of 2, the bytes a frame");
  check_refused(riff(chunk("fmt ", std::string(15, '\0')) + data),
                "expected at least 16 bytes in its `fmt ` chunk, found 15");
  const auto refused = [&](const Format& f, const std::string& why, const char* remedy) {
    check_refused(file_of(f, "12345678"), why, remedy);
  };
  const std::string known = "expected integers of 8, 16, 24 or 32 bits or 32-bit floats, found ";
  refused({2, 1, 8000, 16}, known + "format 0x0002", convert_it);
  refused({1, 1, 8000, 12}, known + "12-bit integers", convert_it);
  refused({3, 1, 8000, 64}, known + "64-bit floats", convert_it);
  refused({1, 0, 8000, 16}, "expected 1 to 16 channels, found 0", replace_it);
  refused({1, 17, 8000, 16}, "expected 1 to 16 channels, found 17", replace_it);
  refused({1, 1, 999, 16}, "expected 1000 to 192000 samples a second, found 999", replace_it);
  refused({1, 1, 192'001, 16}, "expected 1000 to 192000 samples a second, found 192001", replace_it);
  std::string torn = format_of({});
  torn[12] = 4;
  check_refused(riff(chunk("fmt ", torn) + data), "expected 2 bytes a frame for 1 x 16 bits, found 4");
}
