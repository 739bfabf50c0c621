#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "edgetl/stream.hpp"
#include "tools/sounding.h"

using small_bundle::contains;
using small_bundle::Folder;
using small_bundle::of_series;
using small_bundle::of_sound;
using small_bundle::open_sensing;
using small_bundle::open_sounding;
using small_bundle::Opened;

namespace {

constexpr float never = 2;

edgetl_stream_settings settings(int32_t hop, int32_t smoothing, int32_t refractory, const float* thresholds) {
  return {sizeof(edgetl_stream_settings), hop, smoothing, refractory, thresholds};
}

struct Hop {
  int64_t begin, end;
  int32_t label, detected;
  float probability;
};

struct Close {
  void operator()(edgetl_stream* stream) const { edgetl_stream_close(stream); }
};
using OpenedStream = std::unique_ptr<edgetl_stream, Close>;

OpenedStream open_stream(const Opened& model, const edgetl_stream_settings& with) {
  edgetl_stream* stream = nullptr;
  edgetl_error error;
  const edgetl_status status = edgetl_stream_open(model.get(), &with, &stream, &error);
  CAPTURE(error.message);
  REQUIRE(status == EDGETL_OK);
  return OpenedStream(stream);
}

Hop taken_from(const edgetl_hop& hop) {
  return {hop.begin, hop.end, hop.label, hop.detected, hop.probabilities[hop.label]};
}

std::vector<Hop> hops(edgetl_stream* stream, const std::vector<int16_t>& samples, size_t piece) {
  std::vector<Hop> found;
  const edgetl_hop* hop = nullptr;
  for (size_t at = 0; at < samples.size();) {
    size_t taken = 0;
    REQUIRE(edgetl_stream_push(stream, samples.data() + at, std::min(piece, samples.size() - at), &taken, &hop,
                               nullptr) == EDGETL_OK);
    at += taken;
    if (hop != nullptr) found.push_back(taken_from(*hop));
  }
  do {
    REQUIRE(edgetl_stream_end(stream, &hop, nullptr) == EDGETL_OK);
    if (hop != nullptr) found.push_back(taken_from(*hop));
  } while (hop != nullptr);
  return found;
}

// 100 ms of silence with a click.
std::vector<int16_t> click(size_t at) {
  std::vector<int16_t> samples(800);
  samples[at] = 8000;
  return samples;
}

}  // namespace

TEST_CASE("a click is heard as it moves through the window, at its place in the samples that were pushed") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  const std::array<float, 3> thresholds = {never, never, 0.9F};
  const OpenedStream stream = open_stream(model, settings(2, 1, 1, thresholds.data()));
  // window: 12 samples at 16 kHz, 6 of those that are pushed; hop: one of them
  const std::vector<Hop> found = hops(stream.get(), click(100), 37);
  CHECK(found.size() == 795);
  CHECK(found[0].begin == 0);
  CHECK(found[0].end == 6);
  std::vector<int64_t> ends;
  for (const Hop& hop : found) {
    if (hop.detected >= 0) ends.push_back(hop.end);
  }
  // the last sample of a window lies half a step after its last pushed sample: the click is between its neighbors
  CHECK(ends == std::vector<int64_t>{100, 101});
  CHECK(found[static_cast<size_t>(ends[0] - 6)].probability > 0.9F);
}

TEST_CASE("the result does not depend on the pieces") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  const std::array<float, 3> thresholds = {0.4F, 0.4F, 0.4F};
  const OpenedStream stream = open_stream(model, settings(3, 4, 7, thresholds.data()));
  const std::vector<Hop> whole = hops(stream.get(), click(300), 800);
  for (const size_t piece : {1, 13, 160}) {
    edgetl_stream_reset(stream.get());
    const std::vector<Hop> found = hops(stream.get(), click(300), piece);
    REQUIRE(found.size() == whole.size());
    for (size_t i = 0; i < found.size(); ++i) {
      CHECK(found[i].end == whole[i].end);
      CHECK(found[i].detected == whole[i].detected);
      CHECK(found[i].probability == whole[i].probability);
    }
  }
}

TEST_CASE("by default the window moves by a quarter, four are averaged and nothing is detected") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  const OpenedStream stream = open_stream(model, settings(0, 0, 0, nullptr));
  const std::vector<Hop> found = hops(stream.get(), click(100), 800);
  CHECK(found.size() == (1600 - 12) / 3 + 1);
  for (const Hop& hop : found) CHECK(hop.detected == -1);
  CHECK(found[1].end - found[0].end == 1);  // one and a half samples, rounded down
  CHECK(found[2].end - found[0].end == 3);
}

