// The golden texts of the text front: tokenize; edgetl/bundle/golden_steps.py is the reference. The network starts from the
// golden input.
#include <algorithm>
#include <cinttypes>
#include <vector>

#include "checks.h"
#include "fail.h"
#include "manifest.h"
#include "tokenizer.h"

namespace edgetl {
namespace {

int32_t token_at(Bytes tokens, size_t index) {
  const uint8_t* bytes = tokens.data + 4 * index;
  const auto part = [bytes](int at) { return static_cast<uint32_t>(bytes[at]) << (8 * at); };
  return static_cast<int32_t>(part(0) | part(1) | part(2) | part(3));
}

void compare(const std::vector<int32_t>& found, Bytes golden, int32_t index, Checks& checks) {
  const size_t expected = golden.size / 4;
  const auto differs = [&](size_t place) { return found[place] != token_at(golden, place); };
  if (found.size() != expected) {
    checks.add(index, "tokenize", false, static_cast<double>(std::max(found.size(), expected)), 0,
               detail("%zu tokens, expected %zu", found.size(), expected));
    return;
  }
  size_t others = 0, first = 0;
  for (size_t place = expected; place-- > 0;) {
    if (!differs(place)) continue;
    ++others;
    first = place;
  }
  const Detail counted = detail("%zu of %zu tokens differ (limit 0)", others, expected);
  checks.add(index, "tokenize", others == 0, static_cast<double>(others), 0,
             others == 0 ? counted
                         : detail("%s; the first at %zu: %" PRId32 ", expected %" PRId32, counted.text, first,
                                  found[first], token_at(golden, first)));
}

}  // namespace

edgetl_status check_text(const Text& front, Tokenizer& tokenizer, const GoldenImage& golden, int32_t index,
                         Checks& checks, edgetl_error* error) {
  edgetl_error why;
  const edgetl_status status = tokenizer.encode(golden.file.data, golden.file.size, &why);
  if (status == EDGETL_OUT_OF_MEMORY) return fail(error, status, "%s", why.message);
  if (status != EDGETL_OK) {
    const size_t expected = golden.input.size / 4;
    checks.add(index, "tokenize", false, static_cast<double>(expected), 0, detail("%s", why.message));
    return EDGETL_OK;
  }
  std::vector<int32_t> ids = tokenizer.ids();
  const auto count = static_cast<int32_t>(ids.size());
  ids.resize(static_cast<size_t>(*std::lower_bound(front.lengths.begin(), front.lengths.end(), count)), front.pad);
  compare(ids, golden.input, index, checks);
  return EDGETL_OK;
}

}  // namespace edgetl
