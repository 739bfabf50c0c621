// The engines straight through their C APIs, with the settings that edgetl uses and nothing around them: what tests and
// benchmarks compare edgetl with. Ends the program when anything fails.
#pragma once

#include <dlfcn.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#if EDGETL_WITH_ONNXRUNTIME
#include <onnxruntime_c_api.h>
#endif
#if EDGETL_WITH_OPENVINO
#include <openvino/c/openvino.h>
#endif

namespace bare {

struct Spec {
  std::string library;  // path
  std::string model;    // path of model.onnx or model.xml
  int64_t height, width, classes;
  int threads;
  std::string precision_hint;  // "f32" or "bf16"; used by OpenVINO
};

[[noreturn]] inline void give_up(const char* what) {
  std::fprintf(stderr, "bare engine: %s failed\n", what);
  std::exit(1);
}

inline void* load(const std::string& path) {
  void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (library == nullptr) give_up(dlerror());
  return library;
}

template <typename Function>
Function* find(void* library, const char* name) {
  auto* function = reinterpret_cast<Function*>(dlsym(library, name));
  if (function == nullptr) give_up(name);
  return function;
}

// One model over the caller's buffers. Never closed: the process ends with it.
class Engine {
 public:
  virtual ~Engine() = default;
  virtual void run() = 0;
};

#if EDGETL_WITH_ONNXRUNTIME
class OnnxRuntime : public Engine {
 public:
  OnnxRuntime(const Spec& spec, uint8_t* input, float* logits) {
    setenv("ORT_DISABLE_TELEMETRY", "1", 0);
    api_ = find<decltype(OrtGetApiBase)>(load(spec.library), "OrtGetApiBase")()->GetApi(ORT_API_VERSION);
    if (api_ == nullptr) give_up("GetApi");
    OrtEnv* env = nullptr;
    OrtSessionOptions* options = nullptr;
    OrtMemoryInfo* memory = nullptr;
    check(api_->CreateEnv(ORT_LOGGING_LEVEL_FATAL, "bare", &env));
    check(api_->DisableTelemetryEvents(env));
    check(api_->CreateSessionOptions(&options));
    check(api_->SetIntraOpNumThreads(options, spec.threads));
    check(api_->SetInterOpNumThreads(options, 1));
    check(api_->SetSessionExecutionMode(options, ORT_SEQUENTIAL));
    check(api_->SetSessionGraphOptimizationLevel(options, ORT_ENABLE_ALL));
    check(api_->SetSessionLogSeverityLevel(options, ORT_LOGGING_LEVEL_FATAL));
    check(api_->CreateSession(env, spec.model.c_str(), options, &session_));
    check(api_->CreateCpuMemoryInfo(OrtDeviceAllocator, OrtMemTypeDefault, &memory));
    const int64_t input_dims[] = {1, spec.height, spec.width, 3};
    const int64_t output_dims[] = {1, spec.classes};
    const auto input_bytes = static_cast<size_t>(spec.height * spec.width * 3);
    const auto output_bytes = static_cast<size_t>(spec.classes) * sizeof(float);
    check(api_->CreateTensorWithDataAsOrtValue(memory, input, input_bytes, input_dims, 4,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8, &input_));
    check(api_->CreateTensorWithDataAsOrtValue(memory, logits, output_bytes, output_dims, 2,
                                               ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &output_));
  }

  void run() override {
    const char* input_name = "image";
    const char* output_name = "logits";
    const OrtValue* input = input_;
    check(api_->Run(session_, nullptr, &input_name, &input, 1, &output_name, 1, &output_));
  }

 private:
  void check(const OrtStatus* status) const {
    if (status != nullptr) give_up(api_->GetErrorMessage(status));
  }
  const OrtApi* api_ = nullptr;
  OrtSession* session_ = nullptr;
  OrtValue* input_ = nullptr;
  OrtValue* output_ = nullptr;
};
#endif

#if EDGETL_WITH_OPENVINO
class OpenVino : public Engine {
 public:
  OpenVino(const Spec& spec, uint8_t* input, float* logits) {
    void* library = load(spec.library);
    infer_ = find<decltype(ov_infer_request_infer)>(library, "ov_infer_request_infer");
    const auto tensor = find<decltype(ov_tensor_create_from_host_ptr)>(library, "ov_tensor_create_from_host_ptr");
    ov_core_t* core = nullptr;
    ov_model_t* model = nullptr;
    ov_compiled_model_t* compiled = nullptr;
    check(find<decltype(ov_core_create)>(library, "ov_core_create")(&core), "ov_core_create");
    check(find<decltype(ov_core_read_model)>(library, "ov_core_read_model")(core, spec.model.c_str(), nullptr, &model),
          "ov_core_read_model");
    int64_t input_dims[] = {1, spec.height, spec.width, 3};
    int64_t output_dims[] = {1, spec.classes};
    ov_partial_shape_t shape{};
    check(find<decltype(ov_partial_shape_create_static)>(library, "ov_partial_shape_create_static")(4, input_dims,
                                                                                                    &shape),
          "ov_partial_shape_create_static");
    check(find<decltype(ov_model_reshape_single_input)>(library, "ov_model_reshape_single_input")(model, shape),
          "ov_model_reshape_single_input");
    const std::string threads = std::to_string(spec.threads);
    check(find<decltype(ov_core_compile_model)>(library, "ov_core_compile_model")(
              core, model, "CPU", 8, &compiled, "INFERENCE_PRECISION_HINT", spec.precision_hint.c_str(),
              "PERFORMANCE_HINT", "LATENCY", "INFERENCE_NUM_THREADS", threads.c_str(), "NUM_STREAMS", "1"),
          "ov_core_compile_model");
    check(find<decltype(ov_compiled_model_create_infer_request)>(library, "ov_compiled_model_create_infer_request")(
              compiled, &request_),
          "ov_compiled_model_create_infer_request");
    ov_tensor_t* input_tensor = nullptr;
    ov_tensor_t* output_tensor = nullptr;
    check(tensor(U8, {4, input_dims}, input, &input_tensor), "ov_tensor_create_from_host_ptr");
    check(tensor(F32, {2, output_dims}, logits, &output_tensor), "ov_tensor_create_from_host_ptr");
    check(find<decltype(ov_infer_request_set_input_tensor_by_index)>(
              library, "ov_infer_request_set_input_tensor_by_index")(request_, 0, input_tensor),
          "ov_infer_request_set_input_tensor_by_index");
    check(find<decltype(ov_infer_request_set_output_tensor_by_index)>(
              library, "ov_infer_request_set_output_tensor_by_index")(request_, 0, output_tensor),
          "ov_infer_request_set_output_tensor_by_index");
  }

  void run() override { check(infer_(request_), "ov_infer_request_infer"); }

 private:
  static void check(ov_status_e status, const char* what) {
    if (status != OK) give_up(what);
  }
  decltype(ov_infer_request_infer)* infer_ = nullptr;
  ov_infer_request_t* request_ = nullptr;
};
#endif

}  // namespace bare
