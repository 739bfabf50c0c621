#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

#include "bundle.h"
#include "golden.h"
#include "tools/small_bundle.h"

namespace {

struct Opened {
  std::string manifest;
  small_bundle::Files files;
  edgetl::Bundle bundle;
  std::vector<edgetl::GoldenImage> images;
  edgetl_error error{};
  edgetl_status status = EDGETL_OK;
};

// A bundle with these files and a manifest that fits them.
void open(Opened& opened, const small_bundle::Files& files, const small_bundle::Facts& facts = {}) {
  opened.files = files;
  opened.manifest = small_bundle::manifest(facts, files);
  opened.files["manifest.json"] = opened.manifest;
  std::vector<edgetl_file> list;
  for (const auto& [name, content] : opened.files) {
    list.push_back({name.c_str(), reinterpret_cast<const uint8_t*>(content.data()), content.size()});
  }
  REQUIRE_MESSAGE(opened.bundle.read_files(list.data(), list.size(), nullptr, &opened.error) == EDGETL_OK,
                  opened.error.message);
  opened.status = edgetl::read_golden(opened.bundle, opened.images, &opened.error);
}

void check_refused(const std::string& name, const std::string& content, const std::string& message,
                   const small_bundle::Facts& facts = {}) {
  small_bundle::Files files = small_bundle::files(facts);
  files[name] = content;
  Opened opened;
  open(opened, files, facts);
  CAPTURE(message);
  CHECK(opened.status == EDGETL_BUNDLE_INVALID);
  const std::string found = opened.error.message;
  CHECK_MESSAGE(found.find(name) != found.npos, found);
  CHECK_MESSAGE(found.find(message) != found.npos, found);
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE_MESSAGE(at != text.npos, from);
  return text.replace(at, from.size(), to);
}

std::string tensors(const std::string& header, size_t data_bytes) {
  std::string length(8, '\0');
  for (size_t i = 0; i < 8; ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  return length + header + std::string(data_bytes, '\0');
}

}  // namespace

TEST_CASE("golden vectors come back as they were written") {
  small_bundle::Facts facts;
  facts.logits = {1.5F, -2.0F, 0.25F};
  Opened opened;
  open(opened, small_bundle::files(facts), facts);
  REQUIRE_MESSAGE(opened.status == EDGETL_OK, opened.error.message);
  REQUIRE(opened.images.size() == 1);
  const edgetl::GoldenImage& image = opened.images[0];
  CHECK(std::string(image.file_name) == "golden/0.png");
  CHECK(image.file.size == small_bundle::picture_bytes);
  CHECK(image.height == small_bundle::picture_height);
  CHECK(image.width == small_bundle::picture_width);
  CHECK(image.rgb.size == small_bundle::picture_bytes);
  CHECK(image.rgb.data[1] == 37);
  CHECK(image.input.size == small_bundle::input_bytes);
  CHECK(image.logits == facts.logits);
}

TEST_CASE("a bundle without golden vectors has none") {
  small_bundle::Facts facts;
  facts.golden = false;
  Opened opened;
  open(opened, small_bundle::files(facts), facts);
  CHECK(opened.status == EDGETL_OK);
  CHECK(opened.images.empty());
}

TEST_CASE("arrays of other types, orders and shapes are refused") {
  const std::string good = small_bundle::files({})["golden/0.rgb.npy"];
  const std::string bad[] = {
      "",
      good.substr(0, 9),
      good.substr(0, 40),
      good.substr(0, good.size() - 1),
      good + "x",
      replaced(good, "NUMPY\x01", "NUMPY\x02"),
      replaced(good, "\x93NUMPY", "\x93NUMPI"),
      replaced(good, "|u1", "|i1"),
      replaced(good, "|u1", "|O1"),
      replaced(good, "False", "True "),
      replaced(good, "(5, 7, 3)", "(7, 5, 4)"),
      replaced(good, "(5, 7, 3)", "(0, 7, 3)"),
      replaced(good, "(5, 7, 3)", "(-5, 7,3)"),
      replaced(good, "(5, 7, 3), }     ", "(5, 7, 1, 3), }  "),
      replaced(good, "(5, 7, 3), }                       ", "(99999999999999999, 7, 3), }       "),
      replaced(good, "(5, 7, 3), }        ", "(65535, 65535, 3), }"),
      replaced(good, "}  ", "} x"),
      replaced(good, "\n", " "),
  };
  for (const std::string& content : bad)
    check_refused("golden/0.rgb.npy", content, "expected uint8 (height, width, 3)");
}

TEST_CASE("a network input of another shape is refused") {
  check_refused("golden/0.input.npy", small_bundle::npy(6, 4, std::string(72, 'x')), "expected uint8 (4, 6, 3)");
}

TEST_CASE("bad safetensors files are refused") {
  const std::string logits = R"({"logits":{"dtype":"F32","shape":[1,3],"data_offsets":[0,12]}})";
  const std::string huge = R"({"logits":{"dtype":"F32","shape":[1,3],"data_offsets":[99999999999,99999999999]}})";
  struct {
    std::string content;
    const char* message;
  } const cases[] = {
      {"", "shorter than a safetensors file"},
      {tensors(logits, 12).substr(0, 30), "a header longer than the file"},
      {std::string(8, '\xff') + logits, "a header longer than the file"},
      {tensors("{" + std::string(200'000, ' ') + "}", 0), "100 kB"},
      {tensors("[]", 0), "header: expected an object"},
      {tensors("{", 0), "header: expected a key"},
      {tensors("{}", 0), "no tensor `logits`"},
      {tensors(R"({"__metadata__":{"format":"pt"}})", 0), "no tensor `logits`"},
      {tensors(replaced(logits, "logits", "other"), 12), "no tensor `logits`"},
      {tensors(logits, 11), "tensor `logits`: not in the file"},
      {tensors(huge, 12), "tensor `logits`: not in the file"},
      {tensors(replaced(logits, "[0,12]", "[12,0]"), 12), "not in the file"},
      {tensors(replaced(logits, "[0,12]", "[-1,11]"), 12), "not in the file"},
      {tensors(replaced(logits, "[0,12]", "[0]"), 12), "not in the file"},
      {tensors(replaced(logits, "[0,12]", "[0,8]"), 12), "expected float32 (1, 3)"},
      {tensors(replaced(logits, "F32", "F16"), 12), "expected float32 (1, 3)"},
      {tensors(replaced(logits, "[1,3]", "[3,1]"), 12), "expected float32 (1, 3)"},
      {tensors(replaced(logits, "[1,3]", "[3]"), 12), "expected float32 (1, 3)"},
      {tensors(replaced(logits, "[1,3]", "\"1\""), 12), "not in the file"},
      {tensors(replaced(logits, "\"dtype\":\"F32\",", ""), 12), "not in the file"},
  };
  for (const auto& c : cases) check_refused("golden/logits.safetensors", c.content, c.message);
}

TEST_CASE("golden logits must be finite") {
  for (const float value : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
    check_refused("golden/logits.safetensors", small_bundle::safetensors({0, value, 0}),
                  "`logits` has values that are not finite");
  }
}

namespace {

small_bundle::Facts of_detector() {
  small_bundle::Facts facts;
  facts.detector = true;
  return facts;
}

}  // namespace

TEST_CASE("a detector's golden outputs and objects come back as they were written") {
  small_bundle::Facts facts = of_detector();
  facts.score = 0.75F;
  facts.objects = {{1, 2, 3, 4, 0.5F, 2}, {0, 0, 1, 1, 0.25F, 0}};
  Opened opened;
  open(opened, small_bundle::files(facts), facts);
  REQUIRE_MESSAGE(opened.status == EDGETL_OK, opened.error.message);
  const edgetl::GoldenImage& image = opened.images.at(0);
  CHECK(image.outputs.scores.at(0) == 0.75F);
  CHECK(image.outputs.scores.size() == 15);
  CHECK(image.outputs.boxes.size() == 20);
  CHECK(image.outputs.index == std::vector<int64_t>{0, 1, 2, 3, 4});
  REQUIRE(image.objects.size() == 2);
  CHECK(image.objects[0].y1 == 4);
  CHECK(image.objects[0].label == 2);
  CHECK(image.objects[1].score == 0.25F);
}

TEST_CASE("golden results of a detector that do not fit are refused") {
  const std::string outputs = small_bundle::outputs_file(0), objects = small_bundle::detections_file({});
  struct {
    const char* name;
    std::string content;
    const char* message;
  } const cases[] = {
      {"outputs", "", "shorter than a safetensors file"},
      {"outputs", replaced(outputs, "\"boxes\"", "\"boxen\""), "no tensor `boxes`"},
      {"outputs", replaced(outputs, "[1,5,4]", "[1,4,5]"), "expected float32 (1, 5, 4) in `boxes`"},
      {"outputs", replaced(outputs, "[1,5,3]", "[5,1,3]"), "expected float32 (1, 5, 3) in `scores`"},
      {"outputs", replaced(outputs, "I64", "I32"), "expected int64 (1, 5) in `index`"},
      {"detections", replaced(objects, "[0,4]", "[1,4]"), "expected float32 (0, 4) in `0.boxes`"},
      {"detections", replaced(objects, "\"shape\":[0]", "\"shape\":[1]"), "expected int64 (0,) in `0.labels`"},
      {"detections", replaced(objects, "\"0.scores\"", "\"1.scores\""), "no tensor `0.scores`"},
  };
  for (const auto& c : cases) {
    check_refused(std::string("golden/") + c.name + ".safetensors", c.content, c.message, of_detector());
  }
}

TEST_CASE("anchors must be ascending and exist") {
  for (const std::vector<int64_t>& index : {std::vector<int64_t>{0, 1, 1, 3, 4}, {-1, 1, 2, 3, 4}, {1, 2, 3, 4, 5}}) {
    const std::string bytes = small_bundle::bytes_of(index);
    const std::string good = small_bundle::bytes_of(std::vector<int64_t>{0, 1, 2, 3, 4});
    check_refused("golden/outputs.safetensors", replaced(small_bundle::outputs_file(0), good, bytes),
                  "`index`: expected ascending numbers below 5", of_detector());
  }
}
