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

void check_refused(const std::string& name, const std::string& content, const std::string& message) {
  small_bundle::Files files = small_bundle::files({});
  files[name] = content;
  Opened opened;
  open(opened, files);
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
    check_refused("golden/logits.safetensors", small_bundle::safetensors({0, value, 0}), "a logit that is not finite");
  }
}
