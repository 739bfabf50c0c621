// Memory that an engine reads and writes for as long as a model is open.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <memory>

namespace edgetl {

struct FreeBuffer {
  void operator()(void* memory) const { std::free(memory); }
};

// On a cache line of its own, so that no vector instruction crosses one.
template <typename Value>
using Buffer = std::unique_ptr<Value[], FreeBuffer>;

// Null if there is not enough memory.
template <typename Value>
Buffer<Value> make_buffer(size_t count) {
  constexpr size_t line_bytes = 64;
  void* memory = nullptr;
  if (posix_memalign(&memory, line_bytes, count * sizeof(Value)) != 0) return nullptr;
  return Buffer<Value>(static_cast<Value*>(memory));
}

}  // namespace edgetl
