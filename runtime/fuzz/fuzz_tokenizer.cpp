// Any bytes as a tokenizer and as a text: refused with one line, or ids within the bounds that an engine relies on. A seed
// is a description, a zero byte, and a text; without a zero the bytes are a text for a tokenizer of every kind of step.
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "tokenizer.h"

namespace {

constexpr size_t longest = 64;

constexpr const char* known =
    R"({"schema":1,"special":[{"text":"<s>","id":9,"normalized":false,"lstrip":true,"rstrip":true},)"
    R"({"text":"end","id":10,"normalized":true,"lstrip":false,"rstrip":false}],"normalize":[{"step":"clean"},)"
    R"({"step":"charsmap","pairs":["x","y","e\u0301","e"]},{"step":"nfkc"},{"step":"lower"},)"
    R"({"step":"repeated","old":" ","new":" "},{"step":"replace","old":"ab","new":"ba"}],"cut":[)"
    R"({"step":"llama3","digits":3},{"step":"gpt2"},{"step":"metaspace","mark":"_","prepend":"always","cut":true}],)"
    R"("model":{"kind":"bpe","pieces":["?","a","b","aa","ab","_","_a","aab"],"unknown":0,"fuse_unknown":true,)"
    R"("byte_fallback":false,"whole_words":true,"merges":[1,1,0,1,2,1,5,1,2,1,4,3]},"before":[1],"after":[2],"pad":0})";

void require(bool holds) {
  if (!holds) std::abort();
}

void check_line(edgetl_status status, const edgetl_error& error) {
  require(error.status == status && std::strchr(error.message, '\n') == nullptr);
  require((status == EDGETL_OK) == (error.message[0] == '\0'));
}

void encode(edgetl::Tokenizer& tokenizer, const uint8_t* text, size_t bytes) {
  edgetl_error error;
  const edgetl_status status = tokenizer.encode(text, bytes, &error);
  check_line(status, error);
  require(status == EDGETL_OK || status == EDGETL_INVALID_ARGUMENT);
  if (status != EDGETL_OK) return;
  const std::vector<int32_t> ids = tokenizer.ids();
  require(!ids.empty() && ids.size() <= longest);
  require(std::all_of(ids.begin(), ids.end(), [](int32_t id) { return id >= 0 && id <= 10'000'000; }));
  require(tokenizer.encode(text, bytes, &error) == EDGETL_OK && tokenizer.ids() == ids);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): the name is libFuzzer's
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t bytes) {
  const auto* end = static_cast<const uint8_t*>(bytes == 0 ? nullptr : std::memchr(data, 0, bytes));
  edgetl::Tokenizer tokenizer;
  edgetl_error error;
  const edgetl::Bytes ours{reinterpret_cast<const uint8_t*>(known), std::strlen(known)};
  const edgetl::Bytes file = end == nullptr ? ours : edgetl::Bytes{data, static_cast<size_t>(end - data)};
  const edgetl_status status = tokenizer.open(file, "tokenizer.json", longest, &error);
  check_line(status, error);
  require(status == EDGETL_OK || status == EDGETL_BUNDLE_INVALID);
  if (status != EDGETL_OK) return 0;
  if (end == nullptr) {
    encode(tokenizer, data, bytes);
  } else {
    encode(tokenizer, end + 1, bytes - static_cast<size_t>(end - data) - 1);
  }
  return 0;
}
