#include "edgetl/text.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

#include "edgetl/audio.h"
#include "model.h"
#include "tools/opened.h"

using small_bundle::classes;
using small_bundle::contains;
using small_bundle::Folder;
using small_bundle::Opened;
using Ids = std::vector<int32_t>;

namespace {

// Its logits show what it was given: how long, and the first and last token.
class Reading : public edgetl::Engine {
 public:
  Reading() {
    inputs_ = {{tokens_.data(), sizeof tokens_}};
    outputs_ = {{logits_.data(), sizeof logits_}};
  }
  edgetl_status run(edgetl_error* error) noexcept override {
    const size_t length = chosen_ == 0 ? 4 : 8;
    logits_ = {static_cast<float>(length), static_cast<float>(tokens_[0]), static_cast<float>(tokens_[length - 1])};
    if (error != nullptr) *error = {};
    return EDGETL_OK;
  }
  const char* version() const noexcept override { return ""; }

 private:
  std::array<int32_t, 8> tokens_{};
  std::array<float, classes> logits_{};
};

small_bundle::Facts of_texts() {
  small_bundle::Facts facts;
  facts.text = true;
  return facts;
}

Opened open_reading(const Folder& folder) {
  Opened model = small_bundle::open(folder);
  model->engine.reset(new Reading);
  return model;
}

std::vector<float> logits_of(edgetl_model* model, const std::string& text) {
  std::vector<float> logits(classes);
  edgetl_error error;
  REQUIRE_MESSAGE(
      edgetl_classify_text(model, text.data(), text.size(), logits.data(), logits.size(), &error) == EDGETL_OK,
      error.message);
  return logits;
}

}  // namespace

TEST_CASE("a text runs at the first length that holds it") {
  const Folder folder(of_texts());
  const Opened model = open_reading(folder);
  CHECK(logits_of(model.get(), "cat") == std::vector<float>{4, 2, 0});
  CHECK(logits_of(model.get(), "cats") == std::vector<float>{4, 2, 3});
  CHECK(logits_of(model.get(), "a cat.") == std::vector<float>{8, 2, 0});
  CHECK(logits_of(model.get(), "cat cat cat cat cat cat cat") == std::vector<float>{8, 2, 3});
  CHECK(logits_of(model.get(), "cat") == std::vector<float>{4, 2, 0});
}

TEST_CASE("the tokens of a text are those that the network takes") {
  const Folder folder(of_texts());
  const Opened model = open_reading(folder);
  Ids ids(8);
  size_t count = 0, length = 0;
  edgetl_error error;
  REQUIRE(edgetl_tokenize(model.get(), "Cats.", 5, ids.data(), ids.size(), &count, &length, &error) == EDGETL_OK);
  CHECK(ids == Ids{2, 4, 5, 7, 3, 0, 0, 0});
  CHECK(count == 5);
  CHECK(length == 8);
  CHECK(edgetl_tokenize(model.get(), "Cats.", 5, ids.data(), 7, &count, &length, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "ids: expected room for 8 (info.max_tokens are always enough); found 7"));
  CHECK(count == 0);
  CHECK(edgetl_tokenize(model.get(), "a\xFF", 2, ids.data(), 8, nullptr, &length, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "text: expected UTF-8; byte 1, 0xFF, is none"));
}

