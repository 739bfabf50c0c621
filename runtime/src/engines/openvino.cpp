// OpenVINO on the CPU through its C API; the device half of edgetl/backends/openvino.py. Both compile the model with the
// same settings, so that both give the same logits to the bit. The C library reports nothing over a network; only the
// Python package does (edgetl/sdk.py).
#include <openvino/c/openvino.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <iterator>
#include <new>

#include "cpu_bfloat16.h"
#include "engine.h"
#include "fail.h"
#include "host_memory.h"
#include "interface.h"
#include "library.h"

namespace edgetl {
namespace {

constexpr const char* engine_name = "openvino";
constexpr const char* library_names[] = {"libopenvino_c.so", "libopenvino_c.so.2641"};
constexpr const char* device = "CPU";
constexpr const char* weights_file = "model.bin";

template <typename Object>
using Handle = std::unique_ptr<Object, void (*)(Object*)>;

// What is used of the library, found by name.
struct Api {
  decltype(ov_get_openvino_version)* get_version;
  decltype(ov_version_free)* version_free;
  decltype(ov_free)* free;
  decltype(ov_core_create)* core_create;
  decltype(ov_core_free)* core_free;
  decltype(ov_core_get_property)* core_get_property;
  decltype(ov_core_read_model_from_memory_buffer)* read_model;
  decltype(ov_core_compile_model)* compile_model;
  decltype(ov_model_free)* model_free;
  decltype(ov_model_inputs_size)* inputs_size;
  decltype(ov_model_const_input_by_index)* input_by_index;
  decltype(ov_model_outputs_size)* outputs_size;
  decltype(ov_model_const_output_by_index)* output_by_index;
  decltype(ov_model_reshape_single_input)* reshape;
  decltype(ov_port_get_any_name)* port_name;
  decltype(ov_port_get_element_type)* port_type;
  decltype(ov_port_get_partial_shape)* port_shape;
  decltype(ov_output_const_port_free)* port_free;
  decltype(ov_partial_shape_create)* shape_create;
  decltype(ov_partial_shape_free)* shape_free;
  decltype(ov_compiled_model_create_infer_request)* create_request;
  decltype(ov_compiled_model_free)* compiled_free;
  decltype(ov_infer_request_set_input_tensor_by_index)* set_input;
  decltype(ov_infer_request_set_output_tensor_by_index)* set_output;
  decltype(ov_infer_request_infer)* infer;
  decltype(ov_infer_request_free)* request_free;
  decltype(ov_tensor_create_from_host_ptr)* tensor_create;
  decltype(ov_tensor_get_byte_size)* tensor_bytes;
  decltype(ov_tensor_free)* tensor_free;
  decltype(ov_get_last_err_msg)* last_error;  // absent from old versions: may be null
};

// Null, or the name of the first function that the library lacks.
const char* find_functions(const Library& library, Api& api) {
  const char* missing = nullptr;
  const auto find = [&](const char* symbol, auto& function) {
    if (!library.find(symbol, function) && missing == nullptr) missing = symbol;
  };
  find("ov_get_openvino_version", api.get_version);
  find("ov_version_free", api.version_free);
  find("ov_free", api.free);
  find("ov_core_create", api.core_create);
  find("ov_core_free", api.core_free);
  find("ov_core_get_property", api.core_get_property);
  find("ov_core_read_model_from_memory_buffer", api.read_model);
  find("ov_core_compile_model", api.compile_model);
  find("ov_model_free", api.model_free);
  find("ov_model_inputs_size", api.inputs_size);
  find("ov_model_const_input_by_index", api.input_by_index);
  find("ov_model_outputs_size", api.outputs_size);
  find("ov_model_const_output_by_index", api.output_by_index);
  find("ov_model_reshape_single_input", api.reshape);
  find("ov_port_get_any_name", api.port_name);
  find("ov_port_get_element_type", api.port_type);
  find("ov_port_get_partial_shape", api.port_shape);
  find("ov_output_const_port_free", api.port_free);
  find("ov_partial_shape_create", api.shape_create);
  find("ov_partial_shape_free", api.shape_free);
  find("ov_compiled_model_create_infer_request", api.create_request);
  find("ov_compiled_model_free", api.compiled_free);
  find("ov_infer_request_set_input_tensor_by_index", api.set_input);
  find("ov_infer_request_set_output_tensor_by_index", api.set_output);
  find("ov_infer_request_infer", api.infer);
  find("ov_infer_request_free", api.request_free);
  find("ov_tensor_create_from_host_ptr", api.tensor_create);
  find("ov_tensor_get_byte_size", api.tensor_bytes);
  find("ov_tensor_free", api.tensor_free);
  library.find("ov_get_last_err_msg", api.last_error);
  return missing;
}

// Float layers run in this type; by default a CPU with bfloat16 instructions would use these for "float32".
const char* hint_of(const std::string& precision) { return precision == "bfloat16" ? "bf16" : "f32"; }

const char* capability_of(const std::string& precision) {
  if (precision == "bfloat16") return "BF16";
  return precision == "float32" ? "FP32" : "INT8";
}

struct TypeName {
  const char* name;
  ov_element_type_e type;
};

constexpr TypeName type_names[] = {{"uint8", U8}, {"int16", I16}, {"int32", I32}, {"int64", I64}, {"float32", F32}};

const char* name_of(ov_element_type_e type) {
  for (const TypeName& known : type_names) {
    if (known.type == type) return known.name;
  }
  return "of another type";
}

ov_element_type_e type_of(const std::string& name) {
  for (const TypeName& known : type_names) {
    if (known.name == name) return known.type;
  }
  return DYNAMIC;
}

// The runtime would try its readers of other formats on an unknown file.
bool is_ir(Bytes graph) {
  const uint8_t* end = graph.data + std::min<size_t>(graph.size, 64);
  const uint8_t* start = std::find_if(graph.data, end, [](uint8_t byte) { return std::isspace(byte) == 0; });
  const auto starts_with = [&](const char* text) {
    const size_t size = std::strlen(text);
    return static_cast<size_t>(end - start) >= size && std::memcmp(start, text, size) == 0;
  };
  return starts_with("<?xml") || starts_with("<net");
}

class OpenVinoEngine : public Engine {
 public:
  edgetl_status open(const EngineRequest& request, edgetl_error* error);
  edgetl_status run(edgetl_error* error) noexcept override;
  const char* version() const noexcept override { return version_.c_str(); }

