#include <doctest/doctest.h>

#include <string>

#include "manifest.h"
#include "tools/small_bundle.h"

using edgetl::Manifest;
using edgetl::parse_manifest;

namespace {

std::string valid() { return small_bundle::manifest({}, small_bundle::files({})); }

edgetl_status parse(const std::string& text, Manifest& manifest, edgetl_error* error) {
  return parse_manifest(reinterpret_cast<const uint8_t*>(text.data()), text.size(), manifest, error);
}

// The valid manifest with the first `from` replaced, which must be there.
std::string changed(const std::string& from, const std::string& to) {
  std::string text = valid();
  const size_t at = text.find(from);
  REQUIRE_MESSAGE(at != text.npos, from);
  return text.replace(at, from.size(), to);
}

void check_refused(const std::string& text, const char* message) {
  Manifest manifest;
  edgetl_error error;
  CAPTURE(message);
  CHECK(parse(text, manifest, &error) == EDGETL_BUNDLE_INVALID);
  CHECK_MESSAGE(std::string(error.message).find(message) != std::string::npos, error.message);
  CHECK(std::string(error.message).rfind("manifest.json: ", 0) == 0);
}

std::string repeated(const std::string& part, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + part;
  return text;
}

}  // namespace

TEST_CASE("a valid manifest is read whole") {
  Manifest manifest;
  edgetl_error error;
  REQUIRE_MESSAGE(parse(valid(), manifest, &error) == EDGETL_OK, error.message);
  CHECK(manifest.name == "small");
  CHECK(manifest.target == "any-cpu");
  CHECK(manifest.machine == "any");
  CHECK(manifest.backend == "null");
  CHECK(manifest.precision == "int8");
  CHECK(manifest.model == "model.onnx");
  CHECK(manifest.model_files == std::vector<std::string>{"model.onnx"});
  CHECK(manifest.finished);
  CHECK(manifest.labels == std::vector<std::string>{"cat", "dog", "fish"});
  CHECK(manifest.preprocessing.height == 4);
  CHECK(manifest.preprocessing.width == 6);
  CHECK(manifest.preprocessing.crop_pct == 0.875);
  CHECK(manifest.preprocessing.fill == std::array<uint8_t, 3>{128, 128, 128});
  CHECK(manifest.golden.count == 1);
  CHECK(manifest.golden.files == std::vector<std::string>{"golden/0.png"});
  CHECK(manifest.golden.tolerance.max_diff_of_range == 0.1);
  CHECK(manifest.golden.tolerance.max_decode_step == 2);
  CHECK(manifest.files.size() == 6);
  CHECK(manifest.files.at("model.onnx").size_bytes == 9);
}

TEST_CASE("other values of the same shape are taken") {
  struct {
    const char *from, *to;
  } const cases[] = {
      {"\"measured\":null", "\"measured\":{\"images\":3,\"anything\":[1,2]}"},
      {"\"options\":{}", "\"options\":{\"threads\":4}"},
      {"\"facts\":{}", "\"facts\":{\"opset\":\"21\"}"},
      {",\"facts\":{}", ""},
      {",\"max_decode_step\":2", ""},
      {",\"verdict\":\"not measured\",\"reason\":\"\",\"measured\":null", ""},
      {"\"resize\":\"squash\"", "\"resize\":\"letterbox\""},
      {"\"interpolation\":\"bilinear\"", "\"interpolation\":\"bicubic\""},
      {"\"cat\"", "\"K\\u00e4tzchen\""},
      {"\"scheme\":null", "\"scheme\":\"u8s8-000000\""},
      {"\"precision\":\"int8\"", "\"precision\":\"mixed\""},
      {"\"precision\":\"int8\"", "\"precision\":\"simplified\""},
      {"\"precision\":\"int8\"", "\"precision\":\"float16\""},
      {"\"mean\":[0.5,", "\"mean\":[1,"},
  };
  for (const auto& c : cases) {
    Manifest manifest;
    edgetl_error error;
    CHECK_MESSAGE(parse(changed(c.from, c.to), manifest, &error) == EDGETL_OK, error.message);
  }
}

