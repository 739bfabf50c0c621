#include "interface.h"

#include <algorithm>

#include "fail.h"

namespace edgetl {
namespace {

bool fits(const Port& found, const Port& expected) {
  if (found.type != expected.type || found.dims.size() != expected.dims.size()) return false;
  if (found.dims.empty() || (found.dims.front() != -1 && found.dims.front() != 1)) return false;
  return std::equal(found.dims.begin() + 1, found.dims.end(), expected.dims.begin() + 1);
}

bool fit(const std::vector<Port>& found, const std::vector<Port>& expected) {
  return found.size() == expected.size() && std::all_of(expected.begin(), expected.end(), [&](const Port& port) {
           const size_t place = place_of(found, port.name);
           return place < found.size() && fits(found[place], port);
         });
}

std::vector<Port> single(std::vector<Port> ports) {
  for (Port& port : ports) port.dims = single_dims(port, -1);
  return ports;
}

}  // namespace

size_t place_of(const std::vector<Port>& ports, const std::string& name) {
  const auto found = std::find_if(ports.begin(), ports.end(), [&](const Port& port) { return port.name == name; });
  return static_cast<size_t>(found - ports.begin());
}

edgetl_status check_interface(const Bundle& bundle, const Signature& found, edgetl_error* error) {
  const Signature& expected = bundle.manifest().signature;
  if (fit(found.inputs, expected.inputs) && fit(found.outputs, expected.outputs)) return succeed(error);
  return fail(error, EDGETL_ENGINE_REFUSED, "%s/%s: expected %s in and %s out; found %s in and %s out",
              bundle.where().c_str(), bundle.manifest().model.c_str(), described(single(expected.inputs)).c_str(),
              described(single(expected.outputs)).c_str(), described(found.inputs).c_str(),
              described(found.outputs).c_str());
}

}  // namespace edgetl