 private:
  edgetl_status load(const char* path, edgetl_error* error);
  edgetl_status check_cpu(const std::string& precision, edgetl_error* error);
  edgetl_status read_model(const Bundle& bundle, edgetl_error* error);
  edgetl_status check_model(const Bundle& bundle, edgetl_error* error);
  edgetl_status compile(const Manifest& manifest, int threads, edgetl_error* error);
  edgetl_status make_tensors(const Manifest& manifest, edgetl_error* error);
  // These pass on the runtime's message.
  ov_status_e describe(bool of_inputs, std::vector<Port>& ports) const;
  ov_status_e describe_port(const ov_output_const_port_t* found, Port& port) const;
  ov_status_e fix_shape(const Port& input, const std::vector<int64_t>& lengths) const;
  ov_status_e make_tensor(ov_element_type_e type, const std::vector<int64_t>& dims, const void* memory,
                          Handle<ov_tensor_t>& tensor) const;
  ov_status_e make_inputs(const Signature& ports, int64_t length);
  ov_status_e bind_inputs();
  ov_status_e bind_outputs(const Signature& ports);
  edgetl_status refused(edgetl_status status, const char* what, edgetl_error* error) const;

  Library library_;
  Api api_{};
  std::string version_;
  std::string model_name_;  // its origin, for messages
  HostMemory memory_;
  Signature found_;  // in the order of the model
  Handle<ov_core_t> core_{nullptr, nullptr};
  Handle<ov_tensor_t> weights_{nullptr, nullptr};
  Handle<ov_model_t> model_{nullptr, nullptr};
  Handle<ov_compiled_model_t> compiled_{nullptr, nullptr};
  std::vector<std::vector<Handle<ov_tensor_t>>> taken_;  // for each length, over the same memory
  std::vector<size_t> places_;                           // of the inputs in the model
  std::vector<Handle<ov_tensor_t>> given_;
  size_t bound_ = 0;  // length whose tensors the request has
  Handle<ov_infer_request_t> request_{nullptr, nullptr};
};

edgetl_status OpenVinoEngine::open(const EngineRequest& request, edgetl_error* error) {
  const Manifest& manifest = request.bundle.manifest();
  model_name_ = request.bundle.where() + "/" + manifest.model;
  edgetl_status status = load(request.library, error);
  if (status == EDGETL_OK) status = check_cpu(manifest.precision, error);
  if (status == EDGETL_OK) status = read_model(request.bundle, error);
  if (status == EDGETL_OK) status = check_model(request.bundle, error);
  if (status == EDGETL_OK) status = compile(manifest, request.threads, error);
  if (status == EDGETL_OK) status = make_tensors(manifest, error);
  if (status != EDGETL_OK) return status;
  request.bundle.release(manifest.model);  // the graph was parsed; the weights are used where they are
  return succeed(error);
}

edgetl_status OpenVinoEngine::run(edgetl_error* error) noexcept {
  if (bound_ != chosen_ && bind_inputs() != OK) return refused(EDGETL_ENGINE_FAILED, "failed", error);
  return api_.infer(request_.get()) == OK ? succeed(error) : refused(EDGETL_ENGINE_FAILED, "failed", error);
}

edgetl_status OpenVinoEngine::load(const char* path, edgetl_error* error) {
  const edgetl_status status = library_.open(engine_name, path, library_names, std::size(library_names), error);
  if (status != EDGETL_OK) return status;
  const char* missing = find_functions(library_, api_);
  if (missing != nullptr) {
    return fail(error, EDGETL_ENGINE_MISSING,
                "expected the C library of %s; the loaded one has no %s: it is another library, or too old",
                engine_name, missing);
  }
  ov_version_t found{};
  if (api_.get_version(&found) == OK) {
    const std::string build = found.buildNumber != nullptr ? found.buildNumber : "";
    version_ = build.substr(0, build.find('-'));
    api_.version_free(&found);
  }
  ov_core_t* core = nullptr;
  if (api_.core_create(&core) != OK) return refused(EDGETL_ENGINE_MISSING, "cannot start", error);
  core_ = {core, api_.core_free};
  return EDGETL_OK;
}

edgetl_status OpenVinoEngine::check_cpu(const std::string& precision, edgetl_error* error) {
  if (precision == "bfloat16" && !cpu_has_bfloat16()) {
    return fail(
        error, EDGETL_ENGINE_REFUSED,
        "%s: this CPU has no bfloat16 instructions (avx512_bf16 or amx_bf16); use the float32 or the int8 build",
        model_name_.c_str());
  }
  char* offered = nullptr;
  if (api_.core_get_property(core_.get(), device, "OPTIMIZATION_CAPABILITIES", &offered) != OK) {
    return refused(EDGETL_ENGINE_MISSING, "cannot start its CPU plugin", error);
  }
  const std::string words = std::string(" ") + offered + " ";
  api_.free(offered);
  const char* needed = capability_of(precision);
  if (words.find(needed) != std::string::npos) return EDGETL_OK;
  return fail(error, EDGETL_ENGINE_REFUSED, "%s: %s %s offers%son this CPU, not %s; open another precision's build",
              model_name_.c_str(), engine_name, version_.c_str(), words.c_str(), needed);
}

edgetl_status OpenVinoEngine::read_model(const Bundle& bundle, edgetl_error* error) {
  const Bytes graph = bundle.file(bundle.manifest().model);
  const Bytes weights = bundle.file(weights_file);
  if (weights.data == nullptr || !is_ir(graph)) {
    return fail(error, EDGETL_ENGINE_REFUSED,
                "%s: expected OpenVINO IR and its %s beside it; copy the whole bundle again", model_name_.c_str(),
                weights_file);
  }
  size_t bytes = 0;
  if (make_tensor(U8, {static_cast<int64_t>(weights.size)}, weights.data, weights_) != OK ||
      api_.tensor_bytes(weights_.get(), &bytes) != OK || bytes != weights.size) {
    return refused(EDGETL_ENGINE_REFUSED, "cannot take its weights", error);
  }
  ov_model_t* model = nullptr;
  const auto* text = reinterpret_cast<const char*>(graph.data);
  if (api_.read_model(core_.get(), text, graph.size, weights_.get(), &model) != OK) {
    return refused(EDGETL_ENGINE_REFUSED, "cannot read it", error);
  }
  model_ = {model, api_.model_free};
  return EDGETL_OK;
}

edgetl_status OpenVinoEngine::check_model(const Bundle& bundle, edgetl_error* error) {
  if (describe(true, found_.inputs) != OK || describe(false, found_.outputs) != OK) {
    return refused(EDGETL_ENGINE_REFUSED, "cannot describe it", error);
  }
  return check_interface(bundle, found_, error);
}

edgetl_status OpenVinoEngine::compile(const Manifest& manifest, int threads, edgetl_error* error) {
  if (fix_shape(manifest.signature.inputs[0], lengths_of(manifest)) != OK) {
    return refused(EDGETL_ENGINE_REFUSED, "cannot take one example", error);
  }
  const std::string count = std::to_string(threads);
  constexpr size_t words = 8;  // four settings and their values
  ov_compiled_model_t* compiled = nullptr;
  if (api_.compile_model(core_.get(), model_.get(), device, words, &compiled, "INFERENCE_PRECISION_HINT",
                         hint_of(manifest.precision), "PERFORMANCE_HINT", "LATENCY", "INFERENCE_NUM_THREADS",
                         count.c_str(), "NUM_STREAMS", "1") != OK) {
    return refused(EDGETL_ENGINE_REFUSED, "cannot open it", error);
  }
  compiled_ = {compiled, api_.compiled_free};
  model_.reset();
  ov_infer_request_t* request = nullptr;
  if (api_.create_request(compiled, &request) != OK) return refused(EDGETL_ENGINE_REFUSED, "cannot open it", error);
  request_ = {request, api_.request_free};
  return EDGETL_OK;
}

edgetl_status OpenVinoEngine::make_tensors(const Manifest& manifest, edgetl_error* error) {
  const Signature& ports = manifest.signature;
  const std::vector<int64_t> lengths = lengths_of(manifest);
  if (!memory_.make(ports.inputs, inputs_, lengths.back()) || !memory_.make(ports.outputs, outputs_)) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "%s: no memory for the tensors", model_name_.c_str());
  }
  ov_status_e status = bind_outputs(ports);
  for (const Port& port : ports.inputs) places_.push_back(place_of(found_.inputs, port.name));
  for (const int64_t length : lengths) {
    if (status == OK) status = make_inputs(ports, length);
  }
  if (status == OK && bind_inputs() == OK) return EDGETL_OK;
  return refused(EDGETL_ENGINE_REFUSED, "cannot take its tensors", error);
}

