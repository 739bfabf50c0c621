// Texts -> tokens, in the order of work of docs/decisions/0027-tokenizers.md; edgetl/fronts/text/encode.py is the reference.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bundle.h"
#include "cut.h"
#include "edgetl/runtime.h"
#include "token_models.h"
#include "tokenizer_description.h"

namespace edgetl {

constexpr size_t most_characters = 1 << 17;  // of a text, as in edgetl/fronts/text/tables.py

// Not for two threads at once: it keeps the memory of the longest text so far.
class Tokenizer {
 public:
  // where  of the file, for messages
  // longest  in tokens, of texts that are cut
  edgetl_status open(Bytes file, const std::string& where, size_t longest, edgetl_error* error);

  // What a text becomes: at least one id, at most `longest`. EDGETL_INVALID_ARGUMENT with one line if it is no UTF-8, too
  // long or without any id.
  edgetl_status encode(const uint8_t* text, size_t bytes, edgetl_error* error);

  const std::vector<int32_t>& ids() const { return ids_; }
  int32_t pad() const { return description_.pad; }

 private:
  // Each is false if the text becomes too long.
  bool encode_text(const Points& text);
  bool encode_raw(size_t begin, size_t end);
  bool encode_section(size_t begin, size_t end, bool first);
  bool is_full() const { return ids_.size() >= description_.before.size() + room_; }

  TokenizerDescription description_;
  size_t room_ = 0;  // for the ids of a text itself
  Points text_, section_, scratch_;
  Words words_, other_words_;
  TokenMemory memory_;
  std::vector<int32_t> ids_;
};

}  // namespace edgetl
