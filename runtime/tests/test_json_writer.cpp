#include <doctest/doctest.h>

#include <cstdlib>
#include <limits>
#include <string>

#include "json_writer.h"

using edgetl::JsonWriter;

TEST_CASE("the layout is that of Python's json.dumps with indent=1") {
  JsonWriter json;
  json.open('{').key("a").whole(-1).key("b").open('[').text("x").null().boolean(true).close();
  json.key("c").open('[').close().key("d").open('{').close().close();
  CHECK(json.document() == "{\n \"a\": -1,\n \"b\": [\n  \"x\",\n  null,\n  true\n ],\n \"c\": [],\n \"d\": {}\n}\n");
}

TEST_CASE("doubles are as short as they can be and read back equal") {
  for (const double value : {0.1, 1.0 / 3, 1e300, 5e-324, -2.5, 0.0, 123456789.123456789}) {
    JsonWriter json;
    json.number(value);
    CHECK(std::strtod(json.document().c_str(), nullptr) == value);
  }
  JsonWriter json;
  json.number(0.1);
  CHECK(json.document() == "0.1\n");
}

TEST_CASE("floats read back equal") {
  for (const float value : {0.1F, 1.0F / 3, 3.4e38F, 1e-45F, -7.25F}) {
    JsonWriter json;
    json.number(value);
    CHECK(std::strtof(json.document().c_str(), nullptr) == value);
  }
}

TEST_CASE("what JSON has no word for is null") {
  JsonWriter json;
  json.open('[').number(std::numeric_limits<double>::infinity()).number(std::numeric_limits<float>::quiet_NaN());
  json.number_or_null(std::nullopt).text_or_null(std::nullopt).whole_or_null(std::nullopt).close();
  CHECK(json.document() == "[\n null,\n null,\n null,\n null,\n null\n]\n");
}

TEST_CASE("text is escaped, and bytes that are no UTF-8 are replaced") {
  const auto written = [](const std::string& text) {
    JsonWriter json;
    json.text(text);
    return json.document();
  };
  CHECK(written("a\"b\\c\n\t\x01") == "\"a\\\"b\\\\c\\n\\t\\u0001\"\n");
  CHECK(written("Größe 電 😀") == "\"Größe 電 😀\"\n");
  const std::string replaced = "\xEF\xBF\xBD";
  CHECK(written("a\xFFz") == "\"a" + replaced + "z\"\n");
  CHECK(written("\xC0\x80") == "\"" + replaced + replaced + "\"\n");                 // overlong
  CHECK(written("\xED\xA0\x80") == "\"" + replaced + replaced + replaced + "\"\n");  // a surrogate
  CHECK(written("cut \xE2\x82") == "\"cut " + replaced + replaced + "\"\n");
}
