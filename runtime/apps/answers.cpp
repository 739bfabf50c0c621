#include "answers.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <numeric>

#include "fail.h"

namespace edgetl {
namespace {

// In double precision, as the Python side does, so that the digits agree.
std::vector<double> softmax(const std::vector<float>& logits) {
  const double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  std::vector<double> shares;
  double sum = 0;
  for (const float logit : logits) {
    shares.push_back(std::exp(static_cast<double>(logit) - largest));
    sum += shares.back();
  }
  for (double& share : shares) share /= sum;
  return shares;
}

Answer ranked(const std::vector<float>& logits, size_t top) {
  const std::vector<double> shares = softmax(logits);
  std::vector<size_t> order(shares.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return shares[a] > shares[b]; });
  order.resize(std::min(top, order.size()));
  Answer answer;
  answer.classes = order;
  for (const size_t index : order) answer.probabilities.push_back(shares[index]);
  return answer;
}

// `head` is the place of the answer.
const char* label(const edgetl_model* model, size_t head, size_t index) {
  const char* found = edgetl_head_label(model, static_cast<int32_t>(head), static_cast<int32_t>(index));
  return found != nullptr ? found : edgetl_label(model, static_cast<int32_t>(index));
}

std::string line_of(const edgetl_model* model, const Answer& answer, size_t head) {
  std::string line;
  for (size_t i = 0; i < answer.classes.size(); ++i) {
    char share[32];
    std::snprintf(share, sizeof share, " %.1f %%", 100 * answer.probabilities[i]);
    line += (i == 0 ? " " : ", ") + std::string(label(model, head, answer.classes[i])) + share;
  }
  return line;
}

void write_answer(const edgetl_model* model, const Answer& answer, size_t head, JsonWriter& json) {
  json.key("labels").open('[');
  for (const size_t index : answer.classes) json.text(label(model, head, index));
  json.close().key("probabilities").open('[');
  for (const double share : answer.probabilities) json.number(share);
  json.close();
}

}  // namespace

std::vector<edgetl_head> heads_of(const edgetl_model* model) {
  std::vector<edgetl_head> heads;
  edgetl_head head{};
  while (edgetl_get_head(model, static_cast<int32_t>(heads.size()), &head) == EDGETL_OK) heads.push_back(head);
  return heads;
}

void rank(const edgetl_model* model, Prediction& prediction, size_t top) {
  const std::vector<edgetl_head> heads = heads_of(model);
  if (heads.empty()) prediction.answers.push_back(ranked(prediction.logits, top));
  for (const edgetl_head& head : heads) {
    const auto first = prediction.logits.begin() + head.first;
    prediction.answers.push_back(ranked({first, first + head.classes}, top));
  }
}

void print_text(const edgetl_model* model, const Prediction& prediction, bool with_logits) {
  std::string line = prediction.path + ":";
  const std::vector<edgetl_head> heads = heads_of(model);
  for (size_t head = 0; head < prediction.answers.size(); ++head) {
    if (!heads.empty()) line += (head == 0 ? " " : "; ") + std::string(heads[head].name) + ":";
    line += line_of(model, prediction.answers[head], head);
  }
  make_printable(line.data(), line.size());
  std::printf("%s\n", line.c_str());
  if (!with_logits) return;
  std::printf("  logits:");
  for (const float logit : prediction.logits) std::printf(" %.9g", static_cast<double>(logit));
  std::printf("\n");
}

void write_json(const edgetl_model* model, const Prediction& prediction, bool with_logits, JsonWriter& json) {
  json.open('{').key("path").text(prediction.path);
  const std::vector<edgetl_head> heads = heads_of(model);
  if (heads.empty()) {
    write_answer(model, prediction.answers[0], 0, json);
  } else {
    json.key("heads").open('{');
    for (size_t head = 0; head < heads.size(); ++head) {
      json.key(heads[head].name).open('{');
      write_answer(model, prediction.answers[head], head, json);
      json.close();
    }
    json.close();
  }
  if (with_logits) {
    json.key("logits").open('[');
    for (const float logit : prediction.logits) json.number(logit);
    json.close();
  }
  json.close();
}

}  // namespace edgetl
