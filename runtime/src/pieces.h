// The vocabulary of a tokenizer: texts in order, which are found character by character. No hashes, so that no vocabulary
// is slow.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "points.h"

namespace edgetl {

class Pieces {
 public:
  // The id of a text is its turn. `id` fewer than 2^31.
  void add(const Points& text);
  // After the last one. False if a text occurs twice.
  bool sort();

  size_t size() const { return begins_.size() - 1; }
  // -1 if the text is no piece.
  int32_t find(const char32_t* text, size_t count) const;
  Points text(size_t id) const { return {begin(id), end(id)}; }
  size_t length(size_t id) const { return begins_[id + 1] - begins_[id]; }

  // From a text's first character on, one after the other.
  class Walk {
   public:
    explicit Walk(const Pieces& pieces) : pieces_(pieces), low_(0), high_(pieces.sorted_.size()) {}
    // False when no piece begins with the characters so far.
    bool step(char32_t point);
    // The piece that the characters so far are; -1 if they are none.
    int32_t id() const;

   private:
    const Pieces& pieces_;
    size_t low_, high_;  // in `sorted_`: the pieces that begin with the characters so far
    size_t depth_ = 0;
  };

 private:
  const char32_t* begin(size_t id) const { return texts_.data() + begins_[id]; }
  const char32_t* end(size_t id) const { return texts_.data() + begins_[id + 1]; }
  bool less(size_t a, size_t b) const;

  Points texts_;  // one after the other
  std::vector<uint32_t> begins_{0};
  std::vector<int32_t> sorted_;  // ids by their texts
  std::vector<uint32_t> ascii_;  // where pieces begin in `sorted_` whose first character is at least this
};

}  // namespace edgetl
