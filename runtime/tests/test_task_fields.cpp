#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "manifest.h"
#include "tools/small_bundle.h"

using edgetl::Manifest;
using small_bundle::Facts;

namespace {

Facts of_schema_1() {
  Facts facts;
  facts.schema = 1;
  return facts;
}

Facts of_detector() {
  Facts facts;
  facts.detector = true;
  facts.golden = false;
  return facts;
}

Facts of_sound() {
  Facts facts;
  facts.audio = true;
  return facts;
}

Facts of_texts() {
  Facts facts;
  facts.text = true;
  return facts;
}

std::string valid(const Facts& facts) { return small_bundle::manifest(facts, small_bundle::files(facts)); }

edgetl_status parse(const std::string& text, Manifest& manifest, edgetl_error* error) {
  return edgetl::parse_manifest(reinterpret_cast<const uint8_t*>(text.data()), text.size(), manifest, error);
}

Manifest read(const std::string& text) {
  Manifest manifest;
  edgetl_error error;
  CHECK_MESSAGE(parse(text, manifest, &error) == EDGETL_OK, error.message);
  return manifest;
}

// The manifest with the first `from` replaced, which must be there.
std::string changed(const Facts& facts, const std::string& from, const std::string& to) {
  std::string text = valid(facts);
  const size_t at = text.find(from);
  REQUIRE_MESSAGE(at != text.npos, from);
  return text.replace(at, from.size(), to);
}

void check_refused(const std::string& text, const char* message) {
  Manifest manifest;
  edgetl_error error;
  CHECK(parse(text, manifest, &error) == EDGETL_BUNDLE_INVALID);
  const std::string found = error.message;
  CHECK_MESSAGE(found.find(message) != found.npos, found);
}

}  // namespace

TEST_CASE("a manifest of schema 1 is that of a classifier") {
  const Manifest manifest = read(valid(of_schema_1()));
  CHECK(manifest.task == edgetl::Task::classification);
  CHECK(edgetl::described(manifest.signature.inputs) == "image uint8 (any, 4, 6, 3)");
  CHECK(edgetl::described(manifest.signature.outputs) == "logits float32 (any, 3)");
}

TEST_CASE("schema 2 says the same of a classifier in words") {
  const Manifest manifest = read(valid({}));
  CHECK(manifest.task == edgetl::Task::classification);
  CHECK(edgetl::described(manifest.signature.inputs) == "image uint8 (any, 4, 6, 3)");
  CHECK(edgetl::described(manifest.signature.outputs) == "logits float32 (any, 3)");
}

TEST_CASE("a detector has two outputs and a postprocess") {
  const Manifest manifest = read(valid(of_detector()));
  CHECK(manifest.task == edgetl::Task::detection);
  CHECK(edgetl::described(manifest.signature.outputs) == "boxes float32 (any, 5, 4), scores float32 (any, 5, 3)");
  CHECK(manifest.postprocess.score_threshold == 0.25F);
  CHECK(manifest.postprocess.iou_threshold == 0.5F);
  CHECK(manifest.postprocess.max_candidates == 100);
  CHECK(manifest.postprocess.max_detections == 10);
}

TEST_CASE("a postprocess has defaults") {
  const Manifest manifest = read(changed(of_detector(), "\"score_threshold\":0.25,", ""));
  CHECK(manifest.postprocess.score_threshold == 0.01F);
}

TEST_CASE("a detector may know a single class and lie in the corner of its input") {
  std::string text = changed(of_detector(), "\"cat\",\"dog\",\"fish\"", "\"cat\"");
  const std::string scores = "[null,5,3]";
  text.replace(text.find(scores), scores.size(), "[1,5,1]");
  const std::string squash = "\"squash\"";
  text.replace(text.find(squash), squash.size(), "\"letterbox-corner\"");
  const Manifest manifest = read(text);
  CHECK(manifest.labels.size() == 1);
  CHECK(manifest.preprocessing.resize == edgetl::Resize::letterbox_corner);
}

