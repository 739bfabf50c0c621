// TensorRT 10 or 11 on GPU 0: runs engines that `edgetl compile --finish` built on this very machine; the device half of
// edgetl/backends/tensorrt.py. The plan is native code's input: bundles are opened with their digests checked.
#include <NvInferRuntime.h>

#include <algorithm>
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

const char* name_of(nvinfer1::DataType type) {
  switch (type) {
    case nvinfer1::DataType::kUINT8: return "uint8";
    case nvinfer1::DataType::kINT32: return "int32";
    case nvinfer1::DataType::kINT64: return "int64";
    case nvinfer1::DataType::kFLOAT: return "float32";
    default: return "of another type";
  }
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
  edgetl_status run(edgetl_error* error) noexcept override;
  const char* version() const noexcept override { return version_.c_str(); }

 private:
  edgetl_status load(const char* path, edgetl_error* error);
  edgetl_status check_fingerprint(const Bundle& bundle, edgetl_error* error) const;
  edgetl_status deserialize(Bytes plan, edgetl_error* error);
  edgetl_status check_engine(const Bundle& bundle, edgetl_error* error) const;
  edgetl_status prepare(const Manifest& manifest, edgetl_error* error);
  edgetl_status make(const std::vector<Port>& ports, std::vector<Gpu::Buffers>& buffers,
                     std::vector<PortMemory>& memory, edgetl_error* error);
  bool bind_addresses();
  bool bind_shapes();
  void widen_samples();

  // in this order: a context must not outlive its engine, nor an engine its runtime, nor any of them the library
  Gpu gpu_;
  Log log_;
  Library library_;
  std::string version_;
  std::string model_;  // its origin, for messages
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::unique_ptr<nvinfer1::IExecutionContext> context_;
  std::vector<Gpu::Buffers> taken_, given_;
  Signature ports_;               // of the plan: int16 is int32 there
  std::vector<int64_t> lengths_;  // that its inputs may have
  size_t bound_ = 0;              // the length whose shapes the context has
  std::vector<int16_t> samples_;  // what an int16 input is given as
};

TensorRTEngine::~TensorRTEngine() {
  const GpuScope scope(gpu_, nullptr);
  context_.reset();
  engine_.reset();
  runtime_.reset();
  for (Gpu::Buffers& buffers : taken_) gpu_.free(buffers);
  for (Gpu::Buffers& buffers : given_) gpu_.free(buffers);
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

edgetl_status TensorRTEngine::run(edgetl_error* error) noexcept {
  const GpuScope scope(gpu_, error);
  edgetl_status status = scope.status();
  if (status == EDGETL_OK && bound_ != chosen_ && !bind_shapes()) {
    return log_.tell(error, EDGETL_ENGINE_FAILED, model_, "the engine rejects this length");
  }
  widen_samples();
  for (const Gpu::Buffers& buffers : taken_) {
    if (status == EDGETL_OK) status = gpu_.queue_to_device(buffers, error);
  }
  if (status != EDGETL_OK) return status;
  if (!context_->enqueueV3(gpu_.stream())) return log_.tell(error, EDGETL_ENGINE_FAILED, model_, "inference failed");
  for (const Gpu::Buffers& buffers : given_) {
    if (status == EDGETL_OK) status = gpu_.queue_to_host(buffers, error);
  }
  if (status == EDGETL_OK) status = gpu_.wait(error);
  return status == EDGETL_OK ? succeed(error) : status;
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
  Signature found;
  for (int32_t index = 0; index < engine_->getNbIOTensors(); ++index) {
    const char* name = engine_->getIOTensorName(index);
    const bool is_input = engine_->getTensorIOMode(name) == nvinfer1::TensorIOMode::kINPUT;
    Port& port = (is_input ? found.inputs : found.outputs).emplace_back();
    port.name = name;
    port.type = name_of(engine_->getTensorDataType(name));
    // TensorRT has no int16: such an input is int32 in the plan (edgetl/backends/trt_common.py)
    const std::vector<Port>& inputs = bundle.manifest().signature.inputs;
    const size_t place = place_of(inputs, port.name);
    if (is_input && port.type == "int32" && place < inputs.size() && inputs[place].type == "int16") port.type = "int16";
    const nvinfer1::Dims dims = engine_->getTensorShape(name);
    for (int32_t axis = 0; axis < dims.nbDims; ++axis) port.dims.push_back(dims.d[axis]);
  }
  return check_interface(bundle, found, error);
}

edgetl_status TensorRTEngine::prepare(const Manifest& manifest, edgetl_error* error) {
  ports_ = manifest.signature;
  lengths_ = lengths_of(manifest);
  for (Port& port : ports_.inputs) {
    if (port.type == "int16") port.type = "int32";
  }
  context_.reset(engine_->createExecutionContext());
  if (context_ == nullptr) return log_.tell(error, EDGETL_ENGINE_REFUSED, model_, "no execution context");
  edgetl_status status = make(ports_.inputs, taken_, inputs_, error);
  if (status == EDGETL_OK) status = make(ports_.outputs, given_, outputs_, error);
  if (status != EDGETL_OK) return status;
  if (manifest.signature.inputs[0].type == "int16") {
    samples_.resize(port_bytes(manifest.signature.inputs[0]) / sizeof(int16_t));
    inputs_[0] = {samples_.data(), samples_.size() * sizeof(int16_t)};
  }
  if (bind_addresses() && bind_shapes()) return EDGETL_OK;
  return log_.tell(error, EDGETL_ENGINE_REFUSED, model_, "the engine rejects a single example");
}

void TensorRTEngine::widen_samples() {
  if (!samples_.empty()) std::copy(samples_.begin(), samples_.end(), reinterpret_cast<int32_t*>(taken_[0].host));
}

edgetl_status TensorRTEngine::make(const std::vector<Port>& ports, std::vector<Gpu::Buffers>& buffers,
                                   std::vector<PortMemory>& memory, edgetl_error* error) {
  for (const Port& port : ports) {
    Gpu::Buffers& made = buffers.emplace_back();
    const edgetl_status status = gpu_.make(port_bytes(port, lengths_.back()), made, error);
    if (status != EDGETL_OK) return status;
    memory.push_back({made.host, made.bytes});
  }
  return EDGETL_OK;
}

bool TensorRTEngine::bind_addresses() {
  const auto address = [&](const Port& port, const Gpu::Buffers& buffers) {
    return context_->setTensorAddress(port.name.c_str(),
                                      reinterpret_cast<void*>(static_cast<uintptr_t>(buffers.device)));
  };
  for (size_t index = 0; index < ports_.inputs.size(); ++index) {
    if (!address(ports_.inputs[index], taken_[index])) return false;
  }
  for (size_t index = 0; index < ports_.outputs.size(); ++index) {
    if (!address(ports_.outputs[index], given_[index])) return false;
  }
  return true;
}

// Those of the chosen length; the plan's one profile holds all of them.
bool TensorRTEngine::bind_shapes() {
  for (const Port& port : ports_.inputs) {
    const std::vector<int64_t> dims = single_dims(port, lengths_[chosen_]);
    nvinfer1::Dims shape{};
    shape.nbDims = static_cast<int32_t>(dims.size());
    std::copy(dims.begin(), dims.end(), shape.d);
    if (!context_->setInputShape(port.name.c_str(), shape)) return false;
  }
  bound_ = chosen_;
  return true;
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
