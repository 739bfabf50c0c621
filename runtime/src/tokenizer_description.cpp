#include "tokenizer_description.h"

#include <algorithm>
#include <cstdio>

#include "fail.h"
#include "fields.h"
#include "json.h"

namespace edgetl {
namespace {

constexpr size_t max_file = 64'000'000, max_nodes = 16'000'000;
constexpr size_t max_piece = 1000, max_pieces = 1'000'000, max_merges = 4'000'000;
constexpr double max_id = 10'000'000;

// --- values

bool read_points(Reader& reader, Value value, size_t least, size_t most, Points& out) {
  size_t good = 0;
  const std::string_view text = value.kind() == Kind::text ? value.text() : std::string_view();
  decode_utf8(reinterpret_cast<const uint8_t*>(text.data()), text.size(), out, good);
  if (value.kind() == Kind::text && out.size() >= least && out.size() <= most) return true;
  const std::string range =
      least == most ? std::to_string(least) : std::to_string(least) + " to " + std::to_string(most);
  return reader.refuse("a text of " + range + " characters", value);
}

bool read_ids(Reader& reader, Value value, std::vector<int32_t>& out) {
  return read_list(reader, value, 0, 16,
                   [&](Value item, size_t) { return read_integer(reader, item, 0, max_id, out.emplace_back(0)); });
}

// `which` of the words the object has under `key`.
template <size_t Count>
bool read_step(Reader& reader, Value value, const char* key, const char* const (&words)[Count], size_t& which) {
  if (!reader.expect(value, Kind::object, "an object")) return false;
  const Value found = value.find(key);
  reader.enter(key);
  if (!found) return reader.refuse("a value", "nothing");
  if (!read_word(reader, found, words, which)) return false;
  reader.leave();
  return true;
}

template <typename T>
bool known(Reader&, Value, T&) {
  return true;  // it was read before
}

// --- normalize

constexpr const char* normalizing_words[] = {"clean",    "spaced_cjk", "nfd",        "nfc",     "nfkd",
                                             "nfkc",     "drop_mn",    "drop_marks", "lower",   "replace",
                                             "repeated", "prepend",    "strip",      "charsmap"};

bool read_pairs(Reader& reader, Value value, Normalizing& out) {
  Points text;
  const auto read_one = [&](Value item, size_t index) {
    const bool old = index % 2 == 0;
    if (!read_points(reader, item, old ? 1 : 0, max_piece, text)) return false;
    old ? out.olds.add(text) : out.news.push_back(text);
    return true;
  };
  if (!read_list(reader, value, 0, 200'000, read_one)) return false;
  if (out.olds.size() != out.news.size()) return reader.refuse("pairs of texts", value);
  return out.olds.sort() || reader.refuse("every old text once", "one twice");
}

bool read_normalizing(Reader& reader, Value value, Normalizing& out) {
  using N = Normalizing;
  static constexpr Member<N> plain[] = {{"step", true, known<N>}};
  static constexpr Member<N> replace[] = {
      {"step", true, known<N>},
      {"old", true, [](Reader& r, Value v, N& n) { return read_points(r, v, 1, max_piece, n.old); }},
      {"new", true, [](Reader& r, Value v, N& n) { return read_points(r, v, 0, max_piece, n.made); }}};
  static constexpr Member<N> repeated[] = {
      {"step", true, known<N>},
      {"old", true, [](Reader& r, Value v, N& n) { return read_points(r, v, 1, 1, n.old); }},
      {"new", true, [](Reader& r, Value v, N& n) { return read_points(r, v, 0, max_piece, n.made); }}};
  static constexpr Member<N> prepend[] = {{"step", true, known<N>}, {"text", true, [](Reader& r, Value v, N& n) {
                                                                       return read_points(r, v, 1, max_piece, n.made);
                                                                     }}};
  static constexpr Member<N> strip[] = {
      {"step", true, known<N>},
      {"left", true, [](Reader& r, Value v, N& n) { return read_bool(r, v, n.left); }},
      {"right", true, [](Reader& r, Value v, N& n) { return read_bool(r, v, n.right); }}};
  static constexpr Member<N> charsmap[] = {{"step", true, known<N>}, {"pairs", true, read_pairs}};
  size_t which = 0;
  if (!read_step(reader, value, "step", normalizing_words, which)) return false;
  out.kind = static_cast<N::Kind>(which);
  switch (out.kind) {
    case N::Kind::replace: return read_object(reader, value, out, replace);
    case N::Kind::repeated: return read_object(reader, value, out, repeated);
    case N::Kind::prepend: return read_object(reader, value, out, prepend);
    case N::Kind::strip: return read_object(reader, value, out, strip);
    case N::Kind::charsmap: return read_object(reader, value, out, charsmap);
    default: return read_object(reader, value, out, plain);
  }
}

// --- cut

constexpr const char* cutting_words[] = {"white",  "punctuation", "word",      "gpt2", "prefix_space",
                                         "digits", "llama3",      "metaspace", "bytes"};
constexpr const char* prepend_words[] = {"always", "first", "never"};

bool read_mark(Reader& reader, Value value, Cutting& out) {
  Points mark;
  if (!read_points(reader, value, 1, 1, mark)) return false;
  out.mark = mark[0];
  return true;
}

bool read_prepend(Reader& reader, Value value, Cutting& out) {
  size_t which = 0;
  if (!read_word(reader, value, prepend_words, which)) return false;
  out.prepend = static_cast<Cutting::Prepend>(which);
  return true;
}

bool read_alphabet(Reader& reader, Value value, Cutting& out) {
  if (!read_points(reader, value, 256, 256, out.alphabet)) return false;
  Points sorted = out.alphabet;
  std::sort(sorted.begin(), sorted.end());
  const bool different = std::adjacent_find(sorted.begin(), sorted.end()) == sorted.end();
  return different || reader.refuse("256 different characters", "one twice");
}

bool read_cutting(Reader& reader, Value value, Cutting& out) {
  using C = Cutting;
  static constexpr Member<C> plain[] = {{"step", true, known<C>}};
  static constexpr Member<C> digits[] = {
      {"step", true, known<C>}, {"single", true, [](Reader& r, Value v, C& c) { return read_bool(r, v, c.single); }}};
  static constexpr Member<C> llama3[] = {{"step", true, known<C>}, {"digits", true, [](Reader& r, Value v, C& c) {
                                                                      return read_integer(r, v, 1, 9, c.digits);
                                                                    }}};
  static constexpr Member<C> metaspace[] = {
      {"step", true, known<C>},
      {"mark", true, read_mark},
      {"prepend", true, read_prepend},
      {"cut", true, [](Reader& r, Value v, C& c) { return read_bool(r, v, c.cut); }}};
  static constexpr Member<C> bytes[] = {{"step", true, known<C>}, {"alphabet", true, read_alphabet}};
  size_t which = 0;
  if (!read_step(reader, value, "step", cutting_words, which)) return false;
  out.kind = static_cast<C::Kind>(which);
  switch (out.kind) {
    case C::Kind::digits: return read_object(reader, value, out, digits);
    case C::Kind::llama3: return read_object(reader, value, out, llama3);
    case C::Kind::metaspace: return read_object(reader, value, out, metaspace);
    case C::Kind::bytes: return read_object(reader, value, out, bytes);
    default: return read_object(reader, value, out, plain);
  }
}

// --- the model

constexpr const char* model_words[] = {"wordpiece", "bpe", "unigram"};

// `null` is none.
bool read_optional_id(Reader& reader, Value value, TokenModel& out) {
  return value.kind() == Kind::null || read_integer(reader, value, 0, max_id, out.unknown);
}

bool read_pieces(Reader& reader, Value value, TokenModel& out) {
  Points text;
  const auto read_one = [&](Value item, size_t) {
    if (!read_points(reader, item, 1, max_piece, text)) return false;
    out.pieces.add(text);
    return true;
  };
  if (!read_list(reader, value, 1, max_pieces, read_one)) return false;
  return out.pieces.sort() || reader.refuse("every text once", "one twice");
}

// The pieces <0x00> .. <0xFF>, as far as they exist.
bool read_fallback(Reader& reader, Value value, TokenModel& out) {
  bool wanted = false;
  if (!read_bool(reader, value, wanted)) return false;
  out.bytes.assign(wanted ? 256 : 0, -1);
  return true;
}

bool read_merges(Reader& reader, Value value, TokenModel& out) {
  if (value.size() % 3 != 0) return reader.refuse("left, right and rank of each", value);
  out.merges.resize(std::min(value.size(), 3 * max_merges) / 3);
  return read_list(reader, value, 0, 3 * max_merges, [&](Value item, size_t index) {
    Merge& merge = out.merges[index / 3];
    int32_t* const parts[] = {&merge.left, &merge.right, &merge.rank};
    return read_integer(reader, item, 0, max_id, *parts[index % 3]);
  });
}

bool read_scores(Reader& reader, Value value, TokenModel& out) {
  return read_list(reader, value, 0, max_pieces, [&](Value item, size_t) {
    return read_double(reader, item, -1e9, 1e9, out.scores.emplace_back(0));
  });
}

bool read_wordpiece(Reader& reader, Value value, TokenModel& out) {
  using M = TokenModel;
  static constexpr Member<M> members[] = {
      {"kind", true, known<M>},
      {"pieces", true, read_pieces},
      {"unknown", true, [](Reader& r, Value v, M& m) { return read_integer(r, v, 0, max_id, m.unknown); }},
      {"prefix", true, [](Reader& r, Value v, M& m) { return read_points(r, v, 0, 16, m.prefix); }},
      {"longest", true, [](Reader& r, Value v, M& m) { return read_integer(r, v, 1, 100'000, m.longest); }},
  };
  return read_object(reader, value, out, members);
}

bool read_bpe(Reader& reader, Value value, TokenModel& out) {
  using M = TokenModel;
  static constexpr Member<M> members[] = {
      {"kind", true, known<M>},
      {"pieces", true, read_pieces},
      {"unknown", true, read_optional_id},
      {"fuse_unknown", true, [](Reader& r, Value v, M& m) { return read_bool(r, v, m.fuse_unknown); }},
      {"byte_fallback", true, read_fallback},
      {"whole_words", true, [](Reader& r, Value v, M& m) { return read_bool(r, v, m.whole_words); }},
      {"merges", true, read_merges},
  };
  return read_object(reader, value, out, members);
}

bool read_unigram(Reader& reader, Value value, TokenModel& out) {
  using M = TokenModel;
  static constexpr Member<M> members[] = {
      {"kind", true, known<M>},
      {"pieces", true, read_pieces},
      {"scores", true, read_scores},
      {"unknown", true, [](Reader& r, Value v, M& m) { return read_integer(r, v, 0, max_id, m.unknown); }},
      {"unknown_score", true, [](Reader& r, Value v, M& m) { return read_double(r, v, -1e9, 1e9, m.unknown_score); }},
      {"byte_fallback", true, read_fallback},
  };
  return read_object(reader, value, out, members);
}

bool find_fallback(Reader& reader, TokenModel& model) {
  for (size_t byte = 0; byte < model.bytes.size(); ++byte) {
    char text[16];
    std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte & 0xFF));
    const Points points(text, text + 6);
    model.bytes[byte] = model.pieces.find(points.data(), points.size());
    if (model.bytes[byte] >= 0) continue;
    reader.enter("byte_fallback");
    return reader.refuse("pieces <0x00> to <0xFF>", std::string("no ") + text);
  }
  return true;
}

bool find_merged(Reader& reader, TokenModel& model) {
  const auto count = static_cast<int32_t>(model.pieces.size());
  for (Merge& merge : model.merges) {
    merge.merged = -1;
    if (merge.left < count && merge.right < count) {
      const Points text =
          model.pieces.text(static_cast<size_t>(merge.left)) + model.pieces.text(static_cast<size_t>(merge.right));
      merge.merged = model.pieces.find(text.data(), text.size());
    }
    if (merge.merged >= 0) continue;
    reader.enter("merges");
    return reader.refuse("pairs that make a piece", std::to_string(merge.left) + " and " + std::to_string(merge.right));
  }
  const auto key = [](const Merge& merge) { return std::pair(merge.left, merge.right); };
  std::stable_sort(model.merges.begin(), model.merges.end(),
                   [&](const Merge& a, const Merge& b) { return key(a) < key(b); });
  return true;
}

bool read_model(Reader& reader, Value value, TokenizerDescription& out) {
  static constexpr bool (*readers[])(Reader&, Value, TokenModel&) = {read_wordpiece, read_bpe, read_unigram};
  TokenModel& model = out.model;
  size_t which = 0;
  if (!read_step(reader, value, "kind", model_words, which)) return false;
  model.kind = static_cast<TokenModel::Kind>(which);
  if (!readers[which](reader, value, model)) return false;
  const auto count = static_cast<int32_t>(model.pieces.size());
  if (model.unknown >= count) {
    reader.enter("unknown");
    return reader.refuse("the id of a piece", std::to_string(model.unknown));
  }
  if (model.kind == TokenModel::Kind::unigram && model.scores.size() != model.pieces.size()) {
    reader.enter("scores");
    return reader.refuse("one for each piece", std::to_string(model.scores.size()));
  }
  return find_fallback(reader, model) && find_merged(reader, model);
}

// --- special tokens

struct SpecialText {
  Special special;
  Points text;
};

bool read_special(Reader& reader, Value value, SpecialText& out) {
  using S = SpecialText;
  static constexpr Member<S> members[] = {
      {"text", true, [](Reader& r, Value v, S& s) { return read_points(r, v, 1, max_piece, s.text); }},
      {"id", true, [](Reader& r, Value v, S& s) { return read_integer(r, v, 0, max_id, s.special.id); }},
      {"normalized", true, [](Reader& r, Value v, S& s) { return read_bool(r, v, s.special.normalized); }},
      {"lstrip", true, [](Reader& r, Value v, S& s) { return read_bool(r, v, s.special.lstrip); }},
      {"rstrip", true, [](Reader& r, Value v, S& s) { return read_bool(r, v, s.special.rstrip); }},
  };
  return read_object(reader, value, out, members);
}

bool read_specials(Reader& reader, Value value, TokenizerDescription& out) {
  const auto read_one = [&](Value item, size_t) {
    SpecialText found;
    if (!read_special(reader, item, found)) return false;
    Specials& place = found.special.normalized ? out.normalized : out.raw;
    place.texts.add(found.text);
    place.each.push_back(found.special);
    return true;
  };
  if (!read_list(reader, value, 0, 20'000, read_one)) return false;
  bool once = out.raw.texts.sort() && out.normalized.texts.sort();
  for (size_t id = 0; once && id < out.raw.each.size(); ++id) {
    const Points text = out.raw.texts.text(id);
    once = out.normalized.texts.find(text.data(), text.size()) < 0;
  }
  return once || reader.refuse("every text once", "one twice");
}

// --- the whole

bool check_schema(Reader& reader, Value value, TokenizerDescription&) {
  int32_t schema = 0;
  return read_integer(reader, value, 1, 1, schema);
}

bool read_normalize(Reader& reader, Value value, TokenizerDescription& out) {
  return read_list(reader, value, 0, 16,
                   [&](Value item, size_t) { return read_normalizing(reader, item, out.normalize.emplace_back()); });
}

bool read_cut(Reader& reader, Value value, TokenizerDescription& out) {
  return read_list(reader, value, 0, 16, [&](Value item, size_t index) {
    Cutting& step = out.cut.emplace_back();
    if (!read_cutting(reader, item, step)) return false;
    const bool first = step.kind == Cutting::Kind::metaspace && step.prepend == Cutting::Prepend::first;
    return index == 0 || !first || reader.refuse("`first` only of the first step", item);
  });
}

bool read_root(Reader& reader, Value value, TokenizerDescription& out) {
  using T = TokenizerDescription;
  static constexpr Member<T> members[] = {
      {"schema", true, check_schema},
      {"special", true, read_specials},
      {"normalize", true, read_normalize},
      {"cut", true, read_cut},
      {"model", true, read_model},
      {"before", true, [](Reader& r, Value v, T& t) { return read_ids(r, v, t.before); }},
      {"after", true, [](Reader& r, Value v, T& t) { return read_ids(r, v, t.after); }},
      {"pad", true, [](Reader& r, Value v, T& t) { return read_integer(r, v, 0, max_id, t.pad); }},
  };
  return read_object(reader, value, out, members);
}

}  // namespace

edgetl_status read_tokenizer(Bytes file, const std::string& where, TokenizerDescription& description,
                             edgetl_error* error) {
  if (file.size > max_file) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: %zu bytes; a tokenizer has at most %zu", where.c_str(), file.size,
                max_file);
  }
  json::Limits limits;
  limits.nodes = max_nodes;
  json::Document document;
  std::string problem;
  if (!document.parse(file.data, file.size, limits, problem)) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: not readable as JSON: %s", where.c_str(), problem.c_str());
  }
  const std::string what = where + ": not a tokenizer of schema 1";
  Reader reader(what.c_str(), error);
  return read_root(reader, document.root(), description) ? succeed(error) : EDGETL_BUNDLE_INVALID;
}

}  // namespace edgetl
