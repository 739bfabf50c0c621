// Arrays in NumPy's format 1.0, trusting nothing.
#pragma once

#include <cstdint>
#include <vector>

#include "bundle.h"

namespace edgetl {

// An array in C order. Not owned.
struct Array {
  std::vector<int64_t> shape;  // sizes 1 .. 10^9
  Bytes data;
};

// False unless `file` is an array of this type ("|u1", "<i2") and of so many dimensions, as NumPy writes it.
bool read_array(Bytes file, const char* type, size_t rank, Array& array);

}  // namespace edgetl
