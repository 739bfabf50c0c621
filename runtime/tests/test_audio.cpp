#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "edgetl/audio.hpp"
#include "tools/opened.h"
#include "tools/sounding.h"

using small_bundle::contains;
using small_bundle::Folder;
using small_bundle::heard;
using small_bundle::of_sound;
using small_bundle::open;
using small_bundle::open_sounding;
using small_bundle::Opened;
using small_bundle::recording;

namespace {

constexpr int32_t rate = small_bundle::file_rate_hz;
constexpr size_t classes = small_bundle::classes;

}  // namespace

TEST_CASE("a bundle of sound says what it takes") {
  const Folder folder(of_sound());
  const Opened model = open(folder);
  edgetl_info info{};
  info.struct_size = sizeof info;
  REQUIRE(edgetl_get_info(model.get(), &info) == EDGETL_OK);
  CHECK(std::string(info.front) == "audio");
  CHECK(std::string(info.task) == "classification");
  CHECK(info.rate_hz == 8000);
  CHECK(info.window == 12);
  CHECK(info.window_rate_hz == 16'000);
  CHECK(info.input_bytes == 24);
  CHECK(info.height == 0);
}

TEST_CASE("a bundle of images says so") {
  const Folder folder;
  const Opened model = open(folder);
  edgetl_info info{};
  info.struct_size = sizeof info;
  REQUIRE(edgetl_get_info(model.get(), &info) == EDGETL_OK);
  CHECK(std::string(info.front) == "image");
  CHECK(info.rate_hz == 0);
  CHECK(info.window == 0);
}

TEST_CASE("the network hears the resampled window of a recording") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  std::array<float, classes> logits{};
  edgetl_error error;
  const std::vector<int16_t> clip = recording();
  REQUIRE(edgetl_classify_samples(model.get(), clip.data(), clip.size(), rate, logits.data(), classes, &error) ==
          EDGETL_OK);
  const std::vector<int16_t> window = heard(clip);
  CHECK(logits[0] == static_cast<float>(window[0]) / 1000);
  CHECK(logits[1] == static_cast<float>(window[5]) / 1000);
  CHECK(logits[2] == static_cast<float>(window[11]) / 1000);
}

TEST_CASE("arguments of edgetl_classify_samples are checked") {
  const Folder folder(of_sound());
  const Opened model = open(folder);
  std::array<float, classes> logits{};
  const std::vector<int16_t> clip(50);
  edgetl_error error;
  const auto call = [&](edgetl_model* m, const int16_t* s, size_t count, int32_t hz, float* l, size_t size) {
    return edgetl_classify_samples(m, s, count, hz, l, size, &error);
  };
  edgetl_model* m = model.get();
  CHECK(call(m, clip.data(), 50, rate, logits.data(), classes) == EDGETL_OK);
  CHECK(call(nullptr, clip.data(), 50, rate, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, nullptr, 50, rate, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, clip.data(), 50, rate, nullptr, classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, clip.data(), 0, rate, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "samples: expected 1 to 1000000000; found 0"));
  CHECK(call(m, clip.data(), 50, 16'000, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected samples at 8000 Hz; found 16000 Hz"));
  CHECK(call(m, clip.data(), 50, rate, logits.data(), classes + 1) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "logits: expected info.classes, 3; found 4"));
}

TEST_CASE("functions for images refuse a bundle of sound, and the other way around") {
  const Folder of_images, of_sounds(of_sound());
  const Opened image = open(of_images), sound = open(of_sounds);
  std::array<float, classes> logits{};
  std::array<uint8_t, small_bundle::input_bytes> pixels{};
  std::array<uint64_t, 100> scratch{};
  std::array<edgetl_detection, 1> objects{};
  const std::vector<int16_t> clip(50);
  size_t size = 0;
  edgetl_error error;
  const edgetl_image picture = edgetl::rgb(pixels.data(), 6, 4);
  const auto refused = [&](edgetl_status status, const char* words) {
    CHECK(status == EDGETL_INVALID_ARGUMENT);
    CHECK_MESSAGE(contains(error, words), error.message);
  };
  constexpr const char* takes_sound = "expected a bundle for images; it takes sound: call edgetl_classify_samples";
  edgetl_model* m = sound.get();
  refused(edgetl_run(m, pixels.data(), 24, logits.data(), classes, &error), takes_sound);
  refused(edgetl_scratch_bytes(m, 6, 4, &size, &error), takes_sound);
  refused(edgetl_preprocess(m, &picture, scratch.data(), sizeof scratch, pixels.data(), 24, &error), takes_sound);
  refused(edgetl_detect(m, &picture, scratch.data(), sizeof scratch, nullptr, objects.data(), 1, &size, &error),
          takes_sound);
  constexpr const char* takes_images = "expected a bundle for sound; it takes images: call edgetl_preprocess";
  edgetl_stream* stream = nullptr;
  refused(edgetl_classify_samples(image.get(), clip.data(), 50, rate, logits.data(), classes, &error), takes_images);
  refused(edgetl_stream_open(image.get(), nullptr, &stream, &error), takes_images);
  CHECK(stream == nullptr);
}

TEST_CASE("the C++ predictor goes from samples to a label") {
  const Folder folder(of_sound());
  auto opened = edgetl::SoundPredictor::open(folder.path());
  REQUIRE(opened);
  edgetl::SoundPredictor predictor = std::move(*opened);
  predictor.model().get()->engine.reset(new small_bundle::Sounding);
  const std::vector<int16_t> clip = {0, 0, 0, 0, 0, 2000};  // at the end of the window
  auto answer = predictor.predict({clip.data(), clip.size()}, rate);
  REQUIRE(answer);
  CHECK(answer->index == 2);
  CHECK(std::string(answer->label) == "fish");
  CHECK(answer->probability > 0.5F);
  CHECK(answer->logits.size == classes);
  CHECK(predictor.predict({clip.data(), clip.size()}, 44'100).status() == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::SoundPredictor::open("/no/such/bundle").status() == EDGETL_BUNDLE_UNREADABLE);
}

TEST_CASE("a resampler that does not fit its rates is refused") {
  small_bundle::Files files = small_bundle::files(of_sound());
  const auto opens = [&](const std::string& file) {
    files["resampler.npy"] = file;
    files["manifest.json"] = small_bundle::manifest(of_sound(), files);
    std::vector<edgetl_file> list;
    for (const auto& [name, content] : files) {
      list.push_back({name.c_str(), reinterpret_cast<const uint8_t*>(content.data()), content.size()});
    }
    edgetl_model* model = nullptr;
    edgetl_error error;
    const edgetl_status status = edgetl_open_files(list.data(), list.size(), nullptr, &model, &error);
    edgetl_close(model);
    files.erase("manifest.json");
    if (status != EDGETL_OK) CHECK(contains(error, "resampler.npy: expected int16 (2, an even number)"));
    return status;
  };
  CHECK(opens(small_bundle::npy("<i2", "(2, 2)", "12345678")) == EDGETL_OK);
  CHECK(opens(small_bundle::npy("<i2", "(2, 1)", "1234")) == EDGETL_BUNDLE_INVALID);
  CHECK(opens(small_bundle::npy("<i2", "(1, 2)", "1234")) == EDGETL_BUNDLE_INVALID);
  CHECK(opens(small_bundle::npy("<i2", "(2, 2)", "1234567")) == EDGETL_BUNDLE_INVALID);
  CHECK(opens(small_bundle::npy("|u1", "(2, 4)", "12345678")) == EDGETL_BUNDLE_INVALID);
}
