// What a network must take and give. Every engine describes what it opened; the comparison is the same for all.
#pragma once

#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"
#include "signature.h"

namespace edgetl {

inline size_t input_bytes(const Preprocessing& p) {
  return static_cast<size_t>(p.height) * static_cast<size_t>(p.width) * 3;
}

// EDGETL_ENGINE_REFUSED unless the network has the manifest's ports and no others, in any order: names, types and sizes,
// with a batch of 1 or any.
edgetl_status check_interface(const Bundle& bundle, const Signature& found, edgetl_error* error);

// Where the port of this name is; `ports` must have it.
size_t place_of(const std::vector<Port>& ports, const std::string& name);

}  // namespace edgetl
