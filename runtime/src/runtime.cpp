// The C ABI: checks of arguments, and the order in which a bundle is opened. Work is done in the other files.
#include "edgetl/runtime.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>

#include "fail.h"
#include "file.h"
#include "interface.h"
#include "model.h"
#include "options.h"
#include "resize.h"
#include "threads.h"
#include "without_throwing.h"

namespace edgetl {
namespace {

#if defined(__x86_64__)
constexpr const char* machine = "x86_64";
#elif defined(__aarch64__)
constexpr const char* machine = "aarch64";
#elif defined(__arm__)
constexpr const char* machine = "arm";  // of 32 bits: no target names it
#else
constexpr const char* machine = "another machine";
#endif

constexpr int32_t max_threads = 1024;
constexpr uintptr_t scratch_alignment = 8;

edgetl_status check_machine(const Bundle& bundle, edgetl_error* error) {
  const Manifest& manifest = bundle.manifest();
  if (manifest.machine == "any" || manifest.machine == machine) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_FOREIGN,
              "%s: target %s needs a CPU of type %s; this program was built for %s: copy the bundle to such a machine",
              bundle.where().c_str(), manifest.target.c_str(), manifest.machine.c_str(), machine);
}

edgetl_status check_finished(const Bundle& bundle, edgetl_error* error) {
  if (bundle.manifest().finished) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_FOREIGN, "%s: not finished; on the machine with the GPU: edgetl compile --finish %s",
              bundle.where().c_str(), bundle.where().c_str());
}

edgetl_status open_tokenizer(edgetl_model& model, edgetl_error* error) {
  Bundle& bundle = model.bundle;
  const Text& front = bundle.manifest().text;
  const std::string where = bundle.where() + "/" + tokenizer_name;
  const auto longest = static_cast<size_t>(front.lengths.back());
  const edgetl_status status = model.tokenizer.open(bundle.file(tokenizer_name), where, longest, error);
  if (status != EDGETL_OK) return status;
  bundle.release(tokenizer_name);
  if (model.tokenizer.pad() == front.pad) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_INVALID, "%s: `pad`: expected %d, as preprocessing.pad; found %d", where.c_str(),
              static_cast<int>(front.pad), static_cast<int>(model.tokenizer.pad()));
}

struct FrontWords {
  const char* name;
  const char* input;  // what it takes, in sentences
  const char* call;   // which function takes it
};

const FrontWords& words_of(Front front) {
  static constexpr FrontWords words[] = {{"image", "images", "edgetl_preprocess"},
                                         {"audio", "sound", "edgetl_classify_samples"},
                                         {"text", "texts", "edgetl_classify_text"},
                                         {"series", "windows of series", "edgetl_classify_window"}};
  return words[static_cast<size_t>(front)];
}

void release_golden(Bundle& bundle) {
  constexpr const char* folder = "golden/";
  for (const auto& file : bundle.manifest().files) {
    if (file.first.compare(0, std::strlen(folder), folder) == 0) bundle.release(file.first);
  }
}

using ReadBundle = edgetl_status (*)(const void* source, size_t count, const edgetl_options& options, Bundle& bundle,
                                     edgetl_error* error);

edgetl_status read_folder(const void* source, size_t, const edgetl_options& options, Bundle& bundle,
                          edgetl_error* error) {
  return bundle.read_folder(static_cast<const char*>(source), &options, error);
}

edgetl_status read_files(const void* source, size_t count, const edgetl_options& options, Bundle& bundle,
                         edgetl_error* error) {
  return bundle.read_files(static_cast<const edgetl_file*>(source), count, &options, error);
}

edgetl_status open_model(ReadBundle read, const void* source, size_t count, const edgetl_options* options,
                         edgetl_model** model, edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "a place for the model");
  *model = nullptr;
  if (source == nullptr) return null_argument(error, "a bundle");
  edgetl_options taken{};
  edgetl_status status = take_options(options, taken, error);
  if (status != EDGETL_OK) return status;
  std::unique_ptr<edgetl_model> opened(new (std::nothrow) edgetl_model);
  if (opened == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the model");
  status = read(source, count, taken, opened->bundle, error);
  if (status != EDGETL_OK) return status;
  release_golden(opened->bundle);
  status = open_engine(taken, *opened, error);
  if (status != EDGETL_OK) return status;
  *model = opened.release();
  return succeed(error);
}

}  // namespace