TEST_CASE("a bundle of texts says what it takes, and functions of other fronts refuse it") {
  const Folder folder(of_texts());
  const Opened model = open_reading(folder);
  edgetl_info info{};
  info.struct_size = sizeof info;
  REQUIRE(edgetl_get_info(model.get(), &info) == EDGETL_OK);
  CHECK(std::string(info.front) == "text");
  CHECK(info.max_tokens == 8);
  CHECK(info.input_bytes == 32);
  std::array<float, classes> logits{};
  const std::array<uint8_t, 32> pixels{};
  const std::array<int16_t, 4> samples{};
  edgetl_error error;
  CHECK(edgetl_run(model.get(), pixels.data(), 32, logits.data(), classes, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected a bundle for images; it takes texts: call edgetl_classify_text"));
  CHECK(edgetl_classify_samples(model.get(), samples.data(), 4, 16'000, logits.data(), classes, &error) ==
        EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected a bundle for sound; it takes texts: call edgetl_classify_text"));
  const Folder pictures;
  const Opened other = small_bundle::open(pictures);
  CHECK(edgetl_classify_text(other.get(), "a", 1, logits.data(), classes, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(contains(error, "expected a bundle for texts; it takes images: call edgetl_preprocess"));
}

TEST_CASE("calls with a missing argument or another number of logits are refused") {
  const Folder folder(of_texts());
  const Opened model = open_reading(folder);
  std::array<float, classes> logits{};
  int32_t id = 0;
  size_t length = 0;
  CHECK(edgetl_classify_text(nullptr, "a", 1, logits.data(), classes, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_classify_text(model.get(), nullptr, 1, logits.data(), classes, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_classify_text(model.get(), "a", 1, nullptr, classes, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_classify_text(model.get(), "a", 1, logits.data(), 2, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_tokenize(model.get(), "a", 1, nullptr, 1, nullptr, &length, nullptr) == EDGETL_INVALID_ARGUMENT);
  CHECK(edgetl_tokenize(model.get(), "a", 1, &id, 1, nullptr, nullptr, nullptr) == EDGETL_INVALID_ARGUMENT);
}

TEST_CASE("a tokenizer that does not fit its bundle is refused when it is opened") {
  const Folder folder(of_texts());
  edgetl_model* model = nullptr;
  edgetl_error error;
  std::string content = small_bundle::tokenizer;
  content.replace(content.find("\"pad\":0"), 7, "\"pad\":1");
  folder.replace(of_texts(), "tokenizer.json", content);
  CHECK(edgetl_open(folder.path(), nullptr, &model, &error) == EDGETL_BUNDLE_INVALID);
  CHECK(contains(error, "sha256`: expected the digest in preprocessing.tokenizer"));
}

TEST_CASE("verify tokenizes the golden texts") {
  const Folder folder(of_texts());
  std::vector<std::string> told;
  const auto note = [](void* user, const edgetl_check* check) {
    static_cast<std::vector<std::string>*>(user)->push_back(std::string(check->step) + ": " + check->detail);
  };
  edgetl_error error;
  CHECK(edgetl_verify(folder.path(), nullptr, nullptr, nullptr, note, &told, &error) == EDGETL_OK);
  REQUIRE(told.size() == 2);
  CHECK(told[0] == "tokenize: 0 of 8 tokens differ (limit 0)");
  folder.replace(of_texts(), "golden/0.txt", "Cat.");
  CHECK(edgetl_verify(folder.path(), nullptr, nullptr, nullptr, note, &told, &error) == EDGETL_CHECK_FAILED);
  CHECK(contains(error, "golden text 0: the first step that differs is tokenize: 4 tokens, expected 8"));
  folder.replace(of_texts(), "golden/0.txt", "Cat..");
  CHECK(edgetl_verify(folder.path(), nullptr, nullptr, nullptr, note, &told, &error) == EDGETL_CHECK_FAILED);
  CHECK(contains(error, "1 of 8 tokens differ (limit 0); the first at 2: 7, expected 5"));
}

TEST_CASE("a predictor of texts gives a label and its probability") {
  const Folder folder(of_texts());
  auto predictor = edgetl::TextPredictor::open(folder.path());
  REQUIRE(predictor);
  const auto answer = predictor->predict("cats");
  REQUIRE(answer);
  CHECK(std::string(answer->label) == "cat");
  CHECK(answer->probability == doctest::Approx(1.0 / classes));
  CHECK(!predictor->predict("\xFF"));
}
