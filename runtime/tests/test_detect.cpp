#include <doctest/doctest.h>

#include <array>
#include <cstring>
#include <string>
#include <vector>

#include "edgetl/runtime.hpp"
#include "model.h"
#include "tools/opened.h"
#include "tools/small_bundle.h"

using small_bundle::contains;
using small_bundle::Facts;
using small_bundle::Folder;
using small_bundle::gray_picture;
using small_bundle::open;
using small_bundle::Opened;

namespace {

Facts of_detector() {
  Facts facts;
  facts.detector = true;
  facts.golden = false;
  return facts;
}

// Gives the same outputs for every image: two objects of class 1, one of class 2.
class Fixed : public edgetl::Engine {
 public:
  Fixed() {
    boxes_ = {0, 0, 3, 2, 0, 0, 3, 2.1F, 3, 2, 6, 4, 0, 0, 6, 4, 1, 1, 2, 2};
    scores_ = {0, 0.9F, 0, 0, 0.8F, 0, 0, 0.7F, 0, 0.1F, 0.1F, 0.1F, 0, 0, 0.6F};
    inputs_ = {{input_.data(), input_.size()}};
    outputs_ = {{boxes_.data(), sizeof boxes_}, {scores_.data(), sizeof scores_}};
  }
  edgetl_status run(edgetl_error*) noexcept override { return EDGETL_OK; }
  const char* version() const noexcept override { return ""; }

 private:
  std::array<uint8_t, small_bundle::input_bytes> input_{};
  std::array<float, 20> boxes_{};
  std::array<float, 15> scores_{};
};

Opened open_fixed(const Folder& folder) {
  Opened model = open(folder);
  model->engine.reset(new Fixed);
  return model;
}

struct Found {
  edgetl_status status = EDGETL_OK;
  edgetl_error error{};
  std::vector<edgetl_detection> objects;
};

Found detect(edgetl_model* model, const edgetl_postprocess* settings = nullptr, size_t capacity = 10) {
  const auto pixels = gray_picture();
  const edgetl_image image = edgetl::rgb(pixels.data(), 8, 8);
  std::array<uint64_t, 1000> scratch{};
  Found found;
  found.objects.resize(capacity);
  size_t count = 77;
  found.status = edgetl_detect(model, &image, scratch.data(), sizeof scratch, settings, found.objects.data(), capacity,
                               &count, &found.error);
  CHECK(found.status == found.error.status);
  CHECK(count <= capacity);
  if (found.status != EDGETL_OK) CHECK(count == 0);
  found.objects.resize(count);
  return found;
}

edgetl_postprocess own_settings(const edgetl_model* model) {
  edgetl_postprocess settings{};
  settings.struct_size = sizeof settings;
  REQUIRE(edgetl_get_postprocess(model, &settings) == EDGETL_OK);
  return settings;
}

}  // namespace

TEST_CASE("a detector says what it is") {
  const Folder folder(of_detector());
  const Opened model = open(folder);
  edgetl_info info{};
  info.struct_size = sizeof info;
  REQUIRE(edgetl_get_info(model.get(), &info) == EDGETL_OK);
  CHECK(std::string(info.task) == "detection");
  CHECK(info.max_detections == 10);
  const edgetl_postprocess settings = own_settings(model.get());
  CHECK(settings.score_threshold == 0.25F);
  CHECK(settings.max_candidates == 100);
}

TEST_CASE("objects come in pixels of the image, best first") {
  const Folder folder(of_detector());
  const Opened model = open_fixed(folder);
  const Found found = detect(model.get());
  REQUIRE(found.status == EDGETL_OK);
  REQUIRE(found.objects.size() == 3);
  CHECK(found.objects[0].label == 1);
  CHECK(found.objects[0].x1 == 4);  // of 8 pixels that became 6
  CHECK(found.objects[0].y1 == 4);
  CHECK(found.objects[1].score == 0.7F);
  CHECK(found.objects[2].label == 2);
}

TEST_CASE("settings replace the bundle's own for one call") {
  const Folder folder(of_detector());
  const Opened model = open_fixed(folder);
  edgetl_postprocess settings = own_settings(model.get());
  settings.iou_threshold = 1;
  CHECK(detect(model.get(), &settings).objects.size() == 4);
  settings.score_threshold = 0.65F;
  CHECK(detect(model.get(), &settings).objects.size() == 3);
  settings.max_detections = 1;
  CHECK(detect(model.get(), &settings).objects.size() == 1);
  CHECK(detect(model.get()).objects.size() == 3);
}

TEST_CASE("a small buffer gets the best objects") {
  const Folder folder(of_detector());
  const Opened model = open_fixed(folder);
  const Found found = detect(model.get(), nullptr, 1);
  REQUIRE(found.objects.size() == 1);
  CHECK(found.objects[0].score == 0.9F);
  CHECK(detect(model.get(), nullptr, 0).status == EDGETL_OK);
}

