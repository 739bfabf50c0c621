// Texts for the apps: from the command line, files and stdin, and from the places of bench.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "edgetl/text.h"

namespace edgetl {

struct GivenText {
  std::string name;  // "text:1", the path of a file, "stdin:3": the number of a line
  std::string text;
};

// `texts`, then one of every file of `paths`, or with the path - of every line of stdin that is not blank.
// EDGETL_INVALID_ARGUMENT, with a line that names it, for a text that cannot be read or has nothing to see in it.
edgetl_status gather_texts(const std::vector<std::string>& texts, const std::vector<std::string>& paths,
                           std::vector<GivenText>& gathered, edgetl_error* error);

// The tokens as the network takes them, filled up. count  of the text's own
edgetl_status tokens_of(edgetl_model* model, const GivenText& given, std::vector<int32_t>& ids, size_t& count,
                        edgetl_error* error);

edgetl_status classify_text(edgetl_model* model, const GivenText& given, std::vector<float>& logits,
                            edgetl_error* error);

}  // namespace edgetl
