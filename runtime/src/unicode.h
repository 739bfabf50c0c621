// Sets and maps of code points, and Unicode normalization, all from the tables that the reference answered
// (docs/decisions/0027-tokenizers.md). edgetl/fronts/text/ is the Python half.
#pragma once

#include <cstddef>

#include "points.h"

namespace edgetl {

enum class Set {
  control,
  blank,
  cjk,
  punctuation,
  white,
  nonspacing,
  mark,
  letter,
  number,
  word,
  numeric,
  joined,
  prepended,
  alone
};

bool belongs(Set set, char32_t point);
inline bool is_white(char32_t point) { return belongs(Set::white, point); }

// Every character by the map `lower`, appended.
void append_lower(char32_t point, Points& out);

// The complete decomposition, canonical or of compatibility, appended: its marks are in order when `order_marks` has run.
void append_decomposed(char32_t point, bool compatible, Points& out);

// Marks in the order of their classes, those of one class as they were.
void order_marks(Points& text);

// Of a decomposed text in order, in place.
void compose(Points& text);

// The end of the cluster that begins at `begin`, as far as a charsmap sees clusters.
size_t cluster_end(const Points& text, size_t begin);

}  // namespace edgetl
