#include "interface.h"

#include <doctest/doctest.h>

#include <string>

#include "tools/small_bundle.h"

using edgetl::Port;

namespace {

const Port image{"image", "uint8", {-1, 4, 6, 3}};
const Port logits{"logits", "float32", {-1, 3}};

edgetl_error check(const std::vector<Port>& inputs, const std::vector<Port>& outputs,
                   const small_bundle::Facts& facts = {}) {
  const small_bundle::Folder folder(facts);
  edgetl::Bundle bundle;
  REQUIRE(bundle.read_folder(folder.path(), nullptr, nullptr) == EDGETL_OK);
  edgetl_error error;
  REQUIRE(edgetl::check_interface(bundle, {inputs, outputs}, &error) == error.status);
  return error;
}

}  // namespace

TEST_CASE("a network of the manifest's sizes is taken, for one image or any number") {
  CHECK(check({image}, {logits}).status == EDGETL_OK);
  CHECK(check({{"image", "uint8", {1, 4, 6, 3}}}, {{"logits", "float32", {1, 3}}}).status == EDGETL_OK);
}

TEST_CASE("a network that takes or gives something else is refused") {
  const Port wrong_inputs[] = {
      {"picture", "uint8", {1, 4, 6, 3}}, {"image", "float32", {1, 4, 6, 3}},
      {"image", "uint8", {2, 4, 6, 3}},   {"image", "uint8", {1, 6, 4, 3}},
      {"image", "uint8", {1, 4, 6, 1}},   {"image", "uint8", {1, 4, 6}},
      {"image", "uint8", {1, -1, 6, 3}},  {"image", "uint8", {}},
  };
  for (const Port& input : wrong_inputs) CHECK(check({input}, {logits}).status == EDGETL_ENGINE_REFUSED);
  CHECK(check({image}, {{"logits", "float32", {1, 4}}}).status == EDGETL_ENGINE_REFUSED);
  CHECK(check({image, image}, {logits}).status == EDGETL_ENGINE_REFUSED);
  CHECK(check({image}, {}).status == EDGETL_ENGINE_REFUSED);
}

TEST_CASE("the outputs of a detector may come in any order") {
  small_bundle::Facts facts;
  facts.detector = true;
  facts.golden = false;
  const Port boxes{"boxes", "float32", {-1, 5, 4}}, scores{"scores", "float32", {-1, 5, 3}};
  CHECK(check({image}, {boxes, scores}, facts).status == EDGETL_OK);
  CHECK(check({image}, {scores, boxes}, facts).status == EDGETL_OK);
  CHECK(check({image}, {boxes}, facts).status == EDGETL_ENGINE_REFUSED);
  CHECK(check({image}, {boxes, boxes}, facts).status == EDGETL_ENGINE_REFUSED);
  CHECK(check({image}, {boxes, {"scores", "float32", {-1, 6, 3}}}, facts).status == EDGETL_ENGINE_REFUSED);
}

TEST_CASE("the message names both sides") {
  const std::string message = check({{"x", "float32", {-1, 3}}}, {}).message;
  CHECK(message.find("expected image uint8 (1, 4, 6, 3) in and logits float32 (1, 3) out") != std::string::npos);
  CHECK(message.find("found x float32 (any, 3) in and nothing out") != std::string::npos);
}
