// The inputs and outputs of a network; edgetl/types/ports.py is the reference.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace edgetl {

struct Port {
  std::string name;
  std::string type;           // "uint8", "int16", "int32", "int64", "float32", or what else was found
  std::vector<int64_t> dims;  // -1: any, known only when the network runs
};

// In the order of the manifest.
struct Signature {
  std::vector<Port> inputs, outputs;
};

// As "image uint8 (any, 224, 224, 3)"; "nothing" if there are none.
std::string described(const std::vector<Port>& ports);

// Bytes of one element; 0 for types that a manifest cannot name.
size_t element_bytes(const std::string& type);

// The same sizes for one example: a first size that is not known is 1, a later one is `length`.
std::vector<int64_t> single_dims(const Port& port, int64_t length = 1);

// Of these sizes.
size_t port_bytes(const Port& port, int64_t length = 1);

}  // namespace edgetl
