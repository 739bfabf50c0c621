// The few calls of the CUDA driver API that running an engine takes: no CUDA package is needed, neither to build nor to
// run. The device half of edgetl/backends/cuda_driver.py.
// Source of names and argument types: CUDA Driver API, modules initialization, device, context, memory, stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "edgetl/runtime.h"
#include "library.h"

struct CUstream_st;

namespace edgetl {

struct GpuFacts {
  std::string name;
  std::string compute_capability;  // as "8.6"
  std::string cuda_driver;         // newest CUDA version that the driver supports, as "12.4"
};

// GPU 0 with its primary context and one stream. Buffers live as long as it does.
class Gpu {
 public:
  Gpu() = default;
  ~Gpu();
  Gpu(const Gpu&) = delete;
  Gpu& operator=(const Gpu&) = delete;

  // EDGETL_ENGINE_MISSING without a driver or a GPU. Ask before TensorRT is touched: it ends the process without one.
  edgetl_status open(edgetl_error* error);
  edgetl_status facts(GpuFacts& facts, edgetl_error* error) const;
  CUstream_st* stream() const { return stream_; }

  struct Buffers {
    uint8_t* host = nullptr;  // page-locked: the GPU copies from and to it directly
    uint64_t device = 0;
    size_t bytes = 0;
  };
  edgetl_status make(size_t bytes, Buffers& buffers, edgetl_error* error) const;
  void free(Buffers& buffers) const;

  // Between them the context is the calling thread's; then the one before is again, which is the caller's own.
  edgetl_status enter(edgetl_error* error) const;
  void leave() const;
  edgetl_status queue_to_device(const Buffers& buffers, edgetl_error* error) const;
  edgetl_status queue_to_host(const Buffers& buffers, edgetl_error* error) const;
  // Waits for everything that was queued; reports what failed in between.
  edgetl_status wait(edgetl_error* error) const;

 private:
  using Result = int;
  using Device = int;
  struct Calls {
    Result (*init)(unsigned flags);
    Result (*driver_version)(int* version);
    Result (*error_name)(Result result, const char** name);
    Result (*device_count)(int* count);
    Result (*device_get)(Device* device, int ordinal);
    Result (*device_name)(char* name, int bytes, Device device);
    Result (*device_attribute)(int* value, int attribute, Device device);
    Result (*context_retain)(void** context, Device device);
    Result (*context_release)(Device device);
    Result (*context_push)(void* context);
    Result (*context_pop)(void** context);
    Result (*memory_make)(uint64_t* memory, size_t bytes);
    Result (*memory_free)(uint64_t memory);
    Result (*host_make)(void** memory, size_t bytes);
    Result (*host_free)(void* memory);
    Result (*to_device)(uint64_t target, const void* source, size_t bytes, CUstream_st* stream);
    Result (*to_host)(void* target, uint64_t source, size_t bytes, CUstream_st* stream);
    Result (*stream_make)(CUstream_st** stream, unsigned flags);
    Result (*stream_wait)(CUstream_st* stream);
    Result (*stream_free)(CUstream_st* stream);
  };
  bool find_calls();
  edgetl_status check(Result result, const char* what, edgetl_error* error) const;

  Library library_;
  Calls calls_{};
  Device device_ = 0;
  void* context_ = nullptr;
  CUstream_st* stream_ = nullptr;
};

// `enter`, and `leave` at the end of the block.
class GpuScope {
 public:
  GpuScope(const Gpu& gpu, edgetl_error* error) : gpu_(gpu), status_(gpu.enter(error)) {}
  ~GpuScope() {
    if (status_ == EDGETL_OK) gpu_.leave();
  }
  GpuScope(const GpuScope&) = delete;
  GpuScope& operator=(const GpuScope&) = delete;
  edgetl_status status() const { return status_; }

 private:
  const Gpu& gpu_;
  edgetl_status status_;
};

}  // namespace edgetl
