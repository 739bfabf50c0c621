#include <doctest/doctest.h>

#include <string>

#include "json.h"

namespace json = edgetl::json;

namespace {

struct Result {
  bool parsed = false;
  json::Document document;
  std::string problem;
};

Result parse(const std::string& text, const json::Limits& limits = {}) {
  Result result;
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  result.parsed = result.document.parse(bytes, text.size(), limits, result.problem);
  return result;
}

std::string nested(size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }

}  // namespace

TEST_CASE("values come back as they were written") {
  const Result result = parse(R"( {"a": [1, -2.5e3, "x\n\u00e9\ud83d\ude00"], "b": {"c": null}, "d": true, "e": {}} )");
  REQUIRE_MESSAGE(result.parsed, result.problem);
  const json::Value root = result.document.root();
  CHECK(root.kind() == json::Kind::object);
  CHECK(root.size() == 4);
  const json::Value list = root.find("a");
  CHECK(list.size() == 3);
  const json::Value first = list.first();
  CHECK(first.number() == 1);
  CHECK(first.is_whole());
  CHECK(first.next().number() == -2500);
  CHECK_FALSE(first.next().is_whole());
  CHECK(first.next().next().text() == "x\n\xc3\xa9\xf0\x9f\x98\x80");
  CHECK_FALSE(first.next().next().next());
  CHECK(root.find("b").find("c").kind() == json::Kind::null);
  CHECK(root.find("d").truth());
  CHECK(root.find("e").size() == 0);
  CHECK_FALSE(root.find("e").first());
  CHECK_FALSE(root.find("nothing"));
}

TEST_CASE("numbers are read exactly, whatever the locale") {
  CHECK(parse("0.1").document.root().number() == 0.1);
  CHECK(parse("-0").document.root().number() == 0);
  CHECK(parse("1e-06").document.root().number() == 1e-6);
  CHECK(parse("4000000000").document.root().number() == 4e9);
}

TEST_CASE("what is not JSON is refused with the place") {
  struct {
    const char *text, *problem;
  } const cases[] = {
      {"", "ends early at line 1, byte 1"},
      {"{", "expected a key"},
      {"[1", "expected `,` or `]`"},
      {"[1,]", "expected a value at line 1, byte 4"},
      {"[1 2]", "expected `,` or `]` at line 1, byte 4"},
      {"{\"a\":1,}", "expected a key"},
      {"{\"a\" 1}", "expected `:`"},
      {"{a: 1}", "expected a key in double quotes"},
      {"[}", "expected a value"},
      {"{\"a\": 1]", "expected `,` or `}`"},
      {"1 1", "more text after the end"},
      {"tru", "expected a value"},
      {"NaN", "expected a value"},
      {"-Infinity", "expected a value"},
      {"+1", "expected a value"},
      {"01", "leading 0"},
      {"1.", "digits after its point"},
      {".5", "expected a value"},
      {"1e", "digits in its exponent"},
      {"1e999", "no double can hold"},
      {"-1e999999999999999999999", "no double can hold"},
      {"\"abc", "ends inside a string"},
      {"\"a\nb\"", "control character"},
      {"\"\\x\"", "unknown escape"},
      {"\"\\", "unknown escape"},
      {"\"\\u12", "ends inside an escape"},
      {"\"\\u12g4\"", "four hexadecimal digits"},
      {"\"\\ud800\"", "half a surrogate"},
      {"\"\\ud800\\n\"", "half a surrogate"},
      {"\"\\ud800\\u0041\"", "half a surrogate"},
      {"\"\\udc00\"", "half a surrogate"},
      {"\"\xff\"", "invalid UTF-8"},
      {"\"\xc0\x80\"", "invalid UTF-8"},
      {"\"\xed\xa0\x80\"", "invalid UTF-8"},
      {"\"\xf4\x90\x80\x80\"", "invalid UTF-8"},
      {"\xef\xbb\xbf{}", "expected a value at line 1, byte 1"},
      {"{\"a\": 1,\n \"\\u0061\": 2}", "the key `a` occurs twice, in the object that ends at line 2"},
      {"/* */ 1", "expected a value"},
  };
  for (const auto& c : cases) {
    const Result result = parse(c.text);
    CAPTURE(c.text);
    CHECK_FALSE(result.parsed);
    CHECK_MESSAGE(result.problem.find(c.problem) != std::string::npos, result.problem);
  }
}

TEST_CASE("a zero byte is no white space") {
  CHECK_FALSE(parse(std::string("1\0", 2)).parsed);
  CHECK_FALSE(parse(std::string("\"a\0b\"", 5)).parsed);
}

TEST_CASE("depth and number of values are bounded") {
  CHECK(parse(nested(64)).parsed);
  CHECK(parse(nested(65)).problem.find("nested deeper than 64") != std::string::npos);
  CHECK(parse(nested(10'000)).problem.find("nested deeper than 64") != std::string::npos);
  CHECK_FALSE(parse(std::string(1'000'000, '[')).parsed);
  CHECK(parse("[1,2,3]", {64, 4}).parsed);
  CHECK(parse("[1,2,3,4]", {64, 4}).problem.find("more than 4 values") != std::string::npos);
}

TEST_CASE("equal keys in different objects are no duplicates") {
  CHECK(parse(R"({"a": {"a": 1}, "b": [{"a": 1}, {"a": 2}]})").parsed);
}

TEST_CASE("values are described for messages") {
  const std::string text = "[null, true, 3, 0.5, \"" + std::string(100, 'x') + "\", [1], {\"a\": 1}]";
  const Result result = parse(text);
  REQUIRE(result.parsed);
  const std::string expected[] = {
      "null",        "true",          "the number 3", "the number 0.5", "the text \"" + std::string(60, 'x') + "...\"",
      "a list of 1", "an object of 1"};
  size_t index = 0;
  for (json::Value value = result.document.root().first(); value; value = value.next()) {
    CHECK(json::describe(value) == expected[index++]);
  }
  CHECK(index == 7);
}
