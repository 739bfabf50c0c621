#include "options.h"

#include <algorithm>
#include <cstring>

#include "fail.h"

namespace edgetl {

edgetl_status take_bytes(const void* theirs, size_t their_size, void* ours, size_t our_size, const char* name,
                         const char* type, edgetl_error* error) {
  constexpr size_t max_struct_bytes = 4096;
  if (their_size < sizeof(size_t) || their_size > max_struct_bytes) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "%s.struct_size: expected sizeof(%s), %zu; found %zu", name, type,
                our_size, their_size);
  }
  const auto* bytes = static_cast<const unsigned char*>(theirs);
  const auto is_zero = [](unsigned char byte) { return byte == 0; };
  if (their_size > our_size && !std::all_of(bytes + our_size, bytes + their_size, is_zero)) {
    return fail(error, EDGETL_INVALID_ARGUMENT,
                "%s: set a field that runtime " EDGETL_RUNTIME_VERSION " does not have; link a newer runtime", name);
  }
  std::memcpy(ours, theirs, std::min(their_size, our_size));
  return EDGETL_OK;
}

}  // namespace edgetl
