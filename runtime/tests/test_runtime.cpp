#include <doctest/doctest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "edgetl/runtime.h"
#include "edgetl/runtime.hpp"
#include "model.h"
#include "tools/opened.h"
#include "tools/small_bundle.h"

using small_bundle::classes;
using small_bundle::contains;
using small_bundle::Facts;
using small_bundle::Folder;
using small_bundle::gray_picture;
using small_bundle::input_bytes;
using small_bundle::open;
using small_bundle::Opened;

namespace {

edgetl_error refusal(const Facts& facts) {
  const Folder folder(facts);
  edgetl_model* model = nullptr;
  edgetl_error error;
  CHECK(edgetl_open(folder.path(), nullptr, &model, &error) == error.status);
  CHECK(model == nullptr);
  return error;
}

edgetl_options options_with(int32_t threads) {
  edgetl_options options{};
  options.struct_size = sizeof options;
  options.threads = threads;
  return options;
}

edgetl_status open_status(const edgetl_options& options) {
  const Folder folder;
  edgetl_model* model = nullptr;
  edgetl_error error;
  const edgetl_status status = edgetl_open(folder.path(), &options, &model, &error);
  CHECK(status == error.status);
  edgetl_close(model);
  return status;
}

}  // namespace

TEST_CASE("a bundle is opened, described, run and closed") {
  const Folder folder;
  const Opened model = open(folder);
  edgetl_info info{};
  info.struct_size = sizeof info;
  REQUIRE(edgetl_get_info(model.get(), &info) == EDGETL_OK);
  CHECK(info.height == small_bundle::height);
  CHECK(info.width == small_bundle::width);
  CHECK(info.classes == classes);
  CHECK(info.threads >= 1);
  CHECK(info.input_bytes == input_bytes);
  CHECK(std::string(info.name) == "small");
  CHECK(std::string(info.target) == "any-cpu");
  CHECK(std::string(info.engine) == "null");
  CHECK(std::string(info.engine_version).empty());
  CHECK(std::string(info.precision) == "int8");
  CHECK(std::strlen(info.digest) == 64);

  const auto pixels = gray_picture();
  const edgetl_image image{pixels.data(), 8, 8, 24, EDGETL_RGB};
  size_t scratch_bytes = 0;
  REQUIRE(edgetl_scratch_bytes(model.get(), 8, 8, &scratch_bytes, nullptr) == EDGETL_OK);
  std::vector<uint64_t> scratch(scratch_bytes / 8 + 1);
  std::array<uint8_t, input_bytes> input{};
  REQUIRE(edgetl_preprocess(model.get(), &image, scratch.data(), scratch_bytes, input.data(), input.size(), nullptr) ==
          EDGETL_OK);
  for (const uint8_t value : input) CHECK(value == 100);

  std::array<float, classes> logits{1, 2, 3};
  edgetl_error error{EDGETL_ENGINE_FAILED, "of the call before"};
  CHECK(edgetl_run(model.get(), input.data(), input.size(), logits.data(), logits.size(), &error) == EDGETL_OK);
  CHECK(error.status == EDGETL_OK);
  CHECK(std::string(error.message).empty());
  CHECK(logits == std::array<float, classes>{0, 0, 0});
}

TEST_CASE("labels are those of the manifest, and nothing outside") {
  const Folder folder;
  const Opened model = open(folder);
  CHECK(std::string(edgetl_label(model.get(), 0)) == "cat");
  CHECK(std::string(edgetl_label(model.get(), 2)) == "fish");
  CHECK(edgetl_label(model.get(), 3) == nullptr);
  CHECK(edgetl_label(model.get(), -1) == nullptr);
  CHECK(edgetl_label(nullptr, 0) == nullptr);
}

TEST_CASE("a bundle inside the program is opened from memory") {
  const Facts facts;
  const small_bundle::Files content = small_bundle::files(facts);
  const std::string manifest = small_bundle::manifest(facts, content);
  const auto bytes = [](const std::string& text) { return reinterpret_cast<const uint8_t*>(text.data()); };
  std::vector<edgetl_file> files{{"manifest.json", bytes(manifest), manifest.size()}};
  for (const auto& [name, text] : content) files.push_back({name.c_str(), bytes(text), text.size()});
  edgetl_model* model = nullptr;
  edgetl_error error;
  const edgetl_status status = edgetl_open_files(files.data(), files.size(), nullptr, &model, &error);
  CAPTURE(error.message);
  REQUIRE(status == EDGETL_OK);
  std::array<uint8_t, input_bytes> input{};
  std::array<float, classes> logits{};
  CHECK(edgetl_run(model, input.data(), input.size(), logits.data(), logits.size(), nullptr) == EDGETL_OK);
  edgetl_close(model);
}

TEST_CASE("the golden files are given back once the model is open") {
  const Folder folder;
  const Opened model = open(folder);
  CHECK(model->bundle.file("golden/0.rgb.npy").data == nullptr);
}

