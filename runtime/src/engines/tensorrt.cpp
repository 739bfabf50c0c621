// TensorRT 10 or 11 on GPU 0: runs engines that `edgetl compile --finish` built on this very machine; the device half of
// edgetl/backends/tensorrt.py. The plan is native code's input: bundles are opened with their digests checked.
#include <NvInferRuntime.h>

#include <cstdlib>
#include <cstring>
#include <iterator>
#include <mutex>
#include <new>

#include "cuda_driver.h"
#include "engine.h"
#include "fail.h"
#include "interface.h"
#include "library.h"

namespace edgetl {
namespace {

constexpr const char* engine_name = "tensorrt";
#define EDGETL_TEXT(number) #number
#define EDGETL_TEXT_OF(number) EDGETL_TEXT(number)
constexpr const char* library_names[] = {"libnvinfer.so." EDGETL_TEXT_OF(NV_TENSORRT_MAJOR), "libnvinfer.so"};

// Keeps the first error since it was last cleared; TensorRT may call it from its own threads.
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* line) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (line_[0] != '\0') return;
    std::strncpy(line_, line, sizeof line_ - 1);
  }
  edgetl_status tell(edgetl_error* error, edgetl_status status, const std::string& where, const char* what) {
    const std::lock_guard<std::mutex> lock(mutex_);
    fail(error, status, "%s: %s: %s", where.c_str(), what, line_[0] != '\0' ? line_ : "no reason given");
    line_[0] = '\0';
    return status;
  }

 private:
  std::mutex mutex_;
  char line_[256] = "";
};

const char* type_name(nvinfer1::DataType type) {
  if (type == nvinfer1::DataType::kUINT8) return "uint8";
  return type == nvinfer1::DataType::kFLOAT ? "float32" : "of another type";
}

std::string fact(const Manifest& manifest, const char* key) {
  const auto found = manifest.facts.find(key);
  return found != manifest.facts.end() ? found->second : "unknown";
}

// As "10.16.1": what follows in the Python package's version is a build number.
std::string three_parts(const std::string& version) {
  size_t end = 0;
  for (int dots = 0; end < version.size(); ++end) {
    if (version[end] == '.' && ++dots == 3) break;
  }
  return version.substr(0, end);
}

std::string version_text(int version) {
  return std::to_string(version / 10000) + "." + std::to_string(version / 100 % 100) + "." +
         std::to_string(version % 100);
}

bool is_older(const std::string& here, const std::string& built) {
  int here_major = 0, here_minor = 0, built_major = 0, built_minor = 0;
  const auto parse = [](const std::string& text, int& major, int& minor) {
    char* rest = nullptr;
    major = static_cast<int>(std::strtol(text.c_str(), &rest, 10));
    if (*rest == '.') minor = static_cast<int>(std::strtol(rest + 1, nullptr, 10));
  };
  parse(here, here_major, here_minor);
  parse(built, built_major, built_minor);
  return here_major != built_major ? here_major < built_major : here_minor < built_minor;
}

class TensorRTEngine : public Engine {
 public:
  ~TensorRTEngine() override;
  edgetl_status open(const EngineRequest& request, edgetl_error* error);
  edgetl_status run(const uint8_t* input, float* logits, edgetl_error* error) noexcept override;
  const char* version() const noexcept override { return version_.c_str(); }

 private:
  edgetl_status load(const char* path, edgetl_error* error);
  edgetl_status check_fingerprint(const Bundle& bundle, edgetl_error* error) const;
  edgetl_status deserialize(Bytes plan, edgetl_error* error);
  edgetl_status check_engine(const Bundle& bundle, edgetl_error* error) const;
  edgetl_status prepare(const Manifest& manifest, edgetl_error* error);

  // in this order: a context must not outlive its engine, nor an engine its runtime, nor any of them the library
  Gpu gpu_;
  Log log_;
  Library library_;
  std::string version_;
  std::string model_;  // its origin, for messages
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  Gpu::Buffers image_, logits_;
};

TensorRTEngine::~TensorRTEngine() {
  const GpuScope scope(gpu_, nullptr);
  context_.reset();
  engine_.reset();
  runtime_.reset();
  gpu_.free(image_);
  gpu_.free(logits_);
}

edgetl_status TensorRTEngine::open(const EngineRequest& request, edgetl_error* error) {
  const Manifest& manifest = request.bundle.manifest();
  model_ = request.bundle.where() + "/" + manifest.model;
  edgetl_status status = gpu_.open(error);
  if (status != EDGETL_OK) return status;
  const GpuScope scope(gpu_, error);
  status = scope.status();
  if (status == EDGETL_OK) status = load(request.library, error);
  if (status == EDGETL_OK) status = check_fingerprint(request.bundle, error);
  if (status == EDGETL_OK) status = deserialize(request.bundle.file(manifest.model), error);
  if (status == EDGETL_OK) status = check_engine(request.bundle, error);
  if (status == EDGETL_OK) status = prepare(manifest, error);
  if (status != EDGETL_OK) return status;
  for (const std::string& name : manifest.model_files) request.bundle.release(name);
  return succeed(error);
}

edgetl_status TensorRTEngine::run(const uint8_t* input, float* logits, edgetl_error* error) noexcept {
  std::memcpy(image_.host, input, image_.bytes);
  const GpuScope scope(gpu_, error);
  edgetl_status status = scope.status();
  if (status == EDGETL_OK) status = gpu_.queue_to_device(image_, error);
  if (status != EDGETL_OK) return status;
  if (!context_->enqueueV3(gpu_.stream())) return log_.tell(error, EDGETL_ENGINE_FAILED, model_, "inference failed");
  status = gpu_.queue_to_host(logits_, error);
  if (status == EDGETL_OK) status = gpu_.wait(error);
  if (status != EDGETL_OK) return status;
  std::memcpy(logits, logits_.host, logits_.bytes);
  return succeed(error);
}

