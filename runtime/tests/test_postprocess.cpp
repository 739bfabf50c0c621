#include "postprocess.h"

#include <doctest/doctest.h>

#include <array>
#include <limits>
#include <vector>

using edgetl::Frame;
using edgetl::Postprocess;

namespace {

constexpr Frame same_size{100, 100, 100, 100, 0, 0};
constexpr Postprocess usual{0.25F, 0.5F, 1000, 100};

using Box = std::array<float, 4>;

std::vector<edgetl_detection> found(const std::vector<Box>& boxes, const std::vector<float>& scores,
                                    const Postprocess& settings = usual, size_t capacity = 100,
                                    const Frame& frame = same_size) {
  edgetl::Postprocessor postprocessor;
  REQUIRE(postprocessor.make(boxes.size(), scores.size() / boxes.size()));
  std::vector<edgetl_detection> made(capacity + 1, {-1, -1, -1, -1, -1, -1});
  const size_t count = postprocessor.run(boxes[0].data(), scores.data(), frame, settings, made.data(), capacity);
  REQUIRE(count <= capacity);
  CHECK(made[count].label == -1);
  made.resize(count);
  return made;
}

bool all_finite(const std::vector<Box>& boxes, const std::vector<float>& scores) {
  edgetl::Postprocessor postprocessor;
  REQUIRE(postprocessor.make(boxes.size(), scores.size() / boxes.size()));
  edgetl_detection made[4];
  postprocessor.run(boxes[0].data(), scores.data(), same_size, usual, made, 4);
  return postprocessor.finite();
}

Postprocess with_candidates(int32_t candidates) {
  Postprocess settings = usual;
  settings.max_candidates = candidates;
  return settings;
}

}  // namespace

TEST_CASE("scores from the threshold on are reported, best first") {
  const auto objects = found({{0, 0, 10, 10}, {20, 20, 30, 30}, {40, 40, 50, 50}}, {0.25F, 0.2499F, 0.75F});
  REQUIRE(objects.size() == 2);
  CHECK(objects[0].x0 == 40);
  CHECK(objects[0].score == 0.75F);
  CHECK(objects[1].x1 == 10);
}

TEST_CASE("of two overlapping boxes of a class the better one is kept, and both of two classes") {
  const std::vector<Box> boxes = {{0, 0, 10, 10}, {0, 0, 10, 9}};
  CHECK(found(boxes, {0.5F, 0.8F}).size() == 1);
  CHECK(found(boxes, {0.5F, 0.1F, 0.1F, 0.8F}).size() == 2);
  CHECK(found(boxes, {0.5F, 0.8F})[0].y1 == 9);
}

TEST_CASE("an overlap of exactly the limit is allowed") {
  CHECK(found({{0, 0, 10, 10}, {0, 0, 10, 5}}, {0.9F, 0.8F}).size() == 2);
}

TEST_CASE("a suppressed box suppresses nothing") {
  CHECK(found({{0, 0, 10, 10}, {3, 0, 13, 10}, {6, 0, 16, 10}}, {0.9F, 0.8F, 0.7F}).size() == 2);
}

TEST_CASE("of equal scores the first ones become candidates, however many there are") {
  std::vector<Box> boxes;
  for (int i = 0; i < 5000; ++i) boxes.push_back({static_cast<float>(i % 90), 0, static_cast<float>(i % 90), 1});
  const std::vector<float> scores(boxes.size(), 0.5F);
  const auto objects = found(boxes, scores, with_candidates(7));
  REQUIRE(objects.size() == 7);
  for (size_t i = 0; i < objects.size(); ++i) CHECK(objects[i].x0 == static_cast<float>(i));
}

TEST_CASE("the best candidates are found among many, in every order") {
  std::vector<Box> boxes;
  std::vector<float> scores;
  for (int i = 0; i < 3000; ++i) {
    boxes.push_back({static_cast<float>(i % 97), static_cast<float>(i / 97), 0, 0});
    scores.push_back(0.3F + static_cast<float>(i * 7919 % 3000) / 10000);
  }
  for (const int32_t most : {1, 2, 10, 100}) {
    const auto objects = found(boxes, scores, with_candidates(most));
    REQUIRE(objects.size() == static_cast<size_t>(most));
    for (size_t i = 0; i < objects.size(); ++i) {
      CHECK(objects[i].score == 0.3F + static_cast<float>(2999 - static_cast<int>(i)) / 10000);
    }
  }
}

TEST_CASE("what is not finite is no candidate") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const std::vector<Box> boxes = {{0, 0, 5, 5}, {10, 0, 15, 5}, {20, 0, 25, 5}, {nan, 0, 35, 5}, {50, 0, infinity, 5}};
  CHECK(found(boxes, {nan, infinity, -infinity, 0.9F, 0.9F}).empty());
}

TEST_CASE("it is remembered whether a score, or the box of a candidate, is not finite") {
  const float nan = std::numeric_limits<float>::quiet_NaN(), infinity = std::numeric_limits<float>::infinity();
  const Box whole = {0, 0, 5, 5}, broken = {nan, 0, 35, 5};
  CHECK(all_finite({whole, whole}, {0.9F, 0.0F}));
  CHECK(all_finite({whole, broken}, {0.9F, 0.0F}));
  CHECK_FALSE(all_finite({whole, broken}, {0.9F, 0.9F}));
  for (const float score : {nan, infinity, -infinity}) CHECK_FALSE(all_finite({whole, whole}, {0.9F, score}));
}

TEST_CASE("boxes without area suppress nothing, and huge ones are clipped") {
  CHECK(found({{5, 5, 5, 5}, {5, 5, 5, 5}, {9, 9, 5, 5}}, {0.9F, 0.8F, 0.7F}).size() == 3);
  const auto objects = found({{-3e38F, -3e38F, 3e38F, 3e38F}}, {0.9F});
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].x1 == 100);
}

TEST_CASE("no more are written than there is room for") {
  const std::vector<Box> boxes = {{0, 0, 1, 1}, {2, 0, 3, 1}, {4, 0, 5, 1}};
  CHECK(found(boxes, {0.5F, 0.6F, 0.7F}, usual, 2).size() == 2);
  CHECK(found(boxes, {0.5F, 0.6F, 0.7F}, usual, 0).empty());
  Postprocess one = usual;
  one.max_detections = 1;
  CHECK(found(boxes, {0.5F, 0.6F, 0.7F}, one)[0].x0 == 4);
}

TEST_CASE("boxes return to the pixels of their picture") {
  const auto objects = found({{10, 47, 20, 57}}, {0.9F}, usual, 1, {50, 200, 25, 100, 37, 0});
  REQUIRE(objects.size() == 1);
  CHECK(objects[0].x0 == 20);
  CHECK(objects[0].y1 == 40);
}
