// The steps that cut a normalized section into words; edgetl/fronts/text/cut.py is the reference.
#pragma once

#include <cstdint>
#include <vector>

#include "points.h"
#include "tokenizer_description.h"

namespace edgetl {

// One after the other, none empty.
struct Words {
  Points points;
  std::vector<uint32_t> ends;

  void clear() {
    points.clear();
    ends.clear();
  }
  size_t begin(size_t word) const { return word == 0 ? 0 : ends[word - 1]; }
  // What was appended to `points` since the last word is one, if it is anything.
  void end_word() {
    if (points.size() > (ends.empty() ? 0 : ends.back())) ends.push_back(static_cast<uint32_t>(points.size()));
  }
};

// Of words, in place; `scratch` is memory. False if they become longer than most_points.
// first  whether the whole text begins with them
bool cut(const std::vector<Cutting>& steps, bool first, Words& words, Words& scratch);

}  // namespace edgetl