TEST_CASE("what is not a manifest is refused with the place") {
  struct {
    std::string from, to;
    const char* message;
  } const cases[] = {
      {"\"schema\":2", "\"schema\":3", "`schema`: expected 1 or 2, found the number 3"},
      {"\"schema\":2", "\"schema\":0", "`schema`: expected 1 or 2, found the number 0"},
      {"\"schema\":2", "\"schema\":2.0", "`schema`"},
      {"\"schema\":2", "\"schema\":\"2\"", "`schema`"},
      {"\"schema\":2,", "", "`schema`: expected a value, found nothing"},
      {"\"name\":\"small\"", "\"name\":3", "`name`: expected a text"},
      {"\"name\":\"small\"", "\"name\":\"a\\u0000b\"", "`name`: expected a text"},
      {"\"name\":\"small\"", "\"name\":\"" + std::string(201, 'n') + "\"", "at most 200 characters"},
      {"\"name\":\"small\"", "\"name\":\"small\",\"name\":\"small\"", "`name` occurs twice"},
      {"\"name\":\"small\"", "\"name\":\"small\",\"extra\":1", "`extra`: expected no such key"},
      {"\"name\":\"any-cpu\"", "\"name\":\"any-cpu\",\"extra\":1", "`target.extra`: expected no such key"},
      {"\"machine\":\"any\"", "\"machine\":\"vax\"", "`target.machine`: expected one of x86_64 aarch64 any, found"},
      {"\"accelerator\":\"none\"", "\"accelerator\":\"fpga\"", "`target.accelerator`"},
      {"\"precisions\":[\"int8\"]", "\"precisions\":[\"int7\"]", "`target.precisions.0`"},
      {"\"backend\":\"null\",\"backend_version\"", "\"backend\":\"x\",\"backend_version\"", "`compiled.backend`"},
      {"\"model\":\"model.onnx\"", "\"model\":\"../model.onnx\"", "`compiled.model`: expected a plain file name"},
      {"\"model\":\"model.onnx\"", "\"model\":\"golden/0.png\"", "`compiled.model`: expected a plain file name"},
      {"\"model\":\"model.onnx\"", "\"model\":\".model\"", "`compiled.model`"},
      {"\"model\":\"model.onnx\"", "\"model\":\"other.onnx\"", "`files`: expected other.onnx"},
      {"\"files\":[\"model.onnx\"]", "\"files\":[\"model.onnx\",\"weights.bin\"]", "`files`: expected weights.bin"},
      {"\"files\":[\"model.onnx\"]", "\"files\":[\"/etc/passwd\"]", "`compiled.files.0`"},
      {"\"finished\":true", "\"finished\":1", "`compiled.finished`: expected true or false, found the number 1"},
      {"\"facts\":{}", "\"facts\":{\"opset\":21}", "`compiled.facts.opset`"},
      {"\"cat\",\"dog\",\"fish\"", "\"cat\"", "`labels`: expected a list of 2 to 100000, found a list of 1"},
      {"\"cat\",\"dog\",\"fish\"", "", "`labels`: expected a list of 1 to 100000, found a list of 0"},
      {"\"cat\"", "\"" + std::string(501, 'c') + "\"", "`labels.0`: expected a text of at most 500"},
      {"\"cat\"", "\"\\u001b]0;owned\\u0007\"", "`labels.0`: expected text without control characters"},
      {"\"cat\"", "\"a\\nother.png: 7\"", "`labels.0`: expected text without control characters"},
      {"\"cat\"", "\"\\u007f\"", "`labels.0`: expected text without control characters"},
      {"\"cat\"", "\"\\u009b1m\"", "`labels.0`: expected text without control characters"},
      {"\"cat\"", "\"\\u2028\"", "`labels.0`: expected text without control characters"},
      {"\"name\":\"small\"", "\"name\":\"a\\tb\"", "`name`: expected text without control characters"},
      {"\"cat\"", "null", "`labels.0`: expected a text of at most 500 characters without zeros, found null"},
      {"\"cat\"", repeated("\"c\"", 100'000), "`labels`: expected a list of 1 to 100000, found a list of 100002"},
      {"\"height\":4", "\"height\":0", "`preprocessing.height`: expected a whole number from 1 to 8192"},
      {"\"height\":4", "\"height\":8193", "`preprocessing.height`"},
      {"\"height\":4", "\"height\":4.5", "`preprocessing.height`"},
      {"\"height\":4", "\"height\":-4", "`preprocessing.height`"},
      {"\"height\":4", "\"height\":99999999999999999999999999", "`preprocessing.height`"},
      {"\"height\":4", "\"height\":1e400", "no double can hold"},
      {"\"resize\":\"squash\"", "\"resize\":\"stretch\"", "`preprocessing.resize`"},
      {"\"crop_pct\":0.875", "\"crop_pct\":0", "`preprocessing.crop_pct`: expected a number from 0.05 to 1"},
      {"\"crop_pct\":0.875", "\"crop_pct\":1.01", "`preprocessing.crop_pct`"},
      {"\"mean\":[0.5,0.5,0.5]", "\"mean\":[0.5,0.5]", "`preprocessing.mean`: expected a list of 3"},
      {"\"std\":[0.5,", "\"std\":[0,", "`preprocessing.std.0`: expected a number from 1e-09 to 1e+06"},
      {"\"mean\":[0.5,", "\"mean\":[1e7,", "`preprocessing.mean.0`"},
      {"\"fill\":[128,128,128]", "\"fill\":[128,128,256]", "`preprocessing.fill.2`"},
      {"\"pivot_sha256\":\"0", "\"pivot_sha256\":\"A", "`pivot_sha256`: expected 64 hexadecimal digits"},
      {"\"pivot_sha256\":\"0", "\"pivot_sha256\":\"", "`pivot_sha256`"},
      {"\"verdict\":\"not measured\"", "\"verdict\":\"maybe\"", "`verdict`"},
      {"\"count\":1", "\"count\":0", "`golden.count`"},
      {"\"count\":1", "\"count\":65", "`golden.count`"},
      {"\"count\":1", "\"count\":2", "`golden`: expected as many files as `count`, found 1"},
      {"\"files\":[\"golden/0.png\"]", "\"files\":[\"golden/1.png\"]", "expected golden/0.jpg or golden/0.png"},
      {"\"files\":[\"golden/0.png\"]", "\"files\":[\"../0.png\"]", "`golden.files.0`"},
      {"\"files\":[\"golden/0.png\"]", "\"files\":[\"golden/0.jpg\"]", "`files`: expected golden/0.jpg"},
      {"\"golden/0.rgb.npy\"", "\"golden/9.rgb.npy\"", "`files`: expected golden/0.rgb.npy"},
      {"\"golden/logits.safetensors\"", "\"golden/other\"", "`files`: expected golden/logits.safetensors"},
      {"\"max_diff_of_range\":0.1", "\"max_diff_of_range\":0", "`golden.tolerance.max_diff_of_range`"},
      {"\"min_cosine\":0.0", "\"min_cosine\":1.5", "`golden.tolerance.min_cosine`"},
      {"\"max_decode_step\":2", "\"max_decode_step\":256", "`golden.tolerance.max_decode_step`"},
      {",\"min_cosine\":0.0", "", "`golden.tolerance.min_cosine`: expected a value, found nothing"},
      {"\"labels.txt\":{", "\"../labels.txt\":{", "`files.../labels.txt`: expected a name of plain characters"},
      {"\"labels.txt\":{", "\"/labels.txt\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"names.txt\":{", "`files`: expected labels.txt, which the bundle needs"},
      {"\"labels.txt\":{", "\"a//b\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"a/\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"a/b/c/d/e\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"a/../b\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\".hidden\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"a\\\\b\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"a\\u0000\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"" + std::string(201, 'a') + "\":{", "stays inside the bundle"},
      {"\"labels.txt\":{", "\"manifest.json\":{", "stays inside the bundle"},
      {"\"size_bytes\":9", "\"size_bytes\":-1", "`files.model.onnx.size_bytes`"},
      {"\"size_bytes\":9", "\"size_bytes\":4000000001", "from 0 to 4000000000, found the number 4000000001"},
      {"\"size_bytes\":9", "\"size_bytes\":9,\"mode\":7", "`files.model.onnx.mode`: expected no such key"},
      {"\"size_bytes\":9", "\"size_bytes\":\"9\"", "`files.model.onnx.size_bytes`"},
  };
  for (const auto& c : cases) check_refused(changed(c.from, c.to), c.message);
}

TEST_CASE("texts that are no manifests at all are refused") {
  check_refused("", "not readable as JSON: the text ends early");
  check_refused("[]", "`the file`: expected an object, found a list of 0");
  check_refused("null", "`the file`: expected an object, found null");
  check_refused(std::string(10'000, '[') + std::string(10'000, ']'), "nested deeper than 64");
  check_refused(changed("\"measured\":null", "\"measured\":" + std::string(10'000, '[') + std::string(10'000, ']')),
                "nested deeper than 64");
  check_refused(valid() + std::string(edgetl::max_manifest_bytes, ' '), "a manifest has at most 4000000");
  check_refused("[" + repeated("0", 300'000) + "]", "more than 250000 values");
  check_refused(valid() + "x", "more text after the end");
}

TEST_CASE("more files than a bundle has are refused") {
  std::string entries;
  for (size_t i = 0; i < 1000; ++i) {
    entries += "\"f" + std::to_string(i) + "\":{\"sha256\":\"" + std::string(64, 'a') + "\",\"size_bytes\":1},";
  }
  check_refused(changed("\"labels.txt\":{", entries + "\"labels.txt\":{"),
                "`files`: expected an object of at most 1000");
}

TEST_CASE("any manifest cut short is refused") {
  const std::string text = valid();
  for (size_t bytes = 0; bytes < text.size(); ++bytes) {
    Manifest manifest;
    CHECK(parse(text.substr(0, bytes), manifest, nullptr) == EDGETL_BUNDLE_INVALID);
  }
}