edgetl_status take_options(const edgetl_options* theirs, edgetl_options& ours, edgetl_error* error) {
  ours = {};
  ours.struct_size = sizeof ours;
  if (theirs == nullptr) return EDGETL_OK;
  const edgetl_status status = take_struct(theirs, ours, "options", "edgetl_options", error);
  if (status != EDGETL_OK) return status;
  if (ours.threads >= 0 && ours.threads <= max_threads) return EDGETL_OK;
  return fail(error, EDGETL_INVALID_ARGUMENT, "options.threads: expected 0 (all) to %d; found %d",
              static_cast<int>(max_threads), static_cast<int>(ours.threads));
}

edgetl_status open_engine(const edgetl_options& options, edgetl_model& model, edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  edgetl_status status = check_machine(model.bundle, error);
  if (status == EDGETL_OK) status = check_finished(model.bundle, error);
  if (status != EDGETL_OK) return status;
  const OpenEngine open = find_engine(manifest.backend.c_str());
  if (open == nullptr) {
    return fail(error, EDGETL_ENGINE_NOT_BUILT, "%s: needs the engine %s, which this program was built without",
                model.bundle.where().c_str(), manifest.backend.c_str());
  }
  model.threads = options.threads > 0 ? options.threads : std::min<int>(usable_threads(), max_threads);
  status = open({model.bundle, model.threads, options.engine_library}, model.engine, error);
  if (status == EDGETL_OK && manifest.front == Front::audio) status = model.resampler.open(model.bundle, error);
  if (status == EDGETL_OK && manifest.front == Front::text) status = open_tokenizer(model, error);
  if (status != EDGETL_OK || manifest.task != Task::detection) return status;
  const auto anchors = static_cast<size_t>(manifest.signature.outputs[0].dims[1]);
  if (model.postprocessor.make(anchors, manifest.labels.size())) return EDGETL_OK;
  return fail(error, EDGETL_OUT_OF_MEMORY, "%s: no memory for the objects", model.bundle.where().c_str());
}

edgetl_status infer(edgetl_model& model, Bytes input, edgetl_error* error) {
  const Manifest& manifest = model.bundle.manifest();
  if (manifest.front == Front::text) {
    const std::vector<int32_t>& lengths = manifest.text.lengths;
    const auto tokens = static_cast<int32_t>(input.size / sizeof(int32_t));
    const auto found = std::lower_bound(lengths.begin(), lengths.end(), tokens);
    model.engine->choose_length(static_cast<size_t>(found - lengths.begin()));
  }
  std::memcpy(model.engine->inputs()[0].data, input.data, input.size);
  return model.engine->run(error);
}

edgetl_status check_front(const edgetl_model& model, Front front, edgetl_error* error) {
  if (model.bundle.manifest().front == front) return EDGETL_OK;
  const FrontWords &expected = words_of(front), &found = words_of(model.bundle.manifest().front);
  return fail(error, EDGETL_INVALID_ARGUMENT, "%s: expected a bundle for %s; it takes %s: call %s",
              model.bundle.where().c_str(), expected.input, found.input, found.call);
}

edgetl_status Running::refuse(edgetl_error* error) const {
  return fail(error, EDGETL_INVALID_ARGUMENT,
              "%s: expected one thread at a time; another one runs this model: open one for each thread",
              model_.bundle.where().c_str());
}

}  // namespace edgetl

using edgetl::fail;
using edgetl::null_argument;
using edgetl::succeed;

const char* edgetl_status_name(edgetl_status status) {
  switch (status) {
    case EDGETL_OK: return "EDGETL_OK";
    case EDGETL_INVALID_ARGUMENT: return "EDGETL_INVALID_ARGUMENT";
    case EDGETL_OUT_OF_MEMORY: return "EDGETL_OUT_OF_MEMORY";
    case EDGETL_BUNDLE_UNREADABLE: return "EDGETL_BUNDLE_UNREADABLE";
    case EDGETL_BUNDLE_INVALID: return "EDGETL_BUNDLE_INVALID";
    case EDGETL_BUNDLE_CHANGED: return "EDGETL_BUNDLE_CHANGED";
    case EDGETL_BUNDLE_FOREIGN: return "EDGETL_BUNDLE_FOREIGN";
    case EDGETL_ENGINE_NOT_BUILT: return "EDGETL_ENGINE_NOT_BUILT";
    case EDGETL_ENGINE_MISSING: return "EDGETL_ENGINE_MISSING";
    case EDGETL_ENGINE_REFUSED: return "EDGETL_ENGINE_REFUSED";
    case EDGETL_ENGINE_FAILED: return "EDGETL_ENGINE_FAILED";
    case EDGETL_CHECK_FAILED: return "EDGETL_CHECK_FAILED";
  }
  return "unknown status";
}

