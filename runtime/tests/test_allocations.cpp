// Counts every allocation of the process, those of libraries that are loaded later included: all of them go through the
// functions below, operator new as well.
#include <doctest/doctest.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "bundle.h"
#include "edgetl/audio.h"
#include "edgetl/runtime.h"
#include "edgetl/series.h"
#include "edgetl/text.h"
#include "interface.h"
#include "tools/bare_engine.h"
#include "tools/small_bundle.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) || __has_feature(thread_sanitizer)
#define EDGETL_SANITIZED 1
#endif
#endif

// A sanitizer has its own allocator, and only glibc lets one reach behind these names.
#if defined(__GLIBC__) && !defined(EDGETL_SANITIZED) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

namespace {

std::atomic<size_t> allocations{0};

size_t now() { return allocations.load(std::memory_order_relaxed); }
void count() { allocations.fetch_add(1, std::memory_order_relaxed); }

}  // namespace

extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): names of glibc
void* __libc_malloc(size_t bytes);
void* __libc_calloc(size_t members, size_t bytes);
void* __libc_realloc(void* memory, size_t bytes);
void* __libc_memalign(size_t alignment, size_t bytes);
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

void* malloc(size_t bytes) {
  count();
  return __libc_malloc(bytes);
}
void* calloc(size_t members, size_t bytes) {
  count();
  return __libc_calloc(members, bytes);
}
void* realloc(void* memory, size_t bytes) {
  count();
  return __libc_realloc(memory, bytes);
}
void* memalign(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
void* aligned_alloc(size_t alignment, size_t bytes) {
  count();
  return __libc_memalign(alignment, bytes);
}
int posix_memalign(void** memory, size_t alignment, size_t bytes) {
  count();
  *memory = __libc_memalign(alignment, bytes);
  return *memory != nullptr ? 0 : ENOMEM;
}
}

namespace {

constexpr int warm_up = 5;
constexpr int runs = 20;

struct Close {
  void operator()(edgetl_model* model) const { edgetl_close(model); }
};
using Opened = std::unique_ptr<edgetl_model, Close>;

Opened open(const char* folder, const char* library) {
  edgetl_options options{};
  options.struct_size = sizeof options;
  options.threads = 1;  // what other threads allocate would be counted at random
  options.engine_library = library;
  edgetl_model* model = nullptr;
  edgetl_error error;
  const edgetl_status status = edgetl_open(folder, &options, &model, &error);
  CAPTURE(error.message);
  REQUIRE(status == EDGETL_OK);
  return Opened(model);
}

template <typename Call>
size_t allocations_of(Call call) {
  for (int turn = 0; turn < warm_up; ++turn) call();
  const size_t before = now();
  for (int turn = 0; turn < runs; ++turn) call();
  return now() - before;
}

// Null, after a message, when this engine cannot be tested here.
std::unique_ptr<bare::Engine> open_bare([[maybe_unused]] const bare::Spec& spec, const std::string& engine,
                                        [[maybe_unused]] uint8_t* input, [[maybe_unused]] float* logits) {
#if EDGETL_WITH_ONNXRUNTIME
  if (engine == "onnxruntime") return std::make_unique<bare::OnnxRuntime>(spec, input, logits);
#endif
#if EDGETL_WITH_OPENVINO
  if (engine == "openvino") return std::make_unique<bare::OpenVino>(spec, input, logits);
#endif
  MESSAGE("skipped: this test was built without the headers of " << engine);
  return nullptr;
}

}  // namespace

TEST_CASE("allocations are counted") {
  const size_t before = now();
  const auto memory = std::make_unique<std::array<char, 1000>>();
  CHECK(now() > before);
  CHECK(memory != nullptr);
}

