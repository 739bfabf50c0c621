#include "interface.h"

#include "fail.h"

namespace edgetl {
namespace {

std::string described(const TensorFacts& facts) {
  std::string text = facts.name + " " + facts.type + " (";
  for (size_t index = 0; index < facts.dims.size(); ++index) {
    if (index > 0) text += ", ";
    text += facts.dims[index] < 0 ? "any" : std::to_string(facts.dims[index]);
  }
  return text + ")";
}

std::string described(const std::vector<TensorFacts>& tensors) {
  std::string text;
  for (const TensorFacts& facts : tensors) text += (text.empty() ? "" : ", ") + described(facts);
  return text.empty() ? "nothing" : text;
}

bool fits(const std::vector<TensorFacts>& found, const TensorFacts& expected) {
  if (found.size() != 1 || found[0].name != expected.name || found[0].type != expected.type) return false;
  const std::vector<int64_t>& dims = found[0].dims;
  if (dims.size() != expected.dims.size() || (dims[0] != -1 && dims[0] != 1)) return false;
  for (size_t index = 1; index < dims.size(); ++index) {
    if (dims[index] != expected.dims[index]) return false;
  }
  return true;
}

}  // namespace

edgetl_status check_interface(const Bundle& bundle, const std::vector<TensorFacts>& inputs,
                              const std::vector<TensorFacts>& outputs, edgetl_error* error) {
  const Manifest& manifest = bundle.manifest();
  const TensorFacts input{input_name, "uint8", {1, manifest.preprocessing.height, manifest.preprocessing.width, 3}};
  const TensorFacts output{output_name, "float32", {1, static_cast<int64_t>(manifest.labels.size())}};
  if (fits(inputs, input) && fits(outputs, output)) return succeed(error);
  return fail(error, EDGETL_ENGINE_REFUSED, "%s/%s: expected %s in and %s out; found %s in and %s out",
              bundle.where().c_str(), manifest.model.c_str(), described(input).c_str(), described(output).c_str(),
              described(inputs).c_str(), described(outputs).c_str());
}

}  // namespace edgetl
