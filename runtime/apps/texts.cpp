#include "texts.h"

#include <algorithm>
#include <cstdio>

#include "fail.h"
#include "file_content.h"
#include "model.h"
#include "unicode.h"

namespace edgetl {
namespace {

constexpr const char* a_text = "a text";
constexpr size_t most_stdin = 64'000'000;

// Without the mark that some editors write at the beginning.
void remove_mark(std::string& text) {
  if (text.compare(0, 3, "\xEF\xBB\xBF") == 0) text.erase(0, 3);
}

bool is_blank(const std::string& text) {
  Points points;
  size_t good = 0;
  if (!decode_utf8(reinterpret_cast<const uint8_t*>(text.data()), text.size(), points, good)) return false;
  return std::all_of(points.begin(), points.end(), [](char32_t point) { return belongs(Set::white, point); });
}

// Without one line break at its end.
edgetl_status read_text_file(const std::string& path, std::string& text, edgetl_error* error) {
  Content content;
  edgetl_status status = read_content(path.c_str(), a_text, content, error);
  if (status == EDGETL_OK) status = refuse_picture(content, path.c_str(), a_text, error);
  if (status != EDGETL_OK) return status;
  text.assign(reinterpret_cast<const char*>(content.data.get()), content.bytes);
  remove_mark(text);
  if (!text.empty() && text.back() == '\n') text.pop_back();
  if (!text.empty() && text.back() == '\r' && text.size() + 1 < content.bytes) text.pop_back();
  return EDGETL_OK;
}

edgetl_status read_stdin(std::vector<GivenText>& gathered, edgetl_error* error) {
  std::string all, line;
  char block[4096];
  for (size_t got = 1; got != 0 && all.size() <= most_stdin;) {
    got = std::fread(block, 1, sizeof block, stdin);
    all.append(block, got);
  }
  if (all.size() > most_stdin) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "stdin: more than %zu bytes; give it in parts", most_stdin);
  }
  remove_mark(all);
  size_t number = 1;
  for (size_t begin = 0; begin < all.size(); ++number) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    line.assign(all, begin, end - begin);
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (!is_blank(line)) gathered.push_back({"stdin:" + std::to_string(number), line});
    begin = end + 1;
  }
  return EDGETL_OK;
}

// The library's line says what is wrong with a text, not which one it was.
edgetl_status named(edgetl_status status, const GivenText& given, edgetl_error* error) {
  if (status != EDGETL_INVALID_ARGUMENT || error == nullptr) return status;
  const std::string said = error->message;
  return refuse_content(error, status, given.name.c_str(), a_text, said.c_str());
}

}  // namespace

edgetl_status gather_texts(const std::vector<std::string>& texts, const std::vector<std::string>& paths,
                           std::vector<GivenText>& gathered, edgetl_error* error) {
  for (size_t i = 0; i < texts.size(); ++i) gathered.push_back({"text:" + std::to_string(i + 1), texts[i]});
  for (const std::string& path : paths) {
    edgetl_status status = EDGETL_OK;
    if (path == "-") {
      status = read_stdin(gathered, error);
    } else {
      GivenText& given = gathered.emplace_back();
      given.name = path;
      status = read_text_file(path, given.text, error);
    }
    if (status != EDGETL_OK) return status;
  }
  for (const GivenText& given : gathered) {
    if (!is_blank(given.text)) continue;
    const char* reason = given.text.empty() ? "it is empty" : "it holds only spaces";
    return refuse_content(error, EDGETL_INVALID_ARGUMENT, given.name.c_str(), a_text, reason);
  }
  return EDGETL_OK;
}

edgetl_status tokens_of(edgetl_model* model, const GivenText& given, std::vector<int32_t>& ids, size_t& count,
                        edgetl_error* error) {
  size_t length = 0;
  ids.resize(static_cast<size_t>(model->bundle.manifest().text.lengths.back()));
  const edgetl_status status =
      edgetl_tokenize(model, given.text.data(), given.text.size(), ids.data(), ids.size(), &count, &length, error);
  ids.resize(length);
  return named(status, given, error);
}

edgetl_status classify_text(edgetl_model* model, const GivenText& given, std::vector<float>& logits,
                            edgetl_error* error) {
  return named(edgetl_classify_text(model, given.text.data(), given.text.size(), logits.data(), logits.size(), error),
               given, error);
}

}  // namespace edgetl
