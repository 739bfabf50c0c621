// Words -> ids: the three kinds of model; edgetl/fronts/text/models.py is the reference.
#pragma once

#include <cstdint>
#include <vector>

#include "points.h"
#include "tokenizer_description.h"

namespace edgetl {

// The memory of a model, as long as its longest word so far.
struct TokenMemory {
  struct Symbol {
    int32_t id;             // -1: merged with the one before
    uint32_t before, next;  // neighbors
  };
  struct Waiting {
    int32_t rank;
    uint32_t place;  // of the left symbol
    uint32_t merge;  // in TokenModel::merges
  };
  struct Step {
    double sum;
    uint32_t begin;
    int32_t piece;  // that ends here
  };
  std::vector<Symbol> symbols;
  std::vector<Waiting> waiting;  // a heap
  std::vector<Step> steps;       // by the end of a piece
  std::vector<uint32_t> way;     // ends, from the right
};

// Appends the ids of a word, which is not empty.
void encode_word(const TokenModel& model, const char32_t* word, size_t count, TokenMemory& memory,
                 std::vector<int32_t>& ids);

}  // namespace edgetl