TEST_CASE("preprocessing allocates nothing") {
  const small_bundle::Folder folder;
  const Opened model = open(folder.path(), nullptr);
  const std::vector<uint8_t> pixels(size_t{640} * 480 * 3);
  const edgetl_image image{pixels.data(), 640, 480, size_t{640} * 3, EDGETL_BGR};
  size_t scratch_bytes = 0;
  REQUIRE(edgetl_scratch_bytes(model.get(), 640, 480, &scratch_bytes, nullptr) == EDGETL_OK);
  std::vector<uint64_t> scratch(scratch_bytes / 8 + 1);
  std::vector<uint8_t> input(small_bundle::input_bytes);
  edgetl_error error;
  CHECK(allocations_of([&] {
          size_t bytes = 0;
          edgetl_scratch_bytes(model.get(), 640, 480, &bytes, &error);
          edgetl_preprocess(model.get(), &image, scratch.data(), scratch_bytes, input.data(), input.size(), &error);
        }) == 0);
  CHECK(error.status == EDGETL_OK);
}

TEST_CASE("a run allocates nothing, a refused one neither") {
  const small_bundle::Folder folder;
  const Opened model = open(folder.path(), nullptr);
  std::vector<uint8_t> input(small_bundle::input_bytes);
  std::vector<float> logits(small_bundle::classes);
  edgetl_error error;
  CHECK(allocations_of(
            [&] { edgetl_run(model.get(), input.data(), input.size(), logits.data(), logits.size(), &error); }) == 0);
  CHECK(error.status == EDGETL_OK);
  CHECK(allocations_of([&] { edgetl_run(model.get(), nullptr, 0, logits.data(), logits.size(), &error); }) == 0);
}