TEST_CASE("settings out of bounds are refused with their name") {
  const Folder folder(of_detector());
  const Opened model = open_fixed(folder);
  const auto refused = [&](auto change, const char* message) {
    edgetl_postprocess settings = own_settings(model.get());
    change(settings);
    const Found found = detect(model.get(), &settings);
    CHECK(found.status == EDGETL_INVALID_ARGUMENT);
    CHECK_MESSAGE(contains(found.error, message), found.error.message);
  };
  refused([](auto& s) { s.score_threshold = 1.5F; }, "settings.score_threshold: expected 0 to 1; found 1.5");
  refused([](auto& s) { s.iou_threshold = -1; }, "settings.iou_threshold");
  refused([](auto& s) { s.max_candidates = 10'001; }, "settings.max_candidates: expected 1 to 10000; found 10001");
  refused([](auto& s) { s.max_detections = 0; }, "settings.max_detections: expected 1 to 1000; found 0");
  refused([](auto& s) { s.struct_size = 3; }, "settings.struct_size: expected sizeof(edgetl_postprocess)");
}

TEST_CASE("settings of an older caller leave the others as they are in the bundle") {
  const Folder folder(of_detector());
  const Opened model = open_fixed(folder);
  edgetl_postprocess settings{};
  settings.struct_size = offsetof(edgetl_postprocess, iou_threshold);
  settings.score_threshold = 0.65F;
  CHECK(detect(model.get(), &settings).objects.size() == 2);
}

TEST_CASE("a detector does not classify and a classifier finds no objects") {
  const Folder of_objects(of_detector()), of_classes;
  const Opened detector = open(of_objects), classifier = open(of_classes);
  std::array<uint8_t, small_bundle::input_bytes> input{};
  std::array<float, small_bundle::classes> logits{};
  edgetl_error error;
  CHECK(edgetl_run(detector.get(), input.data(), input.size(), logits.data(), logits.size(), &error) ==
        EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "it is a detector: call edgetl_detect"));
  const Found found = detect(classifier.get());
  CHECK(found.status == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(found.error, "it is a classifier: call edgetl_run"));
  edgetl_postprocess settings{};
  settings.struct_size = sizeof settings;
  CHECK(edgetl_get_postprocess(classifier.get(), &settings) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::Detector::open(of_classes.path()).status() == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("arguments of edgetl_detect are checked") {
  const Folder folder(of_detector());
  const Opened model = open(folder);
  const auto pixels = gray_picture();
  const edgetl_image image = edgetl::rgb(pixels.data(), 8, 8), nothing = edgetl::rgb(pixels.data(), 0, 8);
  std::array<uint64_t, 1000> scratch{};
  std::array<edgetl_detection, 4> objects{};
  size_t count = 0;
  const auto call = [&](edgetl_model* m, const edgetl_image* i, void* s, size_t bytes, edgetl_detection* o, size_t* c) {
    return edgetl_detect(m, i, s, bytes, nullptr, o, objects.size(), c, nullptr);
  };
  edgetl_model* m = model.get();
  CHECK(call(m, &image, scratch.data(), sizeof scratch, objects.data(), &count) == EDGETL_OK);
  CHECK(call(nullptr, &image, scratch.data(), sizeof scratch, objects.data(), &count) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, nullptr, scratch.data(), sizeof scratch, objects.data(), &count) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, &image, nullptr, sizeof scratch, objects.data(), &count) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, &image, scratch.data(), 8, objects.data(), &count) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, &image, scratch.data(), sizeof scratch, nullptr, &count) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, &image, scratch.data(), sizeof scratch, objects.data(), nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(call(m, &nothing, scratch.data(), sizeof scratch, objects.data(), &count) == EDGETL_INVALID_ARGUMENT);
  // and afterwards it is free again
  CHECK(call(m, &image, scratch.data(), sizeof scratch, objects.data(), &count) == EDGETL_OK);
}

TEST_CASE("the C++ detector goes from a picture to its objects") {
  const Folder folder(of_detector());
  auto opened = edgetl::Detector::open(folder.path());
  REQUIRE(opened);
  edgetl::Detector detector = std::move(*opened);
  detector.model().get()->engine.reset(new Fixed);
  const auto pixels = gray_picture();
  auto objects = detector.detect(edgetl::rgb(pixels.data(), 8, 8));
  REQUIRE(objects);
  CHECK(objects->size == 3);
  CHECK(std::string(detector.label((*objects)[2])) == "fish");
  detector.settings().score_threshold = 0.75F;
  objects = detector.detect(edgetl::grey(pixels.data(), 12, 12));
  REQUIRE(objects);
  CHECK(objects->size == 1);
  CHECK(detector.detect(edgetl::rgb(nullptr, 8, 8)).status() == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::Detector::open("/no/such/bundle").status() == EDGETL_BUNDLE_UNREADABLE);
}
