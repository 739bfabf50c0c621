// No engine: every logit is zero. Runs all but the network on any machine; the device half of edgetl/backends/null.py.
#include <algorithm>
#include <new>

#include "engine.h"
#include "fail.h"

namespace edgetl {
namespace {

class NullEngine : public Engine {
 public:
  explicit NullEngine(size_t classes) : classes_(classes) {}

  edgetl_status run(const uint8_t*, float* logits, edgetl_error* error) noexcept override {
    std::fill_n(logits, classes_, 0.0F);
    return succeed(error);
  }
  const char* version() const noexcept override { return ""; }

 private:
  size_t classes_;
};

}  // namespace

edgetl_status open_null(const EngineRequest& request, std::unique_ptr<Engine>& engine, edgetl_error* error) {
  engine.reset(new (std::nothrow) NullEngine(request.bundle.manifest().labels.size()));
  if (engine == nullptr) return fail(error, EDGETL_OUT_OF_MEMORY, "no memory for the engine");
  request.bundle.release(request.bundle.manifest().model);
  return succeed(error);
}

}  // namespace edgetl
