// No engine: every output is zero. Runs all but the network on any machine; the device half of edgetl/backends/null.py.
#include <new>

#include "engine.h"
#include "fail.h"
#include "host_memory.h"

namespace edgetl {
namespace {

class NullEngine : public Engine {
 public:
  bool make(const Signature& signature, int64_t longest) {
    return memory_.make(signature.inputs, inputs_, longest) && memory_.make(signature.outputs, outputs_);
  }
  edgetl_status run(edgetl_error* error) noexcept override { return succeed(error); }
  const char* version() const noexcept override { return ""; }

 private:
  HostMemory memory_;
};

}  // namespace

edgetl_status open_null(const EngineRequest& request, std::unique_ptr<Engine>& engine, edgetl_error* error) {
  std::unique_ptr<NullEngine> opened(new (std::nothrow) NullEngine);
  const Manifest& manifest = request.bundle.manifest();
  if (opened == nullptr || !opened->make(manifest.signature, lengths_of(manifest).back())) {
    return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the engine");
  }
  engine = std::move(opened);
  request.bundle.release(manifest.model);
  return succeed(error);
}

}  // namespace edgetl