ov_status_e OpenVinoEngine::make_inputs(const Signature& ports, int64_t length) {
  std::vector<Handle<ov_tensor_t>>& made = taken_.emplace_back();
  for (size_t index = 0; index < ports.inputs.size(); ++index) {
    const Port& port = ports.inputs[index];
    const std::vector<int64_t> dims = single_dims(port, length);
    const ov_status_e status =
        make_tensor(type_of(port.type), dims, inputs_[index].data, made.emplace_back(nullptr, nullptr));
    if (status != OK) return status;
  }
  return OK;
}

// Those of the chosen length.
ov_status_e OpenVinoEngine::bind_inputs() {
  for (size_t index = 0; index < places_.size(); ++index) {
    const ov_status_e status = api_.set_input(request_.get(), places_[index], taken_[chosen_][index].get());
    if (status != OK) return status;
  }
  bound_ = chosen_;
  return OK;
}

ov_status_e OpenVinoEngine::bind_outputs(const Signature& ports) {
  for (size_t index = 0; index < ports.outputs.size(); ++index) {
    const Port& port = ports.outputs[index];
    Handle<ov_tensor_t>& tensor = given_.emplace_back(nullptr, nullptr);
    ov_status_e status = make_tensor(type_of(port.type), single_dims(port), outputs_[index].data, tensor);
    if (status == OK) status = api_.set_output(request_.get(), place_of(found_.outputs, port.name), tensor.get());
    if (status != OK) return status;
  }
  return OK;
}

