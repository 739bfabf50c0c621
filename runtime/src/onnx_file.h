// Whether an ONNX file takes tensors from other files. A session made from bytes would look for them in the process's
// working folder, and no digest covers them. edgetl/pivot/outside_data.py is the same walk.
#pragma once

#include "bundle.h"

namespace edgetl {

enum class OutsideData { none, some, not_onnx };

// Never reads outside `file`; allocates nothing.
OutsideData find_outside_data(Bytes file);

}  // namespace edgetl