TEST_CASE("a folder that is not there cannot be opened") {
  edgetl_error error;
  edgetl_model* model = nullptr;
  CHECK(edgetl_open("/no/such/bundle", nullptr, &model, &error) == EDGETL_BUNDLE_UNREADABLE);
  CHECK(contains(error, "/no/such/bundle"));
}

TEST_CASE("a bundle for another kind of machine is foreign here") {
  Facts facts;
#if defined(__x86_64__)
  facts.machine = "aarch64";
#else
  facts.machine = "x86_64";
#endif
  const edgetl_error error = refusal(facts);
  CHECK(error.status == EDGETL_BUNDLE_FOREIGN);
  CHECK(contains(error, facts.machine.c_str()));
}

TEST_CASE("a bundle that was not finished says which command does it") {
  Facts facts;
  facts.finished = false;
  const edgetl_error error = refusal(facts);
  CHECK(error.status == EDGETL_BUNDLE_FOREIGN);
  CHECK(contains(error, "edgetl compile --finish"));
}

TEST_CASE("an engine that was not built in is named") {
  Facts facts;
  facts.backend = "tensorrt_rtx";
  const edgetl_error error = refusal(facts);
  CHECK(error.status == EDGETL_ENGINE_NOT_BUILT);
  CHECK(contains(error, "tensorrt_rtx"));
}

