#include "spotting.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

using edgetl::Spotter;

namespace {

constexpr float none = 2;

Spotter spotter(const std::vector<float>& thresholds, int32_t smoothing, int64_t refractory) {
  Spotter made;
  REQUIRE(made.make(thresholds.size(), {smoothing, refractory, thresholds.data()}));
  return made;
}

// Logits of this probability for class 0 of two.
std::vector<float> logits(double share) { return {static_cast<float>(std::log(share / (1 - share))), 0}; }

}  // namespace

TEST_CASE("the exponential is that of the C library to its last digits") {
  for (double x = 0; x > -708; x = x * 1.0001 - 1e-4) {
    CHECK(edgetl::exponential(x) == doctest::Approx(std::exp(x)).epsilon(4e-16));
  }
  CHECK(edgetl::exponential(0) == 1);
  CHECK(edgetl::exponential(-709) == 0);
  CHECK(edgetl::exponential(-1e300) == 0);
}

TEST_CASE("probabilities are the mean over the last windows, or as many as there were") {
  Spotter spot = spotter({none, none}, 2, 1);
  REQUIRE(spot.add(logits(0.9).data(), 10));
  CHECK(spot.probabilities()[0] == doctest::Approx(0.9));
  REQUIRE(spot.add(logits(0.5).data(), 20));
  CHECK(spot.probabilities()[0] == doctest::Approx(0.7));
  REQUIRE(spot.add(logits(0.1).data(), 30));
  CHECK(spot.probabilities()[0] == doctest::Approx(0.3));
  CHECK(spot.probabilities()[1] == doctest::Approx(0.7));
  CHECK(spot.best() == 1);
}

TEST_CASE("a class is detected when its mean reaches its threshold") {
  Spotter spot = spotter({0.6F, none}, 2, 1);
  spot.add(logits(0.4).data(), 10);
  CHECK(spot.detected() == -1);
  spot.add(logits(0.75).data(), 20);
  CHECK(spot.detected() == -1);
  spot.add(logits(0.75).data(), 30);
  CHECK(spot.detected() == 0);
}

TEST_CASE("of the classes that reach their threshold the most probable is detected, whatever the others say") {
  const std::vector<float> three = {1, 1.5F, 3};
  Spotter spot = spotter({0.05F, 0.1F, none}, 1, 1);
  spot.add(three.data(), 10);
  CHECK(spot.best() == 2);
  CHECK(spot.detected() == 1);
}

TEST_CASE("after a detection there is none until the refractory time is over") {
  Spotter spot = spotter({0.5F, none}, 1, 100);
  const auto detected = [&](int64_t end) {
    spot.add(logits(0.9).data(), end);
    return spot.detected() == 0;
  };
  CHECK(detected(10));
  CHECK_FALSE(detected(60));
  CHECK_FALSE(detected(109));
  CHECK(detected(110));
  CHECK_FALSE(detected(200));
}

TEST_CASE("without thresholds nothing is detected") {
  Spotter spot;
  REQUIRE(spot.make(2, {1, 1, nullptr}));
  spot.add(logits(0.999).data(), 10);
  CHECK(spot.detected() == -1);
  CHECK(spot.best() == 0);
}

TEST_CASE("logits that are not finite are refused and change nothing") {
  Spotter spot = spotter({0.5F, none}, 4, 1);
  spot.add(logits(0.9).data(), 10);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
    CHECK_FALSE(spot.add(std::vector<float>{bad, 0}.data(), 20));
  }
  CHECK(spot.probabilities()[0] == doctest::Approx(0.9));
}

TEST_CASE("after a reset the past is forgotten") {
  Spotter spot = spotter({0.5F, none}, 4, 100);
  spot.add(logits(0.9).data(), 10);
  spot.reset();
  spot.add(logits(0.6).data(), 10);
  CHECK(spot.probabilities()[0] == doctest::Approx(0.6));
  CHECK(spot.detected() == 0);
}

TEST_CASE("the most extreme logits have probabilities") {
  Spotter spot = spotter({0.5F, none}, 1, 1);
  const float most = std::numeric_limits<float>::max();
  REQUIRE(spot.add(std::vector<float>{most, -most}.data(), 10));
  CHECK(spot.probabilities()[0] == 1);
  CHECK(spot.probabilities()[1] == 0);
}
