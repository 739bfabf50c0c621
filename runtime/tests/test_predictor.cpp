#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <string>
#include <thread>

#include "edgetl/runtime.hpp"
#include "host_memory.h"
#include "model.h"
#include "tools/opened.h"
#include "tools/small_bundle.h"

using small_bundle::classes;
using small_bundle::contains;
using small_bundle::Folder;
using small_bundle::gray_picture;
using small_bundle::input_bytes;
using small_bundle::open;
using small_bundle::Opened;

TEST_CASE("the C++ predictor goes from a picture to an answer") {
  const Folder folder;
  auto predictor = edgetl::Predictor::open(folder.path());
  REQUIRE(predictor);
  const auto pixels = gray_picture();
  for (const auto& image :
       {edgetl::rgb(pixels.data(), 8, 8), edgetl::bgr(pixels.data(), 4, 4), edgetl::grey(pixels.data(), 12, 12)}) {
    const auto answer = predictor->predict(image);
    REQUIRE(answer);
    CHECK(answer->index == 0);
    CHECK(std::string(answer->label) == "cat");
    CHECK(answer->probability == doctest::Approx(1.0 / classes));
    CHECK(answer->logits.size == classes);
  }
}

namespace {

// An inference that ends when it is told to.
class Waiting : public edgetl::Engine {
 public:
  explicit Waiting(const edgetl_model& model) {
    const edgetl::Signature& ports = model.bundle.manifest().signature;
    REQUIRE((memory_.make(ports.inputs, inputs_) && memory_.make(ports.outputs, outputs_)));
  }
  edgetl_status run(edgetl_error*) noexcept override {
    started = true;
    while (!go_on) std::this_thread::yield();
    static_cast<float*>(outputs_[0].data)[0] = 1;
    return EDGETL_OK;
  }
  const char* version() const noexcept override { return ""; }

  std::atomic<bool> started{false}, go_on{false};

 private:
  edgetl::HostMemory memory_;
};

}  // namespace

TEST_CASE("a second thread that runs the same model gets an error, and no wrong numbers") {
  const Folder folder;
  const Opened model = open(folder);
  auto* waiting = new Waiting(*model);
  model->engine.reset(waiting);
  const std::array<uint8_t, input_bytes> input{};
  std::array<float, classes> first{}, second{7, 7, 7};
  edgetl_status status = EDGETL_ENGINE_FAILED;
  std::thread thread(
      [&] { status = edgetl_run(model.get(), input.data(), input.size(), first.data(), first.size(), nullptr); });
  while (!waiting->started) std::this_thread::yield();
  edgetl_error error;
  CHECK(edgetl_run(model.get(), input.data(), input.size(), second.data(), second.size(), &error) ==
        EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "another one runs this model: open one for each thread"));
  CHECK(second == std::array<float, classes>{7, 7, 7});
  waiting->go_on = true;
  thread.join();
  CHECK(status == EDGETL_OK);
  CHECK(first[0] == 1);
  // and afterwards it is free again
  CHECK(edgetl_run(model.get(), input.data(), input.size(), second.data(), second.size(), &error) == EDGETL_OK);
}

TEST_CASE("a second thread that uses the same predictor gets an error") {
  const Folder folder;
  auto predictor = edgetl::Predictor::open(folder.path());
  REQUIRE(predictor);
  auto* waiting = new Waiting(*predictor->model().get());
  predictor->model().get()->engine.reset(waiting);
  const auto pixels = gray_picture();
  bool answered = false;
  std::thread thread([&] { answered = bool(predictor->predict(edgetl::rgb(pixels.data(), 8, 8))); });
  while (!waiting->started) std::this_thread::yield();
  const auto second = predictor->predict(edgetl::rgb(pixels.data(), 8, 8));
  CHECK(second.status() == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(second.error(), "another thread uses this predictor"));
  waiting->go_on = true;
  thread.join();
  CHECK(answered);
}

TEST_CASE("the C++ predictor can be moved") {
  const Folder folder;
  auto opened = edgetl::Predictor::open(folder.path());
  REQUIRE(opened);
  edgetl::Predictor moved = std::move(*opened);
  const auto pixels = gray_picture();
  CHECK(moved.predict(edgetl::rgb(pixels.data(), 8, 8)));
}

TEST_CASE("the C++ calls hand on why they failed") {
  const auto nothing = edgetl::Predictor::open("/no/such/bundle");
  CHECK_FALSE(nothing);
  CHECK(nothing.status() == EDGETL_BUNDLE_UNREADABLE);
  CHECK(std::strlen(nothing.message()) > 0);
  const Folder folder;
  auto predictor = edgetl::Predictor::open(folder.path());
  REQUIRE(predictor);
  CHECK(predictor->predict(edgetl::rgb(nullptr, 8, 8)).status() == EDGETL_INVALID_ARGUMENT);
  CHECK(predictor->predict(edgetl::rgb(nullptr, 0, 8)).status() == EDGETL_INVALID_ARGUMENT);
}