TEST_CASE("arguments of the open calls are checked") {
  const Folder folder;
  edgetl_error error;
  edgetl_model* model = nullptr;
  CHECK(edgetl_open(nullptr, nullptr, &model, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "NULL"));
  CHECK(edgetl_open(folder.path(), nullptr, nullptr, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_open_files(nullptr, 3, nullptr, &model, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_open(nullptr, nullptr, &model, nullptr) == EDGETL_INVALID_ARGUMENT);
  edgetl_close(nullptr);
}

TEST_CASE("threads are 0 for all, or a number that makes sense") {
  CHECK(open_status(options_with(0)) == EDGETL_OK);
  CHECK(open_status(options_with(-1)) == EDGETL_INVALID_ARGUMENT);
  CHECK(open_status(options_with(1025)) == EDGETL_INVALID_ARGUMENT);
  const Folder folder;
  const edgetl_options options = options_with(3);
  const Opened model = open(folder, &options);
  edgetl_info info{};
  info.struct_size = sizeof info;
  edgetl_get_info(model.get(), &info);
  CHECK(info.threads == 3);
}

TEST_CASE("options of an older caller are taken as far as they go") {
  edgetl_options options = options_with(-7);
  options.struct_size = offsetof(edgetl_options, threads);  // that caller knew no threads
  CHECK(open_status(options) == EDGETL_OK);
}

TEST_CASE("options of a newer caller are taken when what is not known here is not used") {
  struct {
    edgetl_options known;
    uint64_t later;
  } newer{options_with(1), 0};
  newer.known.struct_size = sizeof newer;
  CHECK(open_status(newer.known) == EDGETL_OK);
  newer.later = 1;
  CHECK(open_status(newer.known) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("options without their size are refused") {
  edgetl_options options{};
  CHECK(open_status(options) == EDGETL_INVALID_ARGUMENT);
  options.struct_size = 1U << 20U;
  CHECK(open_status(options) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("info is filled as far as the caller's structure goes") {
  const Folder folder;
  const Opened model = open(folder);
  edgetl_info info{};
  info.struct_size = offsetof(edgetl_info, classes);
  info.classes = -5;
  CHECK(edgetl_get_info(model.get(), &info) == EDGETL_OK);
  CHECK(info.width == small_bundle::width);
  CHECK(info.classes == -5);
  info.struct_size = 0;
  CHECK(edgetl_get_info(model.get(), &info) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_get_info(nullptr, &info) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_get_info(model.get(), nullptr) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("arguments of edgetl_run are checked") {
  const Folder folder;
  const Opened model = open(folder);
  std::array<uint8_t, input_bytes> input{};
  std::array<float, classes> logits{};
  edgetl_error error;
  const auto run = [&](edgetl_model* m, const uint8_t* in, size_t bytes, float* out, size_t count) {
    const edgetl_status status = edgetl_run(m, in, bytes, out, count, &error);
    CHECK(status == error.status);
    return status;
  };
  CHECK(run(nullptr, input.data(), input_bytes, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(run(model.get(), nullptr, input_bytes, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(run(model.get(), input.data(), input_bytes, nullptr, classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(run(model.get(), input.data(), input_bytes - 1, logits.data(), classes) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected info.input_bytes, 72; found 71"));
  CHECK(run(model.get(), input.data(), input_bytes, logits.data(), classes + 1) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected info.classes, 3; found 4"));
  CHECK(edgetl_run(nullptr, nullptr, 0, nullptr, 0, nullptr) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("arguments of edgetl_preprocess are checked") {
  const Folder folder;
  const Opened model = open(folder);
  const auto pixels = gray_picture();
  const edgetl_image image{pixels.data(), 8, 8, 24, EDGETL_RGB};
  std::vector<uint64_t> scratch(4096);
  const size_t bytes = scratch.size() * 8;
  std::array<uint8_t, input_bytes> input{};
  edgetl_error error;
  const auto preprocess = [&](const edgetl_model* m, const edgetl_image* i, void* s, size_t n, uint8_t* in, size_t k) {
    const edgetl_status status = edgetl_preprocess(m, i, s, n, in, k, &error);
    CHECK(status == error.status);
    return status;
  };
  const edgetl_model* m = model.get();
  uint8_t* in = input.data();
  CHECK(preprocess(m, &image, scratch.data(), bytes, in, input_bytes) == EDGETL_OK);
  CHECK(preprocess(nullptr, &image, scratch.data(), bytes, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
  CHECK(preprocess(m, nullptr, scratch.data(), bytes, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
  CHECK(preprocess(m, &image, nullptr, bytes, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
  CHECK(preprocess(m, &image, scratch.data(), bytes, nullptr, input_bytes) == EDGETL_INVALID_ARGUMENT);
  CHECK(preprocess(m, &image, scratch.data(), bytes, in, input_bytes + 1) == EDGETL_INVALID_ARGUMENT);
  CHECK(preprocess(m, &image, scratch.data(), 0, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
  auto* odd = reinterpret_cast<uint8_t*>(scratch.data()) + 1;
  CHECK(preprocess(m, &image, odd, bytes - 8, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
  const edgetl_image nothing{pixels.data(), 0, 8, 24, EDGETL_RGB};
  CHECK(preprocess(m, &nothing, scratch.data(), bytes, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
  const edgetl_image no_pixels{nullptr, 8, 8, 24, EDGETL_RGB};
  CHECK(preprocess(m, &no_pixels, scratch.data(), bytes, in, input_bytes) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("arguments of edgetl_scratch_bytes are checked") {
  const Folder folder;
  const Opened model = open(folder);
  size_t bytes = 0;
  CHECK(edgetl_scratch_bytes(nullptr, 8, 8, &bytes, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_scratch_bytes(model.get(), 8, 8, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_scratch_bytes(model.get(), 0, 8, &bytes, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_scratch_bytes(model.get(), 65536, 8, &bytes, nullptr) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("the largest logit is found, the first of equals") {
  const float logits[] = {1, 3, 3, -2};
  CHECK(edgetl_argmax(logits, 4) == 1);
  CHECK(edgetl_argmax(logits, 0) == -1);
  CHECK(edgetl_argmax(nullptr, 4) == -1);
}

TEST_CASE("softmax gives probabilities, in place as well, for large logits too") {
  float values[] = {1000, 1001, 999};
  edgetl_softmax(values, values, 3);
  CHECK(values[0] == doctest::Approx(0.24472847));
  CHECK(values[1] == doctest::Approx(0.66524096));
  CHECK(values[0] + values[1] + values[2] == doctest::Approx(1));
  edgetl_softmax(nullptr, values, 3);
  edgetl_softmax(values, values, 0);
}

TEST_CASE("every status has a name") {
  CHECK(std::string(edgetl_status_name(EDGETL_OK)) == "EDGETL_OK");
  CHECK(std::string(edgetl_status_name(EDGETL_CHECK_FAILED)) == "EDGETL_CHECK_FAILED");
  CHECK(std::string(edgetl_status_name(static_cast<edgetl_status>(47))) == "unknown status");
}

TEST_CASE("the engines that were built in are listed, null among them") {
  bool null_is_there = false;
  int32_t count = 0;
  for (; edgetl_engine_name(count) != nullptr; ++count) {
    null_is_there = null_is_there || std::string(edgetl_engine_name(count)) == "null";
  }
  CHECK(null_is_there);
  CHECK(edgetl_engine_name(-1) == nullptr);
  CHECK(edgetl_engine_name(count + 1) == nullptr);
}

TEST_CASE("a bundle beside the program is found from any working folder") {
  const Folder folder;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe");
  const std::string relative = std::filesystem::relative(folder.path(), program.parent_path()).string();
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path("/");
  edgetl_error error;
  edgetl_model* model = nullptr;
  CHECK(edgetl_open_beside(relative.c_str(), nullptr, &model, &error) == EDGETL_OK);
  edgetl_close(model);
  CHECK(edgetl_open_beside(folder.path(), nullptr, &model, &error) == EDGETL_OK);
  edgetl_close(model);
  CHECK(edgetl_open_beside("no-such-bundle", nullptr, &model, &error) == EDGETL_BUNDLE_UNREADABLE);
  CHECK(model == nullptr);
  CHECK(contains(error, (program.parent_path() / "no-such-bundle: no such bundle").c_str()));
  CHECK(edgetl_open_beside(nullptr, nullptr, &model, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl::Predictor::open_beside(relative.c_str()));
  std::filesystem::current_path(before);
}
