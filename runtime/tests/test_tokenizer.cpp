#include "tokenizer.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

#include "tools/small_bundle.h"

using edgetl::Tokenizer;
using Ids = std::vector<int32_t>;

namespace {

constexpr size_t longest = 100;

edgetl::Bytes bytes_of(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

// A description without special tokens and with nothing around a text.
std::string description(const std::string& model, const std::string& normalize = "", const std::string& cut = "",
                        const std::string& special = "") {
  return R"({"schema":1,"special":[)" + special + R"(],"normalize":[)" + normalize + R"(],"cut":[)" + cut +
         R"(],"model":)" + model + R"(,"before":[],"after":[],"pad":0})";
}

const std::string letters =
    R"({"kind":"wordpiece","pieces":["?","a","b","c"," ","1","2","'s","é","가","\u1100","'"],"unknown":0,"prefix":"","longest":100})";

Ids ids_of(const std::string& content, const std::string& text, size_t most = longest) {
  Tokenizer tokenizer;
  edgetl_error error;
  REQUIRE_MESSAGE(tokenizer.open(bytes_of(content), "tokenizer.json", most, &error) == EDGETL_OK, error.message);
  const edgetl::Bytes given = bytes_of(text);
  REQUIRE_MESSAGE(tokenizer.encode(given.data, given.size, &error) == EDGETL_OK, error.message);
  return tokenizer.ids();
}

void check_refused(const std::string& content, const char* message) {
  Tokenizer tokenizer;
  edgetl_error error;
  CHECK(tokenizer.open(bytes_of(content), "tokenizer.json", longest, &error) == EDGETL_BUNDLE_INVALID);
  CHECK_MESSAGE(std::string(error.message).find(message) != std::string::npos, error.message);
}

void check_text_refused(const std::string& text, const std::string& message) {
  Tokenizer tokenizer;
  edgetl_error error;
  REQUIRE(tokenizer.open(bytes_of(description(letters)), "tokenizer.json", longest, &error) == EDGETL_OK);
  const edgetl::Bytes given = bytes_of(text);
  CHECK(tokenizer.encode(given.data, given.size, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(error.message == message);
}

std::string changed(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  REQUIRE_MESSAGE(at != text.npos, from);
  return text.replace(at, from.size(), to);
}

}  // namespace

TEST_CASE("WordPiece takes the longest piece first, and a word that pieces do not cover is unknown") {
  const std::string model =
      R"({"kind":"wordpiece","pieces":["?","un","##a","##able","##ble","u"],"unknown":0,"prefix":"##","longest":8})";
  const std::string content = description(model, "", R"({"step":"white"})");
  CHECK(ids_of(content, "unable unaa u unx") == Ids{1, 3, 1, 2, 2, 5, 0});
  CHECK(ids_of(content, "unaaaaaa unaaaaaaa") == Ids{1, 2, 2, 2, 2, 2, 2, 0});
}

TEST_CASE("BPE merges the smallest rank first, of equal ones the leftmost") {
  const std::string model =
      R"({"kind":"bpe","pieces":["a","b","c","ab","bc","aa","abc"],"unknown":null,"fuse_unknown":false,)"
      R"("byte_fallback":false,"whole_words":false,"merges":[0,1,1,1,2,0,0,0,2,3,2,3]})";
  const std::string content = description(model);
  CHECK(ids_of(content, "abc") == Ids{0, 4});
  CHECK(ids_of(content, "aaab") == Ids{5, 3});
  CHECK(ids_of(content, "aaa?b") == Ids{5, 3});  // what is no piece is left out
  CHECK(ids_of(changed(content, "\"whole_words\":false", "\"whole_words\":true"), "abc") == Ids{6});
  const std::string unknown = changed(content, "\"unknown\":null", "\"unknown\":2");
  CHECK(ids_of(unknown, "a??b") == Ids{0, 2, 2, 1});
  CHECK(ids_of(changed(unknown, "\"fuse_unknown\":false", "\"fuse_unknown\":true"), "a??b") == Ids{0, 2, 1});
}

TEST_CASE("Unigram takes the way with the largest sum, and unknown characters in a row are one token") {
  const std::string content =
      description(R"({"kind":"unigram","pieces":["?","a","b","ab","ba"],"scores":[0,-1,-1,-1.5,-1.5],"unknown":0,)"
                  R"("unknown_score":-10,"byte_fallback":false})");
  CHECK(ids_of(content, "aba") == Ids{1, 4});  // of equal sums the earlier start remains
  CHECK(ids_of(content, "abab") == Ids{3, 3});
  CHECK(ids_of(content, "xya?") == Ids{0, 1, 0});
}

TEST_CASE("characters that are no piece become the pieces of their bytes") {
  std::string pieces = R"("a")";
  for (int byte = 0; byte < 256; ++byte) {
    char text[16];
    std::snprintf(text, sizeof text, ",\"<0x%02X>\"", static_cast<unsigned>(byte));
    pieces += text;
  }
  const std::string bpe =
      R"({"kind":"bpe","pieces":[)" + pieces +
      R"(],"unknown":null,"fuse_unknown":false,"byte_fallback":true,"whole_words":false,"merges":[]})";
  CHECK(ids_of(description(bpe), "aé") == Ids{0, 1 + 0xC3, 1 + 0xA9});
  check_refused(description(changed(bpe, "<0x7F>", "<0x7f>")),
                "`model.byte_fallback`: expected pieces <0x00> to <0xFF>");
}

TEST_CASE("special tokens are found before everything else, the longest first, and take white space along") {
  const std::string special = R"({"text":"<x>","id":50,"normalized":false,"lstrip":true,"rstrip":true},)"
                              R"({"text":"<x>>","id":51,"normalized":false,"lstrip":false,"rstrip":false},)"
                              R"({"text":"b","id":52,"normalized":true,"lstrip":false,"rstrip":false})";
  const std::string content = description(letters, R"({"step":"lower"})", "", special);
  CHECK(ids_of(content, "a <x> c") == Ids{1, 50, 3});
  CHECK(ids_of(content, "a<x>>c") == Ids{1, 51, 3});
  CHECK(ids_of(content, "ABC") == Ids{1, 52, 3});
  CHECK(ids_of(content, "<X>") == Ids{0});  // the word `<x>`
}

TEST_CASE("texts are normalized by the tables") {
  CHECK(ids_of(description(letters, R"({"step":"nfc"})"), "e\u0301") == Ids{8});
  CHECK(ids_of(description(letters, R"({"step":"nfc"})"), "\u1100\u1161") == Ids{9});
  CHECK(ids_of(description(letters, R"({"step":"nfd"},{"step":"drop_mn"},{"step":"lower"})"), "\u00C1") == Ids{1});
  CHECK(ids_of(description(letters, R"({"step":"nfkc"})"), "\uFF41") == Ids{1});
  CHECK(ids_of(description(letters, R"({"step":"replace","old":"xx","new":"a"})"), "xxbxx") == Ids{1, 2, 1});
  CHECK(ids_of(description(letters, R"({"step":"repeated","old":"x","new":"c"})"), "axxxxb") == Ids{1, 3, 2});
  CHECK(ids_of(description(letters, R"({"step":"strip","left":true,"right":false},{"step":"prepend","text":"b"})"),
               "  a ") == Ids{2, 1, 4});
}

TEST_CASE("a map of characters takes a short cluster as a whole, and a long one character by character") {
  const std::string content = description(letters, R"({"step":"charsmap","pairs":["x","a","e\u0301","b"]})");
  CHECK(ids_of(content, "x") == Ids{1});
  CHECK(ids_of(content, "e\u0301") == Ids{2});
  CHECK(ids_of(content, "x\u0301") == Ids{1});  // the mark vanishes with its cluster
  check_refused(changed(content, "\"b\"]", "\"b\",\"x\"]"), "`normalize.0.pairs`: expected pairs of texts");
}

TEST_CASE("words are cut by the expressions of GPT-2 and Llama 3") {
  const auto words = [](const std::string& cut, const std::string& text) {
    // every word is one unknown token, so that their number shows
    return ids_of(description(R"({"kind":"wordpiece","pieces":["?"],"unknown":0,"prefix":"","longest":1})", "", cut),
                  text)
        .size();
  };
  const std::string gpt2 = R"({"step":"gpt2"})", llama3 = R"({"step":"llama3","digits":3})";
  CHECK(words(gpt2, "it's  a b2\n\n") == 7);       // it|'s| | a| b|2|\n\n
  CHECK(words(llama3, "it'S  a b2345\n\n") == 8);  // it|'S| | a| b|234|5|\n\n
  CHECK(words(R"({"step":"digits","single":true})", "ab12") == 3);
  CHECK(words(R"({"step":"digits","single":false})", "ab12") == 2);
  CHECK(words(R"({"step":"word"})", "ab, c..d") == 5);
}

TEST_CASE("spaces become marks, in front of the first word if it is wanted") {
  const std::string model = R"({"kind":"wordpiece","pieces":["?","▁","a","▁a"],"unknown":0,"prefix":"","longest":100})";
  const std::string step = R"({"step":"metaspace","mark":"▁","prepend":"first","cut":true})";
  const std::string special = R"({"text":"|","id":9,"normalized":false,"lstrip":false,"rstrip":false})";
  CHECK(ids_of(description(model, "", step, special), "a a|a") == Ids{3, 3, 9, 2});
  CHECK(ids_of(description(model, "", changed(step, "first", "always"), special), "a|a") == Ids{3, 9, 3});
  CHECK(ids_of(description(model, "", changed(step, "first", "never"), special), "a") == Ids{2});
  check_refused(description(model, "", R"({"step":"white"},)" + step),
                "`cut.1`: expected `first` only of the first step");
}

TEST_CASE("a long text is cut so that what stands around it stays") {
  CHECK(ids_of(small_bundle::tokenizer, "cat cat cat cat", 4) == Ids{2, 4, 4, 3});
  CHECK(ids_of(small_bundle::tokenizer, "", 4) == Ids{2, 3});
  Tokenizer tokenizer;
  edgetl_error error;
  const std::string content = small_bundle::tokenizer;
  CHECK(tokenizer.open(bytes_of(content), "tokenizer.json", 1, &error) == EDGETL_BUNDLE_INVALID);
  CHECK(std::string(error.message) == "tokenizer.json: 2 tokens stand around every text; the bundle's longest has 1");
}

TEST_CASE("what is no text is refused with one line") {
  check_text_refused("ab\xC3", "text: expected UTF-8; byte 2, 0xC3, is none");
  check_text_refused("", "text: expected a text with a token; this one has none");
  check_text_refused(std::string(131'073, 'a'), "text: expected at most 131072 characters; found more");
}

TEST_CASE("a word as long as a text may be is merged in the order of the ranks") {
  const std::string model = R"({"kind":"bpe","pieces":["a","aa","aaaa"],"unknown":null,"fuse_unknown":false,)"
                            R"("byte_fallback":false,"whole_words":false,"merges":[0,0,0,1,1,1]})";
  CHECK(ids_of(description(model), std::string(131'071, 'a'), 100'000).size() == 32'767 + 2);
}

TEST_CASE("a step that makes a text endless is refused") {
  std::string steps;
  for (int i = 0; i < 3; ++i) {
    steps +=
        (i == 0 ? "" : ",") + std::string(R"({"step":"replace","old":"a","new":")") + std::string(1000, 'a') + "\"}";
  }
  Tokenizer tokenizer;
  edgetl_error error;
  const std::string content = description(letters, steps);
  REQUIRE(tokenizer.open(bytes_of(content), "tokenizer.json", longest, &error) == EDGETL_OK);
  const std::string text(32, 'a');
  const edgetl::Bytes given = bytes_of(text);
  CHECK(tokenizer.encode(given.data, given.size, &error) == EDGETL_INVALID_ARGUMENT);
  CHECK(std::string(error.message) == "text: the tokenizer makes more than 16777216 characters of it");
}

TEST_CASE("descriptions that do not fit together are refused with the place") {
  const std::string whole = small_bundle::tokenizer;
  check_refused("{", "tokenizer.json: not readable as JSON");
  check_refused(changed(whole, "\"schema\":1", "\"schema\":2"), "`schema`: expected a whole number from 1 to 1");
  check_refused(changed(whole, "\"lower\"", "\"upper\""), "`normalize.0.step`: expected one of clean");
  check_refused(changed(whole, "\"white\"", "\"black\""), "`cut.0.step`: expected one of white");
  check_refused(changed(whole, "wordpiece", "words"), "`model.kind`: expected one of wordpiece bpe unigram");
  check_refused(changed(whole, "\"##s\"", "\"cat\""), "`model.pieces`: expected every text once");
  check_refused(changed(whole, "\"unknown\":1", "\"unknown\":8"),
                "`model.unknown`: expected the id of a piece, found 8");
  check_refused(changed(whole, "\"longest\":100", "\"longest\":100,\"dropout\":0.1"),
                "`model.dropout`: expected no such key");
  check_refused(changed(whole, "\"normalized\":false", "\"normalized\":0"),
                "`special.0.normalized`: expected true or false");
  const std::string bpe = R"({"kind":"bpe","pieces":["a","b","ab"],"unknown":null,"fuse_unknown":false,)"
                          R"("byte_fallback":false,"whole_words":false,"merges":[0,1,0]})";
  check_refused(description(changed(bpe, "[0,1,0]", "[0,1]")), "`model.merges`: expected left, right and rank of each");
  check_refused(description(changed(bpe, "[0,1,0]", "[1,0,0]")),
                "`model.merges`: expected pairs that make a piece, found 1 and 0");
  check_refused(
      description(
          R"({"kind":"unigram","pieces":["a"],"scores":[],"unknown":0,"unknown_score":-1,"byte_fallback":false})"),
      "`model.scores`: expected one for each piece, found 0");
}
