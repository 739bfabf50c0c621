// What an engine is: one file in engines/, one row in engine_table.cpp. Its Python half is edgetl/backends/<name>.py.
#pragma once

#include <memory>
#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"

namespace edgetl {

// Of one input or output; fixed while the model is open.
struct PortMemory {
  void* data = nullptr;
  size_t bytes = 0;
};

// One model, opened. Not for two threads at once.
class Engine {
 public:
  virtual ~Engine() = default;
  // From `inputs()` to `outputs()`, of which the input has the length that was chosen. Blocks; throws nothing; allocates nothing of its own.
  virtual edgetl_status run(edgetl_error* error) noexcept = 0;
  // Of the shared library that was loaded; "" where there is none.
  virtual const char* version() const noexcept = 0;

  // For one example each, at its longest, in the order of the manifest's signature.
  const std::vector<PortMemory>& inputs() const noexcept { return inputs_; }
  const std::vector<PortMemory>& outputs() const noexcept { return outputs_; }

  // For the runs that follow: place in lengths_of(manifest). The first until then.
  void choose_length(size_t place) noexcept { chosen_ = place; }

 protected:
  std::vector<PortMemory> inputs_, outputs_;  // the engine's own
  size_t chosen_ = 0;
};

// What a size that the signature leaves open may be, ascending; {1} if it leaves none open but the batch.
inline std::vector<int64_t> lengths_of(const Manifest& manifest) {
  if (manifest.front != Front::text) return {1};
  return {manifest.text.lengths.begin(), manifest.text.lengths.end()};
}

struct EngineRequest {
  Bundle& bundle;       // the bytes that the engine keeps using must not be released
  int threads;          // >= 1
  const char* library;  // path of the shared library; null: the usual names
};

using OpenEngine = edgetl_status (*)(const EngineRequest& request, std::unique_ptr<Engine>& engine,
                                     edgetl_error* error);

// Null if this library was built without the engine.
OpenEngine find_engine(const char* name);

edgetl_status open_null(const EngineRequest&, std::unique_ptr<Engine>&, edgetl_error*);
edgetl_status open_onnxruntime(const EngineRequest&, std::unique_ptr<Engine>&, edgetl_error*);
edgetl_status open_openvino(const EngineRequest&, std::unique_ptr<Engine>&, edgetl_error*);
edgetl_status open_tensorrt(const EngineRequest&, std::unique_ptr<Engine>&, edgetl_error*);

}  // namespace edgetl
