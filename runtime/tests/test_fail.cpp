#include <doctest/doctest.h>

#include <cstring>
#include <string>

#include "fail.h"
#include "utf8.h"

using edgetl::fail;

namespace {

std::string line_of(const std::string& text) {
  edgetl_error error;
  fail(&error, EDGETL_BUNDLE_INVALID, "%s", text.c_str());
  return error.message;
}

bool is_utf8(const std::string& text) {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  for (size_t i = 0; i < text.size();) {
    const size_t length = edgetl::utf8_sequence(p + i, text.size() - i);
    if (length == 0) return false;
    i += length;
  }
  return true;
}

}  // namespace

TEST_CASE("a failure returns its status and writes the line") {
  edgetl_error error;
  CHECK(fail(&error, EDGETL_BUNDLE_CHANGED, "%s: %d bytes", "model.onnx", 3) == EDGETL_BUNDLE_CHANGED);
  CHECK(error.status == EDGETL_BUNDLE_CHANGED);
  CHECK(std::string(error.message) == "model.onnx: 3 bytes");
  CHECK(edgetl::succeed(&error) == EDGETL_OK);
  CHECK(error.status == EDGETL_OK);
  CHECK(std::string(error.message).empty());
}

TEST_CASE("no error structure is needed") {
  CHECK(fail(nullptr, EDGETL_OUT_OF_MEMORY, "%s", "x") == EDGETL_OUT_OF_MEMORY);
  CHECK(edgetl::succeed(nullptr) == EDGETL_OK);
}

TEST_CASE("an error may be told again with its own message") {
  edgetl_error error;
  fail(&error, EDGETL_BUNDLE_INVALID, "inner");
  fail(&error, EDGETL_BUNDLE_INVALID, "outer/%s", error.message);
  CHECK(std::string(error.message) == "outer/inner");
}

TEST_CASE("line breaks become spaces; other control characters and bytes that are no UTF-8 become question marks") {
  struct {
    const char *text, *shown;
  } const cases[] = {
      {"a\nb\tc\x7f", "a b c?"},
      {"\x1b[2Jgone", "?[2Jgone"},
      {"caf\xc3\xa9 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xf0\x9f\x98\x80"},
      {"\xff\xc3(", "?\?("},
      {"csi \xc2\x9b", "csi ??"},
      {"cut \xe2\x82", "cut ??"},
      {"\xed\xa0\x80", "???"},
  };
  for (const auto& c : cases) CHECK(line_of(c.text) == c.shown);
}

TEST_CASE("a long line is cut at 511 bytes, between characters") {
  const char* const characters[] = {"x", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};
  for (const char* character : characters) {
    for (size_t shift = 0; shift < 4; ++shift) {
      std::string text(shift, '.');
      while (text.size() < 1000) text += character;
      const std::string line = line_of(text);
      CHECK(line.size() <= 511);
      CHECK(line.size() > 511 - std::strlen(character));
      CHECK(line.find('?') == line.npos);
      CHECK(is_utf8(line));
    }
  }
}

TEST_CASE("a line separator of Unicode ends no line of a message") {
  edgetl_error error;
  edgetl::fail(&error, EDGETL_BUNDLE_INVALID, "label %s",
               "a\xE2\x80\xA8"
               "b\xE2\x80\xA9"
               "c\xE2\x80\xA7");
  CHECK(std::string(error.message) == "label a???b???c\xE2\x80\xA7");
}