TEST_CASE("one push may complete many windows: it is called until there is none") {
  const Folder folder(of_sound());
  auto opened = edgetl::Stream::open(folder.path(), settings(1, 1, 1, nullptr));
  REQUIRE(opened);
  edgetl::Stream stream = std::move(*opened);
  const std::vector<int16_t> samples(1000);
  size_t count = 0;
  const auto on_hop = [&](const edgetl_hop&) { ++count; };
  REQUIRE(stream.push({samples.data(), samples.size()}, on_hop) == EDGETL_OK);
  REQUIRE(stream.end(on_hop) == EDGETL_OK);
  CHECK(count == 2000 - 12 + 1);
  CHECK(stream.push({samples.data(), 1}, on_hop) == EDGETL_INVALID_ARGUMENT);
  stream.reset();
  CHECK(stream.push({samples.data(), 1}, on_hop) == EDGETL_OK);
  CHECK(edgetl::Stream::open("/no/such/bundle").status() == EDGETL_BUNDLE_UNREADABLE);
  CHECK(edgetl::Stream::open(Folder().path()).status() != EDGETL_OK);
}

TEST_CASE("two streams through one model do not disturb each other") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  const edgetl_stream_settings with = settings(2, 2, 1, nullptr);
  const OpenedStream alone = open_stream(model, with), a = open_stream(model, with), b = open_stream(model, with);
  const std::vector<Hop> expected = hops(alone.get(), click(200), 800);
  std::vector<Hop> found;
  const std::vector<int16_t> of_a = click(200), of_b = click(50);
  for (size_t at = 0; at < 800; ++at) {
    const edgetl_hop* hop = nullptr;
    size_t taken = 0;
    REQUIRE(edgetl_stream_push(a.get(), &of_a[at], 1, &taken, &hop, nullptr) == EDGETL_OK);
    if (hop != nullptr) found.push_back(taken_from(*hop));
    REQUIRE(edgetl_stream_push(b.get(), &of_b[at], 1, &taken, &hop, nullptr) == EDGETL_OK);
  }
  REQUIRE(found.size() + 2 >= expected.size());
  for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].probability == expected[i].probability);
}