edgetl_status edgetl_open(const char* folder, const edgetl_options* options, edgetl_model** model,
                          edgetl_error* error) {
  return edgetl::without_throwing(
      error, [&] { return edgetl::open_model(edgetl::read_folder, folder, 0, options, model, error); });
}

edgetl_status edgetl_open_beside(const char* folder, const edgetl_options* options, edgetl_model** model,
                                 edgetl_error* error) {
  return edgetl::without_throwing(error, [&] {
    if (model != nullptr) *model = nullptr;
    if (folder == nullptr) return null_argument(error, "a bundle");
    std::string place;
    const edgetl_status status = edgetl::beside_program(folder, place, error);
    if (status != EDGETL_OK) return status;
    return edgetl::open_model(edgetl::read_folder, place.c_str(), 0, options, model, error);
  });
}

edgetl_status edgetl_open_files(const edgetl_file* files, size_t count, const edgetl_options* options,
                                edgetl_model** model, edgetl_error* error) {
  return edgetl::without_throwing(
      error, [&] { return edgetl::open_model(edgetl::read_files, files, count, options, model, error); });
}

void edgetl_close(edgetl_model* model) { delete model; }

edgetl_status edgetl_get_info(const edgetl_model* model, edgetl_info* info) {
  if (model == nullptr || info == nullptr || info->struct_size < sizeof info->struct_size) {
    return EDGETL_INVALID_ARGUMENT;
  }
  const edgetl::Manifest& manifest = model->bundle.manifest();
  edgetl_info full{};
  full.struct_size = info->struct_size;
  full.height = manifest.preprocessing.height;
  full.width = manifest.preprocessing.width;
  full.classes = static_cast<int32_t>(manifest.labels.size());
  full.threads = model->threads;
  full.input_bytes = model->engine->inputs()[0].bytes;
  full.name = manifest.name.c_str();
  full.target = manifest.target.c_str();
  full.engine = manifest.backend.c_str();
  full.engine_version = model->engine->version();
  full.precision = manifest.precision.c_str();
  full.digest = model->bundle.digest();
  full.task = manifest.task == edgetl::Task::detection ? "detection" : "classification";
  full.max_detections = manifest.task == edgetl::Task::detection ? manifest.postprocess.max_detections : 0;
  full.front = edgetl::words_of(manifest.front).name;
  full.rate_hz = manifest.audio.file_rate_hz;
  full.window = manifest.audio.samples;
  full.window_rate_hz = manifest.audio.rate_hz;
  full.max_tokens = manifest.text.lengths.empty() ? 0 : manifest.text.lengths.back();
  full.steps = manifest.series.steps;
  full.channels = manifest.series.channels;
  std::memcpy(info, &full, std::min(info->struct_size, sizeof full));
  return EDGETL_OK;
}

const char* edgetl_label(const edgetl_model* model, int32_t index) {
  if (model == nullptr || index < 0) return nullptr;
  const std::vector<std::string>& labels = model->bundle.manifest().labels;
  const auto place = static_cast<size_t>(index);
  return place < labels.size() ? labels[place].c_str() : nullptr;
}

edgetl_status edgetl_get_head(const edgetl_model* model, int32_t index, edgetl_head* head) {
  if (model == nullptr || head == nullptr || index < 0) return EDGETL_INVALID_ARGUMENT;
  const std::vector<edgetl::Head>& heads = model->bundle.manifest().heads;
  if (static_cast<size_t>(index) >= heads.size()) return EDGETL_INVALID_ARGUMENT;
  const edgetl::Head& found = heads[static_cast<size_t>(index)];
  *head = {found.name.c_str(), found.first, static_cast<int32_t>(found.classes.size())};
  return EDGETL_OK;
}