TEST_CASE("finding objects allocates nothing") {
  small_bundle::Facts facts;
  facts.detector = true;
  facts.golden = false;
  const small_bundle::Folder folder(facts);
  const Opened model = open(folder.path(), nullptr);
  const std::vector<uint8_t> pixels(size_t{640} * 480 * 3);
  const edgetl_image image{pixels.data(), 640, 480, size_t{640} * 3, EDGETL_RGB};
  size_t scratch_bytes = 0, count = 0;
  REQUIRE(edgetl_scratch_bytes(model.get(), 640, 480, &scratch_bytes, nullptr) == EDGETL_OK);
  std::vector<uint64_t> scratch(scratch_bytes / 8 + 1);
  const edgetl_postprocess everything{sizeof everything, 0, 1, 10'000, 1000};
  std::vector<edgetl_detection> objects(1000);
  edgetl_error error;
  CHECK(allocations_of([&] {
          edgetl_detect(model.get(), &image, scratch.data(), scratch_bytes, &everything, objects.data(), objects.size(),
                        &count, &error);
        }) == 0);
  CHECK(error.status == EDGETL_OK);
  CHECK(count == size_t{small_bundle::anchors} * small_bundle::classes);
}

TEST_CASE("classifying a recording allocates nothing") {
  small_bundle::Facts facts;
  facts.audio = true;
  const small_bundle::Folder folder(facts);
  const Opened model = open(folder.path(), nullptr);
  const std::vector<int16_t> clip(8000);
  std::vector<float> logits(small_bundle::classes);
  edgetl_error error;
  CHECK(allocations_of([&] {
          edgetl_classify_samples(model.get(), clip.data(), clip.size(), small_bundle::file_rate_hz, logits.data(),
                                  logits.size(), &error);
        }) == 0);
  CHECK(error.status == EDGETL_OK);
}

TEST_CASE("classifying a text allocates nothing, unless it is longer than all before") {
  small_bundle::Facts facts;
  facts.text = true;
  const small_bundle::Folder folder(facts);
  const Opened model = open(folder.path(), nullptr);
  const std::string text = "Cats. [SEP] a caf\xC3\xA9, a cat";
  std::vector<float> logits(small_bundle::classes);
  edgetl_error error;
  CHECK(allocations_of([&] {
          edgetl_classify_text(model.get(), text.data(), text.size(), logits.data(), logits.size(), &error);
        }) == 0);
  CHECK(error.status == EDGETL_OK);
}

TEST_CASE("a stream allocates nothing after it is open") {
  small_bundle::Facts facts;
  facts.audio = true;
  const small_bundle::Folder folder(facts);
  const Opened model = open(folder.path(), nullptr);
  const std::vector<float> thresholds(small_bundle::classes, 0.1F);
  const edgetl_stream_settings settings{sizeof settings, 5, 4, 1, thresholds.data()};
  edgetl_stream* stream = nullptr;
  REQUIRE(edgetl_stream_open(model.get(), &settings, &stream, nullptr) == EDGETL_OK);
  const std::vector<int16_t> samples(5000);
  edgetl_error error;
  size_t hops = 0;
  CHECK(allocations_of([&] {
          const edgetl_hop* hop = nullptr;
          size_t at = 0, taken = 0;
          do {
            edgetl_stream_push(stream, samples.data() + at, samples.size() - at, &taken, &hop, &error);
            at += taken;
            hops += hop != nullptr ? 1 : 0;
          } while (hop != nullptr);
          while (edgetl_stream_end(stream, &hop, &error) == EDGETL_OK && hop != nullptr) ++hops;
          edgetl_stream_reset(stream);
        }) == 0);
  CHECK(error.status == EDGETL_OK);
  CHECK(hops > 10'000);
  edgetl_stream_close(stream);
}

TEST_CASE("a stream of sensors allocates nothing after it is open, not even for a refused time step") {
  small_bundle::Facts facts;
  facts.series = true;
  facts.golden = false;
  const small_bundle::Folder folder(facts);
  const Opened model = open(folder.path(), nullptr);
  const std::vector<float> thresholds(small_bundle::classes, 0.1F);
  const edgetl_stream_settings settings{sizeof settings, 1, 4, 1, thresholds.data()};
  edgetl_stream* stream = nullptr;
  REQUIRE(edgetl_stream_open(model.get(), &settings, &stream, nullptr) == EDGETL_OK);
  const std::vector<float> values(1000);
  const std::vector<float> broken(2, HUGE_VALF);
  edgetl_error error;
  size_t hops = 0;
  const edgetl_hop* hop = nullptr;
  CHECK(allocations_of([&] {
          size_t at = 0, taken = 0;
          do {
            edgetl_stream_push_steps(stream, values.data() + 2 * at, 500 - at, 2, &taken, &hop, &error);
            at += taken;
            hops += hop != nullptr ? 1 : 0;
          } while (hop != nullptr);
          edgetl_stream_push_steps(stream, broken.data(), 1, 2, &taken, &hop, nullptr);
          edgetl_stream_end(stream, &hop, nullptr);
          edgetl_stream_reset(stream);
        }) == 0);
  CHECK(error.status == EDGETL_OK);
  CHECK(hops == 25 * 497);
  edgetl_stream_close(stream);
}

TEST_CASE("a run allocates what the bare engine allocates, nothing more") {
  const char* folder = std::getenv("EDGETL_TEST_BUNDLE");
  if (folder == nullptr) {
    MESSAGE("skipped: set EDGETL_TEST_BUNDLE, and EDGETL_TEST_ONNXRUNTIME or EDGETL_TEST_OPENVINO");
    return;
  }
  edgetl::Bundle bundle;
  REQUIRE(bundle.read_folder(folder, nullptr, nullptr) == EDGETL_OK);
  const edgetl::Manifest& manifest = bundle.manifest();
  const char* library =
      std::getenv(manifest.backend == "onnxruntime" ? "EDGETL_TEST_ONNXRUNTIME" : "EDGETL_TEST_OPENVINO");
  if (library == nullptr) {
    MESSAGE("skipped: no path of the library of " << manifest.backend);
    return;
  }
  std::vector<uint8_t> input(edgetl::input_bytes(manifest.preprocessing));
  std::vector<float> logits(manifest.labels.size());
  const bare::Spec spec{library,
                        std::string(folder) + "/" + manifest.model,
                        manifest.preprocessing.height,
                        manifest.preprocessing.width,
                        static_cast<int64_t>(manifest.labels.size()),
                        1,
                        manifest.precision == "bfloat16" ? "bf16" : "f32"};
  const std::unique_ptr<bare::Engine> engine = open_bare(spec, manifest.backend, input.data(), logits.data());
  if (engine == nullptr) return;
  const size_t of_bare = allocations_of([&] { engine->run(); });
  const Opened model = open(folder, library);
  const size_t of_edgetl = allocations_of(
      [&] { edgetl_run(model.get(), input.data(), input.size(), logits.data(), logits.size(), nullptr); });
  MESSAGE(manifest.backend << ": " << of_bare << " allocations in " << runs << " runs");
  CHECK(of_edgetl == of_bare);
}

#endif
