#include "cuda_driver.h"

#include "fail.h"

namespace edgetl {
namespace {

constexpr const char* library_name = "libcuda.so.1";
constexpr const char* remedy = "see nvidia-smi and the kernel log";
constexpr unsigned stream_non_blocking = 1;
constexpr int capability_major = 75, capability_minor = 76;  // CUdevice_attribute
constexpr int name_bytes = 256;

}  // namespace

Gpu::~Gpu() {
  if (context_ == nullptr) return;
  if (stream_ != nullptr) {
    const GpuScope scope(*this, nullptr);
    calls_.stream_free(stream_);
  }
  calls_.context_release(device_);
}

bool Gpu::find_calls() {
  return library_.find("cuInit", calls_.init) && library_.find("cuDriverGetVersion", calls_.driver_version) &&
         library_.find("cuGetErrorName", calls_.error_name) && library_.find("cuDeviceGetCount", calls_.device_count) &&
         library_.find("cuDeviceGet", calls_.device_get) && library_.find("cuDeviceGetName", calls_.device_name) &&
         library_.find("cuDeviceGetAttribute", calls_.device_attribute) &&
         library_.find("cuDevicePrimaryCtxRetain", calls_.context_retain) &&
         library_.find("cuDevicePrimaryCtxRelease_v2", calls_.context_release) &&
         library_.find("cuCtxPushCurrent_v2", calls_.context_push) &&
         library_.find("cuCtxPopCurrent_v2", calls_.context_pop) &&
         library_.find("cuMemAlloc_v2", calls_.memory_make) && library_.find("cuMemFree_v2", calls_.memory_free) &&
         library_.find("cuMemAllocHost_v2", calls_.host_make) && library_.find("cuMemFreeHost", calls_.host_free) &&
         library_.find("cuMemcpyHtoDAsync_v2", calls_.to_device) &&
         library_.find("cuMemcpyDtoHAsync_v2", calls_.to_host) && library_.find("cuStreamCreate", calls_.stream_make) &&
         library_.find("cuStreamSynchronize", calls_.stream_wait) &&
         library_.find("cuStreamDestroy_v2", calls_.stream_free);
}

edgetl_status Gpu::open(edgetl_error* error) {
  std::string said;
  if (!library_.load(library_name, said)) {
    return fail(error, EDGETL_ENGINE_MISSING, "expected the NVIDIA driver; found none (%s); install it, see nvidia-smi",
                said.c_str());
  }
  int count = 0;
  if (!find_calls() || calls_.init(0) != 0 || calls_.device_count(&count) != 0 || count < 1) {
    return fail(
        error, EDGETL_ENGINE_MISSING,
        "expected an NVIDIA GPU; the driver sees none: check nvidia-smi, and CUDA_VISIBLE_DEVICES if it is set");
  }
  edgetl_status done = check(calls_.device_get(&device_, 0), "cuDeviceGet", error);
  if (done == EDGETL_OK) done = check(calls_.context_retain(&context_, device_), "cuDevicePrimaryCtxRetain", error);
  if (done != EDGETL_OK) return done;
  const GpuScope scope(*this, error);
  if (scope.status() != EDGETL_OK) return scope.status();
  return check(calls_.stream_make(&stream_, stream_non_blocking), "cuStreamCreate", error);
}

edgetl_status Gpu::facts(GpuFacts& facts, edgetl_error* error) const {
  char name[name_bytes] = "";
  int version = 0, major = 0, minor = 0;
  edgetl_status done = check(calls_.device_name(name, name_bytes, device_), "cuDeviceGetName", error);
  if (done == EDGETL_OK) done = check(calls_.driver_version(&version), "cuDriverGetVersion", error);
  if (done == EDGETL_OK) {
    done = check(calls_.device_attribute(&major, capability_major, device_), "cuDeviceGetAttribute", error);
  }
  if (done == EDGETL_OK) {
    done = check(calls_.device_attribute(&minor, capability_minor, device_), "cuDeviceGetAttribute", error);
  }
  facts.name = name;
  facts.compute_capability = std::to_string(major) + "." + std::to_string(minor);
  facts.cuda_driver = std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
  return done;
}

edgetl_status Gpu::make(size_t bytes, Buffers& buffers, edgetl_error* error) const {
  void* host = nullptr;
  edgetl_status done = check(calls_.host_make(&host, bytes), "cuMemAllocHost", error);
  if (done != EDGETL_OK) return done;
  buffers.host = static_cast<uint8_t*>(host);
  buffers.bytes = bytes;
  return check(calls_.memory_make(&buffers.device, bytes), "cuMemAlloc", error);
}

void Gpu::free(Buffers& buffers) const {
  if (context_ == nullptr) return;
  const GpuScope scope(*this, nullptr);
  if (buffers.device != 0) calls_.memory_free(buffers.device);
  if (buffers.host != nullptr) calls_.host_free(buffers.host);
  buffers = {};
}

edgetl_status Gpu::enter(edgetl_error* error) const {
  if (context_ == nullptr) return fail(error, EDGETL_ENGINE_MISSING, "expected an open GPU; %s", remedy);
  return check(calls_.context_push(context_), "cuCtxPushCurrent", error);
}

void Gpu::leave() const {
  void* left = nullptr;
  calls_.context_pop(&left);
}

edgetl_status Gpu::queue_to_device(const Buffers& buffers, edgetl_error* error) const {
  return check(calls_.to_device(buffers.device, buffers.host, buffers.bytes, stream_), "cuMemcpyHtoDAsync", error);
}

edgetl_status Gpu::queue_to_host(const Buffers& buffers, edgetl_error* error) const {
  return check(calls_.to_host(buffers.host, buffers.device, buffers.bytes, stream_), "cuMemcpyDtoHAsync", error);
}

edgetl_status Gpu::wait(edgetl_error* error) const {
  return check(calls_.stream_wait(stream_), "cuStreamSynchronize", error);
}

edgetl_status Gpu::check(Result result, const char* what, edgetl_error* error) const {
  if (result == 0) return EDGETL_OK;
  const char* name = nullptr;
  calls_.error_name(result, &name);
  return fail(error, EDGETL_ENGINE_FAILED, "CUDA driver: %s failed: %s; %s", what, name != nullptr ? name : "unknown",
              remedy);
}

}  // namespace edgetl