TEST_CASE("keys of schema 2 are refused in schema 1, and required in schema 2") {
  const char* const keys[] = {"\"task\":\"classification\",", "\"front\":\"image\",", "\"postprocess\":null,"};
  for (const char* key : keys) {
    check_refused(changed(of_schema_1(), "\"pivot_sha256\"", std::string(key) + "\"pivot_sha256\""),
                  "expected no such key in schema 1, found");
    check_refused(changed({}, key, ""), "expected a value, found nothing");
  }
}

TEST_CASE("what the runtime does not know is refused with its place") {
  struct {
    Facts facts;
    const char *from, *to, *message;
  } const cases[] = {
      {{},
       "\"task\":\"classification\"",
       "\"task\":\"segmentation\"",
       "`task`: expected one of classification detection"},
      {{}, "\"front\":\"image\"", "\"front\":\"smell\"", "`front`: expected one of image audio text"},
      {{}, "\"front\":\"image\"", "\"front\":\"audio\"", "`preprocessing.height`: expected no such key"},
      {of_sound(), "\"front\":\"audio\"", "\"front\":\"image\"", "`preprocessing.rate_hz`: expected no such key"},
      {of_sound(), "\"task\":\"classification\"", "\"task\":\"detection\"", "`front`: expected image for detection"},
      {of_sound(), "\"rate_hz\":16000", "\"rate_hz\":999",
       "`preprocessing.rate_hz`: expected a whole number from 1000"},
      {of_sound(), "\"file_rate_hz\":8000", "\"file_rate_hz\":192001", "`preprocessing.file_rate_hz`"},
      {of_sound(), "\"samples\":12", "\"samples\":1048577", "`preprocessing.samples`: expected a whole number from 1"},
      {of_sound(), "\"samples\":12,", "", "`preprocessing.samples`: expected a value, found nothing"},
      {of_sound(), "\"window\":4", "\"window\":0", "`preprocessing.mel.window`"},
      {of_sound(), "\"bands\":2", "\"bands\":257", "`preprocessing.mel.bands`: expected a whole number from 1 to 256"},
      {of_sound(), "\"high_hz\":8000.0", "\"high_hz\":96001", "`preprocessing.mel.high_hz`"},
      {of_sound(), "\"power\"", "\"energy\"", "`preprocessing.mel.spectrum`: expected one of power amplitude"},
      {of_sound(), "\"htk\"", "\"mel\"", "`preprocessing.mel.triangles`: expected one of htk slaney"},
      {of_sound(), "\"max\"", "\"min\"", "`preprocessing.mel.floored`: expected one of max add"},
      {of_sound(), "\"ln\"", "\"log2\"", "`preprocessing.mel.log`: expected one of ln dB"},
      {of_sound(), "\"floor\":1e-6", "\"floor\":0", "`preprocessing.mel.floor`"},
      {of_sound(), "\"offset\":0.0", "\"shift\":0.0", "`preprocessing.mel.shift`: expected no such key"},
      {of_texts(), "[null,null]", "[null,8]",
       "`signature.inputs`: expected tokens int32 (any, any), found tokens int32"},
      {of_texts(), "[4,8]", "[8,8]", "`preprocessing.lengths.1`: expected a whole number from 9 to 65536"},
      {of_texts(), "[4,8]", "[]", "`preprocessing.lengths`: expected a list of 1 to 16"},
      {of_texts(), "\"pad\":0", "\"pad\":-1", "`preprocessing.pad`: expected a whole number from 0"},
      {of_texts(), "\"tokenizer\":\"", "\"tokenizer\":\"0",
       "`preprocessing.tokenizer`: expected 64 hexadecimal digits"},
      {of_texts(), "golden/0.txt\"]", "golden/0.wav\"]", "`golden.files.0`: expected golden/0.txt, found"},
      {of_texts(), "\"tokenizer.json\"", "\"another.json\"",
       "`files`: expected tokenizer.json, which the bundle needs"},
      {of_sound(), "[null,12]", "[null,13]", "`signature.inputs`: expected audio int16 (any, 12), found audio int16"},
      {of_sound(), "\"int16\"", "\"float32\"", "`signature.inputs`: expected audio int16 (any, 12)"},
      {of_sound(), "golden/0.wav\"]", "golden/0.png\"]", "`golden.files.0`: expected golden/0.wav"},
      {of_sound(), "\"resampler.npy\":", "\"other.npy\":", "`files`: expected resampler.npy, which the bundle needs"},
      {of_sound(), "\"golden/0.samples.npy\":", "\"other.npy\":", "`files`: expected golden/0.samples.npy"},
      {{}, "golden/0.png\"]", "golden/0.wav\"]", "`golden.files.0`: expected golden/0.jpg or golden/0.png"},
      {{}, "\"dtype\":\"uint8\"", "\"dtype\":\"float16\"", "`signature.inputs.0.dtype`: expected one of uint8"},
      {{},
       "\"dtype\":\"uint8\"",
       "\"dtype\":\"int16\"",
       "`signature.inputs`: expected image uint8 (any, 4, 6, 3), found"},
      {{},
       "[null,4,6,3]",
       "[null,6,4,3]",
       "`signature.inputs`: expected image uint8 (any, 4, 6, 3), found image uint8"},
      {{}, "[null,4,6,3]", "[2,4,6,3]", "`signature.inputs`"},
      {{}, "[null,4,6,3]", "[null,4,null,3]", "`signature.inputs`"},
      {{}, "[null,4,6,3]", "[0,4,6,3]", "`signature.inputs.0.shape.0`: expected a whole number from 1"},
      {{}, "[null,4,6,3]", "[1,1,1,1,4,6,3]", "`signature.inputs.0.shape`: expected a list of 1 to 6"},
      {{}, "[null,4,6,3]", "[]", "`signature.inputs.0.shape`: expected a list of 1 to 6"},
      {{}, "\"name\":\"image\",", "", "`signature.inputs.0.name`: expected a value, found nothing"},
      {{},
       "\"name\":\"image\",",
       "\"name\":\"image\",\"layout\":1,",
       "`signature.inputs.0.layout`: expected no such key"},
      {{},
       "[null,3]",
       "[null,4]",
       "`signature.outputs`: expected logits float32 (any, 3), found logits float32 (any, 4)"},
      {{}, "\"postprocess\":null", "\"postprocess\":{}", "`postprocess`: expected null for this task"},
      {of_detector(), "\"task\":\"detection\"", "\"task\":\"classification\"",
       "`postprocess`: expected null for this task"},
      {of_detector(), "[null,5,4]", "[null,5,5]", "`signature.outputs`: expected boxes float32 (any, 5, 4), scores"},
      {of_detector(), "[null,5,3]", "[null,6,3]", "`signature.outputs`"},
      {of_detector(), "[null,5,4]", "[null,null,4]", "`signature.outputs`"},
      {of_detector(), "\"name\":\"boxes\"", "\"name\":\"corners\"", "`signature.outputs`"},
      {of_detector(), "\"kind\":\"detection\"", "\"kind\":\"soft\"", "`postprocess.kind`: expected one of detection"},
      {of_detector(), "0.25", "1.25", "`postprocess.score_threshold`: expected a number from 0 to 1"},
      {of_detector(), "\"iou_threshold\":0.5", "\"iou_threshold\":null", "`postprocess.iou_threshold`"},
      {of_detector(), "\"max_candidates\":100", "\"max_candidates\":10001", "`postprocess.max_candidates`"},
      {of_detector(), "\"max_detections\":10", "\"max_detections\":0", "`postprocess.max_detections`"},
  };
  for (const auto& c : cases) check_refused(changed(c.facts, c.from, c.to), c.message);
}

