#include <doctest/doctest.h>

#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "edgetl/runtime.h"
#include "tools/small_bundle.h"

using small_bundle::Facts;
using small_bundle::Folder;

namespace {

struct Seen {
  int32_t image;
  std::string step;
  bool passed;
  double difference;
};

void collect(void* user, const edgetl_check* check) {
  static_cast<std::vector<Seen>*>(user)->push_back({check->image, check->step, check->passed == 1, check->difference});
}

// Stands for a device's decoder: the pictures of the test bundle are their own pixels. `user` is added to the first.
edgetl_status decode(void* user, const char* name, const uint8_t* file, size_t bytes, uint8_t* rgb, size_t capacity,
                     int32_t* width, int32_t* height) {
  if (std::strncmp(name, "golden/0.", 9) != 0 || bytes != capacity) return EDGETL_BUNDLE_INVALID;
  std::memcpy(rgb, file, bytes);
  rgb[0] = static_cast<uint8_t>(rgb[0] + *static_cast<int*>(user));
  *width = small_bundle::picture_width;
  *height = small_bundle::picture_height;
  return EDGETL_OK;
}

edgetl_status decode_turned(void* user, const char* name, const uint8_t* file, size_t bytes, uint8_t* rgb,
                            size_t capacity, int32_t* width, int32_t* height) {
  return decode(user, name, file, bytes, rgb, capacity, height, width);
}

edgetl_status refuse(void*, const char*, const uint8_t*, size_t, uint8_t*, size_t, int32_t*, int32_t*) {
  return EDGETL_BUNDLE_INVALID;
}

struct Verified {
  edgetl_error error;
  std::vector<Seen> seen;
};

Verified verify(const Facts& facts, edgetl_decode_fn decoder, int added = 0) {
  const Folder folder(facts);
  Verified verified;
  const edgetl_status status =
      edgetl_verify(folder.path(), nullptr, decoder, &added, collect, &verified.seen, &verified.error);
  CHECK(status == verified.error.status);
  return verified;
}

Facts with_logits(std::vector<float> logits) {
  Facts facts;
  facts.logits = std::move(logits);
  return facts;
}

Facts with_jpeg() {
  Facts facts;
  facts.picture = "golden/0.jpg";
  return facts;
}

}  // namespace

TEST_CASE("a recording is decoded by the library itself, cut to its window and classified") {
  Facts facts;
  facts.audio = true;
  const Verified verified = verify(facts, nullptr);
  CHECK(verified.error.status == EDGETL_OK);
  REQUIRE(verified.seen.size() == 3);
  CHECK(verified.seen[0].step == "decode");
  CHECK(verified.seen[1].step == "window");
  CHECK(verified.seen[2].step == "network");
  for (const Seen& seen : verified.seen) CHECK((seen.passed && seen.difference == 0));
}