edgetl_status TensorRTEngine::load(const char* path, edgetl_error* error) {
  const edgetl_status status = library_.open(engine_name, path, library_names, std::size(library_names), error);
  if (status != EDGETL_OK) return status;
  decltype(createInferRuntime_INTERNAL)* create = nullptr;
  decltype(getInferLibVersion)* lib_version = nullptr;
  if (!library_.find("createInferRuntime_INTERNAL", create) || !library_.find("getInferLibVersion", lib_version)) {
    return fail(error, EDGETL_ENGINE_MISSING, "expected the shared library of %s; the loaded library is another one",
                engine_name);
  }
  const int found = lib_version();
  version_ = version_text(found);
  if (found / 10000 != NV_TENSORRT_MAJOR) {
    return fail(error, EDGETL_ENGINE_MISSING, "expected TensorRT %d, which this program was built for; found %s",
                NV_TENSORRT_MAJOR, version_.c_str());
  }
  runtime_.reset(static_cast<nvinfer1::IRuntime*>(create(&log_, NV_TENSORRT_VERSION)));
  return runtime_ != nullptr ? EDGETL_OK : log_.tell(error, EDGETL_ENGINE_MISSING, model_, "TensorRT cannot start");
}

// A newer driver is fine, an older one is not.
edgetl_status TensorRTEngine::check_fingerprint(const Bundle& bundle, edgetl_error* error) const {
  const Manifest& manifest = bundle.manifest();
  GpuFacts here;
  const edgetl_status status = gpu_.facts(here, error);
  if (status != EDGETL_OK) return status;
  std::string different;
  const auto compare = [&](bool same, const char* what, const std::string& built, const std::string& found) {
    if (!same) different += (different.empty() ? "" : ", ") + std::string(what) + " " + built + " (here " + found + ")";
  };
  const std::string gpu = fact(manifest, "gpu");
  const std::string capability = fact(manifest, "compute_capability");
  const std::string tensorrt = fact(manifest, "tensorrt");
  const std::string driver = fact(manifest, "cuda_driver");
  compare(gpu == here.name, "GPU", gpu, here.name);
  compare(capability == here.compute_capability, "compute capability", capability, here.compute_capability);
  compare(three_parts(tensorrt) == version_, "TensorRT", tensorrt, version_);
  compare(!is_older(here.cuda_driver, driver), "CUDA driver", driver, here.cuda_driver + ", older");
  if (different.empty()) return EDGETL_OK;
  return fail(error, EDGETL_BUNDLE_FOREIGN,
              "%s: the engine was built for %s; build it again: edgetl compile --finish %s", bundle.where().c_str(),
              different.c_str(), bundle.where().c_str());
}

edgetl_status TensorRTEngine::deserialize(Bytes plan, edgetl_error* error) {
  engine_.reset(runtime_->deserializeCudaEngine(plan.data, plan.size));
  if (engine_ != nullptr) return EDGETL_OK;
  return log_.tell(error, EDGETL_ENGINE_REFUSED, model_, "this GPU rejects the engine");
}

edgetl_status TensorRTEngine::check_engine(const Bundle& bundle, edgetl_error* error) const {
  std::vector<TensorFacts> inputs;
  std::vector<TensorFacts> outputs;
  for (int32_t index = 0; index < engine_->getNbIOTensors(); ++index) {
    const char* name = engine_->getIOTensorName(index);
    const bool is_input = engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
    TensorFacts& facts = (is_input ? inputs : outputs).emplace_back();
    facts.name = name;
    facts.type = type_name(engine_->getTensorDataType(name));
    const nvinfer1::Dims dims = engine_->getTensorShape(name);
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) facts.dims.push_back(dims.d[axis]);
  }
  return check_interface(bundle, inputs, outputs, error);
}

edgetl_status TensorRTEngine::prepare(const Manifest& manifest, edgetl_error* error) {
  const Preprocessing& p = manifest.preprocessing;
  context_.reset(engine_->createExecutionContext());
  if (context_ == nullptr) return log_.tell(error, EDGETL_ENGINE_REFUSED, model_, "no execution context");
  edgetl_status status = gpu_.make(input_bytes(p), image_, error);
  if (status == EDGETL_OK) status = gpu_.make(manifest.labels.size() * sizeof(float), logits_, error);
  if (status != EDGETL_OK) return status;
  const nvinfer1::Dims4 shape{1, p.height, p.width, 3};
  const auto pointer = [](const Gpu::Buffers& buffers) {
    return reinterpret_cast<void*>(static_cast<uintptr_t>(buffers.device));
  };
  if (context_->setInputShape(input_name, shape) && context_->setTensorAddress(input_name, pointer(image_)) &&
      context_->setTensorAddress(output_name, pointer(logits_))) {
    return EDGETL_OK;
  }
  return log_.tell(error, EDGETL_ENGINE_REFUSED, model_, "the engine rejects a single image");
}

}  // namespace

edgetl_status open_tensorrt(const EngineRequest& request, std::unique_ptr<Engine>& engine, edgetl_error* error) {
  std::unique_ptr<TensorRTEngine> opened(new (std::nothrow) TensorRTEngine);
  if (opened == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the engine");
  const edgetl_status status = opened->open(request, error);
  if (status == EDGETL_OK) engine = std::move(opened);
  return status;
}

}  // namespace edgetl
