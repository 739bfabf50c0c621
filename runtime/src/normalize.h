// The steps that a section of a text passes before it is cut into words; edgetl/fronts/text/normalize.py is the reference.
#pragma once

#include <vector>

#include "points.h"
#include "tokenizer_description.h"

namespace edgetl {

// In place; `scratch` is memory. False if the text becomes longer than most_points.
bool normalize(const std::vector<Normalizing>& steps, Points& text, Points& scratch);

}  // namespace edgetl
