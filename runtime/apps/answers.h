// The classes of a file as edgetl-run shows them: of a classifier, or of each of its heads.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "edgetl/runtime.h"
#include "json_writer.h"

namespace edgetl {

// Of a classifier, or of one of its heads: the most likely classes first, as places among its own.
struct Answer {
  std::vector<size_t> classes;
  std::vector<double> probabilities;
};

struct Prediction {
  std::string path;
  std::vector<Answer> answers;  // one for each head, or only one
  std::vector<float> logits;
};

// None if the classifier has only one.
std::vector<edgetl_head> heads_of(const edgetl_model* model);

// Fill in the answers from the logits, at most `top` classes each.
void rank(const edgetl_model* model, Prediction& prediction, size_t top);

// One line on stdout, with `with_logits` a second one.
void print_text(const edgetl_model* model, const Prediction& prediction, bool with_logits);
void write_json(const edgetl_model* model, const Prediction& prediction, bool with_logits, JsonWriter& json);

}  // namespace edgetl
