// `tokenizer.json` of a bundle: everything that turns a text into ids. edgetl/fronts/text/description.py is the reference;
// docs/decisions/0027-tokenizers.md says what the steps do.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "bundle.h"
#include "edgetl/runtime.h"
#include "pieces.h"
#include "points.h"

namespace edgetl {

struct Normalizing {
  enum class Kind {
    clean,
    spaced_cjk,
    nfd,
    nfc,
    nfkd,
    nfkc,
    drop_mn,
    drop_marks,
    lower,
    replace,
    repeated,
    prepend,
    strip,
    charsmap
  };
  Kind kind{};
  Points old, made;                  // of replace, repeated (`old` is one character), prepend (`made`)
  bool left = false, right = false;  // of strip
  Pieces olds;                       // of charsmap, and what takes their place, by their ids
  std::vector<Points> news;
};

struct Cutting {
  enum class Kind { white, punctuation, word, gpt2, prefix_space, digits, llama3, metaspace, bytes };
  enum class Prepend { always, first, never };
  Kind kind{};
  bool single = false;  // of digits
  size_t digits = 0;    // of llama3
  char32_t mark = 0;    // of metaspace, as the next two
  Prepend prepend{};
  bool cut = false;
  Points alphabet;  // of bytes: 256
};

// left, right -> rank, merged: in the order of left and right
struct Merge {
  int32_t left, right, rank, merged;
};

struct TokenModel {
  enum class Kind { wordpiece, bpe, unigram };
  Kind kind{};
  Pieces pieces;
  int32_t unknown = -1;  // none
  Points prefix;         // of wordpiece, as the next one
  size_t longest = 0;
  bool fuse_unknown = false;  // of bpe, as the next one and `merges`
  bool whole_words = false;
  std::vector<Merge> merges;
  std::vector<double> scores;  // of unigram, as the next one
  double unknown_score = 0;
  std::vector<int32_t> bytes;  // of bpe and unigram: 256 pieces that unknown characters become, or none
};

struct Special {
  int32_t id = 0;
  bool normalized = false, lstrip = false, rstrip = false;
};

// Those that are sought in one place.
struct Specials {
  Pieces texts;
  std::vector<Special> each;  // by the ids of the texts
};

struct TokenizerDescription {
  Specials raw, normalized;
  std::vector<Normalizing> normalize;
  std::vector<Cutting> cut;
  TokenModel model;
  std::vector<int32_t> before, after;
  int32_t pad = 0;
};

// Strict: unknown keys and kinds, values out of bounds and what does not fit together are EDGETL_BUNDLE_INVALID.
// where  of the file, for messages
edgetl_status read_tokenizer(Bytes file, const std::string& where, TokenizerDescription& description,
                             edgetl_error* error);

}  // namespace edgetl