TEST_CASE("a stream of sensors shows every window at its time steps, however they are cut into pieces") {
  const Folder folder(of_series());
  std::vector<float> values(40);  // 20 time steps of 2 channels
  for (size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(i * i % 17);
  for (const size_t piece : {1, 3, 20}) {
    auto opened = edgetl::Stream::over(edgetl::Model::open(folder.path()), settings(3, 1, 0, nullptr));
    REQUIRE(opened);
    edgetl::Stream stream = std::move(*opened);
    stream.model().get()->engine.reset(new small_bundle::Sensing);
    std::vector<std::array<int64_t, 3>> found;
    const auto on_hop = [&](const edgetl_hop& hop) { found.push_back({hop.begin, hop.end, hop.label}); };
    for (size_t at = 0; at < 20; at += piece) {
      const size_t time_steps = std::min(piece, 20 - at);
      REQUIRE(stream.push({values.data() + 2 * at, 2 * time_steps}, on_hop) == EDGETL_OK);
    }
    REQUIRE(stream.end(on_hop) == EDGETL_OK);
    REQUIRE(found.size() == 6);
    for (size_t i = 0; i < found.size(); ++i) {
      const float* first = values.data() + 6 * i;
      const std::array<float, 3> logits = {first[0], first[1], first[7]};
      CHECK(found[i][0] == static_cast<int64_t>(3 * i));
      CHECK(found[i][1] == static_cast<int64_t>(3 * i + 4));
      CHECK(found[i][2] == std::max_element(logits.begin(), logits.end()) - logits.begin());
    }
  }
}

TEST_CASE("a time step that is not a number, other channels or sound are refused, and the stream goes on") {
  const Folder folder(of_series()), sounds(of_sound());
  const Opened model = open_sensing(folder), hearing = open_sounding(sounds);
  const OpenedStream stream = open_stream(model, settings(1, 1, 0, nullptr));
  const OpenedStream listening = open_stream(hearing, settings(0, 0, 0, nullptr));
  const std::array<float, 8> good{1, 2, 3, 4, 5, 6, 7, 8}, bad{1, 2, 3, 4, 5, std::nanf(""), 7, 8};
  const std::array<int16_t, 4> samples{};
  size_t taken = 77;
  const edgetl_hop* hop = nullptr;
  edgetl_error error;
  const auto push = [&](edgetl_stream* to, const float* values, size_t time_steps, size_t channels) {
    return edgetl_stream_push_steps(to, values, time_steps, channels, &taken, &hop, &error);
  };
  CHECK(push(stream.get(), bad.data(), 4, 2) == EDGETL_INVALID_ARGUMENT);
  CHECK_MESSAGE(contains(error, "the value of channel 2 at time step 3 is not a number; fill or cut gaps first"),
                error.message);
  CHECK(taken == 0);
  CHECK(push(stream.get(), good.data(), 2, 3) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "stream: expected 2 channels, found 3"));
  CHECK(push(stream.get(), nullptr, 2, 2) == EDGETL_INVALID_ARGUMENT);
  CHECK(push(listening.get(), good.data(), 4, 2) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected a bundle for"));
  CHECK(edgetl_stream_push(stream.get(), samples.data(), 4, &taken, &hop, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected a bundle for"));
  REQUIRE(push(stream.get(), good.data(), 4, 2) == EDGETL_OK);
  CHECK(taken == 4);
  REQUIRE(hop != nullptr);
  CHECK(hop->label == 2);
  REQUIRE(edgetl_stream_end(stream.get(), &hop, &error) == EDGETL_OK);
  CHECK(push(stream.get(), good.data(), 4, 2) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected no more time steps after edgetl_stream_end"));
}

TEST_CASE("settings out of bounds are refused with their name") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  const auto refused = [&](const edgetl_stream_settings& with, const char* message) {
    edgetl_stream* stream = nullptr;
    edgetl_error error;
    CHECK(edgetl_stream_open(model.get(), &with, &stream, &error) == EDGETL_INVALID_ARGUMENT);
    CHECK_MESSAGE(contains(error, message), error.message);
    CHECK(stream == nullptr);
  };
  const std::array<float, 3> thresholds = {0.5F, -1, 0.5F}, unknown = {0.5F, 0.5F, std::nanf("")};
  refused(settings(-1, 1, 1, nullptr), "settings.hop: expected 1 to 1048576, or 0 for the default; found -1");
  refused(settings(1, 1001, 1, nullptr), "settings.smoothing: expected 1 to 1000");
  refused(settings(1, 1, -5, nullptr), "settings.refractory: expected 1 to 1073741824");
  refused(settings(1, 1, 1, thresholds.data()), "settings.thresholds: expected 0 or more for class 1; found -1");
  refused(settings(1, 1, 1, unknown.data()), "settings.thresholds: expected 0 or more for class 2");
  refused({3, 1, 1, 1, nullptr}, "settings.struct_size: expected sizeof(edgetl_stream_settings)");
}

TEST_CASE("arguments of streams are checked") {
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  edgetl_stream* opened = nullptr;
  CHECK(edgetl_stream_open(nullptr, nullptr, &opened, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_stream_open(model.get(), nullptr, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
  REQUIRE(edgetl_stream_open(model.get(), nullptr, &opened, nullptr) == EDGETL_OK);
  const OpenedStream stream(opened);
  const std::array<int16_t, 4> samples{};
  size_t taken = 77;
  const edgetl_hop* hop = nullptr;
  CHECK(edgetl_stream_push(nullptr, samples.data(), 4, &taken, &hop, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(taken == 0);
  CHECK(edgetl_stream_push(opened, nullptr, 4, &taken, &hop, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_stream_push(opened, samples.data(), 4, nullptr, &hop, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_stream_push(opened, samples.data(), 4, &taken, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_stream_push(opened, nullptr, 0, &taken, &hop, nullptr) == EDGETL_OK);
  CHECK(edgetl_stream_end(nullptr, &hop, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_stream_end(opened, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
  edgetl_stream_reset(nullptr);
  edgetl_stream_close(nullptr);
}

TEST_CASE("a network whose logits are not finite is an error of the engine") {
  class Broken : public small_bundle::Sounding {
   public:
    edgetl_status run(edgetl_error*) noexcept override {
      static_cast<float*>(outputs()[0].data)[1] = std::nanf("");
      return EDGETL_OK;
    }
  };
  const Folder folder(of_sound());
  const Opened model = open_sounding(folder);
  model->engine.reset(new Broken);
  const OpenedStream stream = open_stream(model, settings(0, 0, 0, nullptr));
  const std::vector<int16_t> samples(100);
  size_t taken = 0;
  const edgetl_hop* hop = nullptr;
  edgetl_error error;
  CHECK(edgetl_stream_push(stream.get(), samples.data(), 100, &taken, &hop, &error) == EDGETL_ENGINE_FAILED);
  CHECK(contains(error, "the network's output has values that are not finite"));
  CHECK(hop == nullptr);
}