TEST_CASE("the first step of a recording that differs is named") {
  small_bundle::Facts facts;
  facts.audio = true;
  const auto first_failed = [&](const char* name, const std::string& content) {
    const Folder folder(facts);
    folder.replace(facts, name, content);
    edgetl_error error;
    CHECK(edgetl_verify(folder.path(), nullptr, nullptr, nullptr, nullptr, nullptr, &error) == EDGETL_CHECK_FAILED);
    return std::string(error.message).substr(std::string(folder.path()).size());
  };
  std::vector<int16_t> other = small_bundle::recording();
  other[1] += 3;
  CHECK(first_failed("golden/0.wav", small_bundle::wav(other)) ==
        ": golden clip 0: the first step that differs is decode: largest difference 3 of 65535 (limit 0)");
  CHECK(first_failed("golden/0.wav", small_bundle::wav(small_bundle::recording(), 16'000)) ==
        ": golden clip 0: the first step that differs is decode: golden/0.wav: 16000 Hz instead of 8000");
  CHECK(first_failed("golden/0.wav", small_bundle::wav({1, 2})) ==
        ": golden clip 0: the first step that differs is decode: 2 samples, expected 5");
  CHECK(first_failed("golden/0.wav", "RIFF").find("differs is decode: golden/0.wav: not usable as a sound") !=
        std::string::npos);
  std::vector<int16_t> heard = small_bundle::heard(small_bundle::recording());
  heard[11] -= 1;
  CHECK(first_failed("golden/0.input.npy", small_bundle::npy(heard)) ==
        ": golden clip 0: the first step that differs is window: largest difference 1 of 65535 (limit 0)");
  CHECK(first_failed("golden/logits.safetensors", small_bundle::safetensors({1, 0, 0})).find("differs is network") !=
        std::string::npos);
}

TEST_CASE("a device that does the same passes all three steps") {
  const Verified verified = verify({}, decode);
  CHECK(verified.error.status == EDGETL_OK);
  CHECK(std::string(verified.error.message).empty());
  REQUIRE(verified.seen.size() == 3);
  CHECK(verified.seen[0].step == "decode");
  CHECK(verified.seen[1].step == "resize");
  CHECK(verified.seen[2].step == "network");
  for (const Seen& seen : verified.seen) CHECK((seen.passed && seen.difference == 0));
}

TEST_CASE("without a decoder the decode step is left out") { CHECK(verify({}, nullptr).seen.size() == 2); }

TEST_CASE("a decoder of JPEG within the declared steps passes and its difference is told") {
  const Verified verified = verify(with_jpeg(), decode, 2);
  CHECK(verified.error.status == EDGETL_OK);
  CHECK(verified.seen.at(0).difference == 2);
}

TEST_CASE("a decoder that differs more is the step at fault, and the others are still replayed") {
  const Verified verified = verify(with_jpeg(), decode, 3);
  CHECK(verified.error.status == EDGETL_CHECK_FAILED);
  CHECK(std::string(verified.error.message).find("image 0: the first step that differs is decode") !=
        std::string::npos);
  REQUIRE(verified.seen.size() == 3);
  CHECK_FALSE(verified.seen[0].passed);
  CHECK(verified.seen[1].passed);
}

TEST_CASE("a PNG must decode exactly") { CHECK(verify({}, decode, 1).error.status == EDGETL_CHECK_FAILED); }

TEST_CASE("a decoder that turns or refuses the picture fails the step") {
  CHECK(verify({}, decode_turned).error.status == EDGETL_CHECK_FAILED);
  const Verified refused = verify({}, refuse);
  CHECK(refused.error.status == EDGETL_CHECK_FAILED);
  CHECK(std::string(refused.error.message).find("EDGETL_BUNDLE_INVALID") != std::string::npos);
}

TEST_CASE("other logits are the network's fault") {
  const Verified verified = verify(with_logits({8, 0, -2}), decode);
  CHECK(verified.error.status == EDGETL_CHECK_FAILED);
  CHECK(std::string(verified.error.message).find("network") != std::string::npos);
  CHECK(verified.seen.at(2).difference == doctest::Approx(0.8));
}

TEST_CASE("a detector has a fourth step, which is exact") {
  Facts facts;
  facts.detector = true;
  const Verified same = verify(facts, decode);
  CHECK(same.error.status == EDGETL_OK);
  REQUIRE(same.seen.size() == 4);
  CHECK(same.seen[3].step == "postprocess");

  facts.objects = {{0, 0, 1, 1, 0.5F, 2}};
  const Verified other = verify(facts, decode);
  CHECK(std::string(other.error.message).find("postprocess: 0 objects, 1 expected; 1 differ") != std::string::npos);
  CHECK(other.seen.at(2).passed);
  CHECK(other.seen.at(3).difference == 1);
}

TEST_CASE("other outputs of a detector are the network's fault, not that of what follows") {
  Facts facts;
  facts.detector = true;
  facts.score = 0.75F;
  facts.objects = {{0, 0, 0, 0, 0.75F, 0}};
  const Verified verified = verify(facts, decode);
  CHECK(verified.error.status == EDGETL_CHECK_FAILED);
  CHECK_FALSE(verified.seen.at(2).passed);
  CHECK(verified.seen.at(2).difference == doctest::Approx(0.75));
  CHECK(verified.seen.at(3).passed);
}

TEST_CASE("a bundle without golden images cannot be verified") {
  Facts facts;
  facts.golden = false;
  CHECK(verify(facts, decode).error.status == EDGETL_BUNDLE_INVALID);
}

TEST_CASE("nobody needs to listen") {
  const Folder folder;
  CHECK(edgetl_verify(folder.path(), nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) == EDGETL_OK);
}

TEST_CASE("a folder must be named") {
  CHECK(edgetl_verify(nullptr, nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_verify("/no/such/bundle", nullptr, nullptr, nullptr, nullptr, nullptr, nullptr) ==
        EDGETL_BUNDLE_UNREADABLE);
}