TEST_CASE("a network of sound takes samples, and its mel may leave out what has a default") {
  std::string text = valid(of_sound());
  const std::string defaults = R"(,"floored":"max","below_loudest":0.0,"coefficients":0,"scale":1.0,"offset":0.0)";
  text.erase(text.find(defaults), defaults.size());
  const Manifest manifest = read(text);
  CHECK(manifest.front == edgetl::Front::audio);
  CHECK(edgetl::described(manifest.signature.inputs) == "audio int16 (any, 12)");
  CHECK(manifest.audio.rate_hz == 16'000);
  CHECK(manifest.audio.file_rate_hz == 8000);
  CHECK(manifest.audio.samples == 12);
}

TEST_CASE("a network of texts takes tokens of any length, from the tokenizer that the manifest names") {
  const Manifest manifest = read(valid(of_texts()));
  CHECK(manifest.front == edgetl::Front::text);
  CHECK(edgetl::described(manifest.signature.inputs) == "tokens int32 (any, any)");
  CHECK(manifest.text.pad == 0);
  CHECK(manifest.text.lengths == std::vector<int32_t>{4, 8});
  const std::string digest = small_bundle::digest_of(small_bundle::tokenizer);
  check_refused(changed(of_texts(), digest, std::string(64, '0')),
                "`files.tokenizer.json.sha256`: expected the digest in preprocessing.tokenizer");
}

TEST_CASE("recordings at the network's rate need no resampler") {
  std::string text = changed(of_sound(), "\"file_rate_hz\":8000", "\"file_rate_hz\":16000");
  const std::string name = "\"resampler.npy\":";
  text.replace(text.find(name), name.size(), "\"other.npy\":");
  CHECK(read(text).audio.file_rate_hz == 16'000);
}

TEST_CASE("outputs that no device could hold are refused") {
  std::string text = valid(of_detector());
  for (const char* shape : {"[null,5,4]", "[null,5,3]"}) {
    const size_t at = text.find(shape);
    text.replace(at + 6, 1, "100000000");
  }
  check_refused(text, "`signature.outputs`: expected at most 100000000 values for one image, found boxes");
}

TEST_CASE("a detector's golden images need outputs and detections") {
  Facts facts = of_detector();
  facts.golden = true;
  check_refused(small_bundle::manifest(facts, small_bundle::files({})), "`files`: expected golden/outputs.safetensors");
}

namespace {

const char* const labels_of_one = "\"labels\":[\"cat\",\"dog\",\"fish\"]";

// Of five classes, those of two heads.
std::string with_heads(const std::string& second) {
  std::string text = changed(Facts(), labels_of_one,
                             "\"labels\":[\"kind/a\",\"kind/b\",\"kind/c\",\"state/new\",\"state/worn\"],"
                             "\"heads\":[{\"name\":\"kind\",\"first\":0,\"classes\":[\"a\",\"b\",\"c\"]}," +
                                 second + "]");
  for (size_t at = 0; (at = text.find("[null,3]", at)) != text.npos;) text.replace(at, 8, "[null,5]");
  return text;
}

}  // namespace

TEST_CASE("a manifest says which logits are whose") {
  const Manifest manifest = read(with_heads("{\"name\":\"state\",\"first\":3,\"classes\":[\"new\",\"worn\"]}"));
  REQUIRE(manifest.heads.size() == 2);
  CHECK(manifest.heads[1].name == "state");
  CHECK(manifest.heads[1].first == 3);
  CHECK(manifest.heads[1].classes == std::vector<std::string>{"new", "worn"});
  CHECK(read(valid(Facts())).heads.empty());
}

TEST_CASE("heads that do not own the labels in order are refused") {
  const char* message = "`heads`: expected heads of a classifier of schema 2 whose classes are `labels`, in order";
  check_refused(with_heads("{\"name\":\"state\",\"first\":2,\"classes\":[\"new\",\"worn\"]}"), message);
  check_refused(with_heads("{\"name\":\"state\",\"first\":3,\"classes\":[\"worn\",\"new\"]}"), message);
  check_refused(with_heads("{\"name\":\"other\",\"first\":3,\"classes\":[\"new\",\"worn\"]}"), message);
  check_refused(with_heads("{\"name\":\"state\",\"first\":3,\"classes\":[\"new\",\"worn\",\"lost\"]}"), message);
  check_refused(with_heads("{\"name\":\"state\",\"first\":3,\"classes\":[\"new\"]}"), "a list of 2 to 100000");
}
