// ONNX Runtime on the CPU through its C API; the device half of edgetl/backends/onnxruntime.py. Both open a session with
// the same settings, so that both give the same logits to the bit.
#include <onnxruntime_c_api.h>
#include <stdlib.h>

#include <cstring>
#include <iterator>
#include <new>

#include "engine.h"
#include "fail.h"
#include "host_memory.h"
#include "interface.h"
#include "library.h"

namespace edgetl {
namespace {

constexpr const char* engine_name = "onnxruntime";
constexpr const char* library_names[] = {"libonnxruntime.so.1", "libonnxruntime.so"};

template <typename Object>
using Handle = std::unique_ptr<Object, void (*)(Object*)>;

// The three questions about inputs, or about outputs.
struct Side {
  decltype(OrtApi::SessionGetInputCount) count;
  decltype(OrtApi::SessionGetInputName) name;
  decltype(OrtApi::SessionGetInputTypeInfo) type;
};

struct TypeName {
  const char* name;
  ONNXTensorElementDataType type;
};

constexpr TypeName type_names[] = {
    {"uint8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},   {"int16", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16},
    {"int32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},   {"int64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64},
    {"float32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT},
};

const char* name_of(ONNXTensorElementDataType type) {
  for (const TypeName& known : type_names) {
    if (known.type == type) return known.name;
  }
  return "of another type";
}

ONNXTensorElementDataType type_of(const std::string& name) {
  for (const TypeName& known : type_names) {
    if (known.name == name) return known.type;
  }
  return ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
}

// One side of the network, in the form that Run takes.
struct Tensors {
  std::vector<Handle<OrtValue>> owned;
  std::vector<OrtValue*> values;
  std::vector<const char*> names;  // the manifest's
};

class OnnxRuntimeEngine : public Engine {
 public:
  edgetl_status open(const EngineRequest& request, edgetl_error* error);
  edgetl_status run(edgetl_error* error) noexcept override;
  const char* version() const noexcept override { return version_; }

 private:
  edgetl_status load(const char* path, edgetl_error* error);
  // These pass on the runtime's message; null is success.
  OrtStatus* make_session(Bytes model, int threads);
  OrtStatus* set_options(OrtSessionOptions* options, int threads) const;
  OrtStatus* describe(const Side& side, std::vector<Port>& ports) const;
  OrtStatus* describe_one(const Side& side, size_t index, Port& port) const;
  OrtStatus* describe_type(const OrtTypeInfo* info, Port& port) const;
  OrtStatus* make_tensors(const std::vector<Port>& ports, const std::vector<PortMemory>& memory, int64_t length,
                          Tensors& tensors) const;
  edgetl_status refused(OrtStatus* said, edgetl_status status, const char* what, edgetl_error* error) const;

  Library library_;
  const OrtApi* api_ = nullptr;
  const char* version_ = "";
  std::string model_;  // its origin, for messages
  HostMemory memory_;
  Handle<OrtEnv> env_{nullptr, nullptr};
  Handle<OrtSession> session_{nullptr, nullptr};
  std::vector<Tensors> taken_;  // for each length, over the same memory
  Tensors given_;
};

edgetl_status OnnxRuntimeEngine::open(const EngineRequest& request, edgetl_error* error) {
  const Manifest& manifest = request.bundle.manifest();
  model_ = request.bundle.where() + "/" + manifest.model;
  edgetl_status status = load(request.library, error);
  if (status != EDGETL_OK) return status;
  OrtStatus* said = make_session(request.bundle.file(manifest.model), request.threads);
  if (said != nullptr) return refused(said, EDGETL_ENGINE_REFUSED, "cannot open it", error);
  Signature found;
  said = describe({api_->SessionGetInputCount, api_->SessionGetInputName, api_->SessionGetInputTypeInfo}, found.inputs);
  if (said == nullptr) {
    said = describe({api_->SessionGetOutputCount, api_->SessionGetOutputName, api_->SessionGetOutputTypeInfo},
                    found.outputs);
  }
  if (said != nullptr) return refused(said, EDGETL_ENGINE_REFUSED, "cannot describe it", error);
  status = check_interface(request.bundle, found, error);
  if (status != EDGETL_OK) return status;
  const Signature& ports = manifest.signature;
  const std::vector<int64_t> lengths = lengths_of(manifest);
  if (!memory_.make(ports.inputs, inputs_, lengths.back()) || !memory_.make(ports.outputs, outputs_)) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "%s: no memory for the tensors", model_.c_str());
  }
  said = make_tensors(ports.outputs, outputs_, 1, given_);
  for (const int64_t length : lengths) {
    if (said == nullptr) said = make_tensors(ports.inputs, inputs_, length, taken_.emplace_back());
  }
  if (said != nullptr) return refused(said, EDGETL_ENGINE_REFUSED, "cannot make its tensors", error);
  request.bundle.release(manifest.model);  // the session holds what it needs
  return succeed(error);
}

edgetl_status OnnxRuntimeEngine::run(edgetl_error* error) noexcept {
  const Tensors& taken = taken_[chosen_];
  OrtStatus* said = api_->Run(session_.get(), nullptr, taken.names.data(), taken.values.data(), taken.values.size(),
                              given_.names.data(), given_.values.size(), given_.values.data());
  return said == nullptr ? succeed(error) : refused(said, EDGETL_ENGINE_FAILED, "failed", error);
}

edgetl_status OnnxRuntimeEngine::load(const char* path, edgetl_error* error) {
  // read once, while the library is loaded; DisableTelemetryEvents comes too late for the files that it would write
  constexpr const char* telemetry_off = "ORT_DISABLE_TELEMETRY";
  if (getenv(telemetry_off) == nullptr) setenv(telemetry_off, "1", 0);
  const edgetl_status status = library_.open(engine_name, path, library_names, std::size(library_names), error);
  if (status != EDGETL_OK) return status;
  decltype(OrtGetApiBase)* base = nullptr;
  if (!library_.find("OrtGetApiBase", base)) {
    return fail(error, EDGETL_ENGINE_MISSING, "expected the shared library of %s; the loaded library is another one",
                engine_name);
  }
  version_ = base()->GetVersionString();
  api_ = base()->GetApi(ORT_API_VERSION);
  if (api_ != nullptr) return EDGETL_OK;
  return fail(error, EDGETL_ENGINE_MISSING, "expected %s 1.%d or later; found %s, which is too old", engine_name,
              ORT_API_VERSION, version_);
}

OrtStatus* OnnxRuntimeEngine::make_session(Bytes model, int threads) {
  OrtEnv* env = nullptr;
  OrtStatus* said = api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "edgetl", &env);
  if (said != nullptr) return said;
  env_ = {env, api_->ReleaseEnv};
  said = api_->DisableTelemetryEvents(env);
  if (said != nullptr) return said;
  OrtSessionOptions* options = nullptr;
  said = api_->CreateSessionOptions(&options);
  if (said != nullptr) return said;
  const Handle<OrtSessionOptions> owned(options, api_->ReleaseSessionOptions);
  said = set_options(options, threads);
  if (said != nullptr) return said;
  OrtSession* session = nullptr;
  said = api_->CreateSessionFromArray(env, model.data, model.size, options, &session);
  if (said == nullptr) session_ = {session, api_->ReleaseSession};
  return said;
}

OrtStatus* OnnxRuntimeEngine::set_options(OrtSessionOptions* options, int threads) const {
  OrtStatus* said = api_->SetIntraOpNumThreads(options, threads);
  if (said == nullptr) said = api_->SetInterOpNumThreads(options, 1);
  if (said == nullptr) said = api_->SetSessionExecutionMode(options, ORT_SEQUENTIAL);
  if (said == nullptr) said = api_->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL);
  if (said == nullptr) said = api_->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_FATAL);
  return said;
}

