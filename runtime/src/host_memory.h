// Memory for the ports of a network that runs on the CPU.
#pragma once

#include <algorithm>
#include <vector>

#include "buffer.h"
#include "engine.h"
#include "signature.h"

namespace edgetl {

class HostMemory {
 public:
  // Zeros for every port, on a cache line of their own. False if there is not enough memory.
  bool make(const std::vector<Port>& ports, std::vector<PortMemory>& memory, int64_t longest = 1) {
    for (const Port& port : ports) {
      const size_t bytes = port_bytes(port, longest);
      Buffer<uint8_t> buffer = make_buffer<uint8_t>(bytes);
      if (buffer == nullptr) return false;
      std::fill_n(buffer.get(), bytes, uint8_t{0});
      memory.push_back({buffer.get(), bytes});
      owned_.push_back(std::move(buffer));
    }
    return true;
  }

 private:
  std::vector<Buffer<uint8_t>> owned_;
};

}  // namespace edgetl