const char* edgetl_head_label(const edgetl_model* model, int32_t head, int32_t index) {
  edgetl_head found{};
  if (edgetl_get_head(model, head, &found) != EDGETL_OK || index < 0 || index >= found.classes) return nullptr;
  return model->bundle.manifest().heads[static_cast<size_t>(head)].classes[static_cast<size_t>(index)].c_str();
}

edgetl_status edgetl_scratch_bytes(const edgetl_model* model, int32_t width, int32_t height, size_t* bytes,
                                   edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (bytes == nullptr) return null_argument(error, "a place for the number of bytes");
  edgetl_status status = edgetl::check_front(*model, edgetl::Front::image, error);
  if (status != EDGETL_OK) return status;
  status = edgetl::resize_scratch_bytes(model->bundle.manifest().preprocessing, width, height, *bytes, error);
  return status == EDGETL_OK ? succeed(error) : status;
}

edgetl_status edgetl_preprocess(const edgetl_model* model, const edgetl_image* image, void* scratch,
                                size_t scratch_bytes, uint8_t* input, size_t input_bytes, edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (image == nullptr) return null_argument(error, "an image");
  if (scratch == nullptr) return null_argument(error, "scratch memory");
  if (input == nullptr) return null_argument(error, "a buffer for the input");
  if (reinterpret_cast<uintptr_t>(scratch) % edgetl::scratch_alignment != 0) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "scratch memory: expected an address that 8 divides");
  }
  edgetl_status status = edgetl::check_front(*model, edgetl::Front::image, error);
  if (status != EDGETL_OK) return status;
  const edgetl::Preprocessing& preprocessing = model->bundle.manifest().preprocessing;
  const size_t expected = edgetl::input_bytes(preprocessing);
  if (input_bytes != expected) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "input: expected info.input_bytes, %zu; found %zu", expected,
                input_bytes);
  }
  status = edgetl::resize(preprocessing, *image, scratch, scratch_bytes, input, error);
  return status == EDGETL_OK ? succeed(error) : status;
}

edgetl_status edgetl_run(edgetl_model* model, const uint8_t* input, size_t input_bytes, float* logits, size_t classes,
                         edgetl_error* error) {
  if (model == nullptr) return null_argument(error, "an open model");
  if (input == nullptr) return null_argument(error, "an input");
  if (logits == nullptr) return null_argument(error, "a buffer for the logits");
  edgetl_status status = edgetl::check_front(*model, edgetl::Front::image, error);
  if (status != EDGETL_OK) return status;
  const edgetl::Manifest& manifest = model->bundle.manifest();
  const size_t expected = edgetl::input_bytes(manifest.preprocessing);
  if (input_bytes != expected) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "input: expected info.input_bytes, %zu; found %zu", expected,
                input_bytes);
  }
  if (manifest.task != edgetl::Task::classification) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s: expected a classifier; it is a detector: call edgetl_detect",
                model->bundle.where().c_str());
  }
  if (classes != manifest.labels.size()) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "logits: expected info.classes, %zu; found %zu", manifest.labels.size(),
                classes);
  }
  const edgetl::Running running(*model);
  if (!running.alone()) return running.refuse(error);
  status = edgetl::infer(*model, {input, input_bytes}, error);
  if (status == EDGETL_OK) std::memcpy(logits, model->engine->outputs()[0].data, classes * sizeof(float));
  return status;
}

int32_t edgetl_argmax(const float* logits, size_t count) {
  if (logits == nullptr || count == 0) return -1;
  return static_cast<int32_t>(std::max_element(logits, logits + count) - logits);
}

void edgetl_softmax(const float* logits, float* probabilities, size_t count) {
  if (logits == nullptr || probabilities == nullptr || count == 0) return;
  const float largest = *std::max_element(logits, logits + count);
  double sum = 0;
  for (size_t index = 0; index < count; ++index) {
    const double value = std::exp(static_cast<double>(logits[index]) - static_cast<double>(largest));
    probabilities[index] = static_cast<float>(value);
    sum += value;
  }
  for (size_t index = 0; index < count; ++index) {
    probabilities[index] = static_cast<float>(static_cast<double>(probabilities[index]) / sum);
  }
}