ov_status_e OpenVinoEngine::describe(bool of_inputs, std::vector<Port>& ports) const {
  size_t count = 0;
  ov_status_e status = (of_inputs ? api_.inputs_size : api_.outputs_size)(model_.get(), &count);
  for (size_t index = 0; status == OK && index < count; ++index) {
    ov_output_const_port_t* found = nullptr;
    status = (of_inputs ? api_.input_by_index : api_.output_by_index)(model_.get(), index, &found);
    const Handle<ov_output_const_port_t> owned(found, api_.port_free);
    if (status == OK) status = describe_port(found, ports.emplace_back());
  }
  return status;
}

ov_status_e OpenVinoEngine::describe_port(const ov_output_const_port_t* found, Port& port) const {
  char* name = nullptr;
  ov_status_e status = api_.port_name(found, &name);
  if (status != OK) return status;
  port.name = name;
  api_.free(name);
  ov_element_type_e type{};
  status = api_.port_type(found, &type);
  if (status != OK) return status;
  port.type = name_of(type);
  ov_partial_shape_t shape{};
  status = api_.port_shape(found, &shape);
  if (status != OK) return status;
  for (int64_t index = 0; shape.dims != nullptr && index < shape.rank.max; ++index) {
    const ov_dimension_t& dim = shape.dims[index];
    port.dims.push_back(dim.min == dim.max ? dim.max : -1);
  }
  api_.shape_free(&shape);
  return OK;
}