OrtStatus* OnnxRuntimeEngine::describe(const Side& side, std::vector<Port>& ports) const {
  size_t count = 0;
  OrtStatus* said = side.count(session_.get(), &count);
  for (size_t index = 0; said == nullptr && index < count; ++index) {
    said = describe_one(side, index, ports.emplace_back());
  }
  return said;
}

OrtStatus* OnnxRuntimeEngine::describe_one(const Side& side, size_t index, Port& port) const {
  OrtAllocator* allocator = nullptr;  // the runtime's own, never released
  OrtStatus* said = api_->GetAllocatorWithDefaultOptions(&allocator);
  if (said != nullptr) return said;
  char* name = nullptr;
  said = side.name(session_.get(), index, allocator, &name);
  if (said != nullptr) return said;
  port.name = name;
  allocator->Free(allocator, name);
  OrtTypeInfo* info = nullptr;
  said = side.type(session_.get(), index, &info);
  if (said != nullptr) return said;
  const Handle<OrtTypeInfo> owned(info, api_->ReleaseTypeInfo);
  return describe_type(info, port);
}

OrtStatus* OnnxRuntimeEngine::describe_type(const OrtTypeInfo* info, Port& port) const {
  port.type = "not a tensor";
  const OrtTensorTypeAndShapeInfo* tensor = nullptr;
  OrtStatus* said = api_->CastTypeInfoToTensorInfo(info, &tensor);
  if (said != nullptr || tensor == nullptr) return said;
  ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  said = api_->GetTensorElementType(tensor, &type);
  if (said != nullptr) return said;
  port.type = name_of(type);
  size_t rank = 0;
  said = api_->GetDimensionsCount(tensor, &rank);
  if (said != nullptr) return said;
  port.dims.resize(rank);
  return api_->GetDimensions(tensor, port.dims.data(), rank);
}

OrtStatus* OnnxRuntimeEngine::make_tensors(const std::vector<Port>& ports, const std::vector<PortMemory>& memory,
                                           int64_t length, Tensors& tensors) const {
  OrtMemoryInfo* place = nullptr;
  OrtStatus* said = api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &place);
  if (said != nullptr) return said;
  const Handle<OrtMemoryInfo> owned(place, api_->ReleaseMemoryInfo);
  for (size_t index = 0; index < ports.size(); ++index) {
    const std::vector<int64_t> dims = single_dims(ports[index], length);
    OrtValue* value = nullptr;
    said = api_->CreateTensorWithDataAsOrtValue(place, memory[index].data, port_bytes(ports[index], length),
                                                dims.data(), dims.size(), type_of(ports[index].type), &value);
    if (said != nullptr) return said;
    tensors.owned.emplace_back(value, api_->ReleaseValue);
    tensors.values.push_back(value);
    tensors.names.push_back(ports[index].name.c_str());
  }
  return nullptr;
}

edgetl_status OnnxRuntimeEngine::refused(OrtStatus* said, edgetl_status status, const char* what,
                                         edgetl_error* error) const {
  fail(error, status, "%s: %s %s %s: %s", model_.c_str(), engine_name, version_, what, api_->GetErrorMessage(said));
  api_->ReleaseStatus(said);
  return status;
}

}  // namespace

edgetl_status open_onnxruntime(const EngineRequest& request, std::unique_ptr<Engine>& engine, edgetl_error* error) {
  std::unique_ptr<OnnxRuntimeEngine> opened(new (std::nothrow) OnnxRuntimeEngine);
  if (opened == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the engine");
  const edgetl_status status = opened->open(request, error);
  if (status == EDGETL_OK) engine = std::move(opened);
  return status;
}

}  // namespace edgetl