// One example, of every length: one compiled model, measured with all-MiniLM-L6-v2 and four lengths against a model for each,
// gives the same bits, costs 2 to 10 % more time for one text, and takes a third of the memory and of the time to open.
ov_status_e OpenVinoEngine::fix_shape(const Port& input, const std::vector<int64_t>& lengths) const {
  const std::vector<int64_t> shortest = single_dims(input, lengths.front()),
                             longest = single_dims(input, lengths.back());
  std::vector<ov_dimension_t> dims(shortest.size());
  for (size_t i = 0; i < dims.size(); ++i) dims[i] = {shortest[i], longest[i]};
  ov_partial_shape_t shape{};
  const auto rank = static_cast<int64_t>(dims.size());
  ov_status_e status = api_.shape_create(rank, dims.data(), &shape);
  if (status != OK) return status;
  status = api_.reshape(model_.get(), shape);
  api_.shape_free(&shape);
  return status;
}

ov_status_e OpenVinoEngine::make_tensor(ov_element_type_e type, const std::vector<int64_t>& dims, const void* memory,
                                        Handle<ov_tensor_t>& tensor) const {
  // the C API takes both without const and writes to neither
  const ov_shape_t shape{static_cast<int64_t>(dims.size()), const_cast<int64_t*>(dims.data())};
  ov_tensor_t* made = nullptr;
  const ov_status_e status = api_.tensor_create(type, shape, const_cast<void*>(memory), &made);
  if (status == OK) tensor = {made, api_.tensor_free};
  return status;
}

edgetl_status OpenVinoEngine::refused(edgetl_status status, const char* what, edgetl_error* error) const {
  const char* said = api_.last_error != nullptr ? api_.last_error() : nullptr;
  return fail(error, status, "%s: %s %s %s: %s", model_name_.c_str(), engine_name, version_.c_str(), what,
              said != nullptr ? said : "no reason given");
}

}  // namespace

edgetl_status open_openvino(const EngineRequest& request, std::unique_ptr<Engine>& engine, edgetl_error* error) {
  std::unique_ptr<OpenVinoEngine> opened(new (std::nothrow) OpenVinoEngine);
  if (opened == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the engine");
  const edgetl_status status = opened->open(request, error);
  if (status == EDGETL_OK) engine = std::move(opened);
  return status;
}

}  // namespace edgetl
