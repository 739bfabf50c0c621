#include "tokenizer.h"

#include <algorithm>

#include "fail.h"
#include "normalize.h"
#include "unicode.h"

namespace edgetl {
namespace {

// The longest special token that begins at `at`: its place and its end; -1 if there is none.
int32_t find_special(const Specials& specials, const Points& text, size_t at, size_t& end) {
  Pieces::Walk walk(specials.texts);
  int32_t found = -1;
  for (size_t place = at; place < text.size() && walk.step(text[place]);) {
    ++place;
    if (walk.id() < 0) continue;
    found = walk.id();
    end = place;
  }
  return found;
}

// Cuts a text at special tokens, the leftmost one first. `on_section(begin, end)` and `on_special(id)` return false to stop.
template <typename OnSection, typename OnSpecial>
bool each_section(const Specials& specials, const Points& text, OnSection on_section, OnSpecial on_special) {
  size_t done = 0, end = 0;
  size_t white_begin = 0, white_end = 0;  // a part of the text that was seen to be white
  for (size_t at = 0; at < text.size() && !specials.each.empty();) {
    const int32_t found = find_special(specials, text, at, end);
    if (found < 0) {
      ++at;
      continue;
    }
    const Special& special = specials.each[static_cast<size_t>(found)];
    size_t begin = at, behind = end;
    while (special.lstrip && begin > done && is_white(text[begin - 1])) --begin;
    if (special.rstrip) {
      if (end < white_begin || end > white_end) white_begin = white_end = end;
      while (white_end < text.size() && is_white(text[white_end])) ++white_end;
      behind = white_end;
    }
    if (done < begin && !on_section(done, begin)) return false;
    if (!on_special(special.id)) return false;
    done = behind;
    at = end;
  }
  return done >= text.size() || on_section(done, text.size());
}

}  // namespace

edgetl_status Tokenizer::open(Bytes file, const std::string& where, size_t longest, edgetl_error* error) {
  const edgetl_status status = read_tokenizer(file, where, description_, error);
  if (status != EDGETL_OK) return status;
  const size_t around = description_.before.size() + description_.after.size();
  if (around > longest) {
    return fail(error, EDGETL_BUNDLE_INVALID, "%s: %zu tokens stand around every text; the bundle's longest has %zu",
                where.c_str(), around, longest);
  }
  room_ = longest - around;
  return succeed(error);
}

edgetl_status Tokenizer::encode(const uint8_t* text, size_t bytes, edgetl_error* error) {
  size_t good = 0;
  if (bytes > 4 * most_characters || !decode_utf8(text, bytes, text_, good) || text_.size() > most_characters) {
    if (bytes > 4 * most_characters || good == bytes) {
      return fail(error, EDGETL_INVALID_ARGUMENT, "text: expected at most %zu characters; found more", most_characters);
    }
    return fail(error, EDGETL_INVALID_ARGUMENT, "text: expected UTF-8; byte %zu, 0x%02X, is none", good, text[good]);
  }
  ids_ = description_.before;
  if (!encode_text(text_)) {
    return fail(error, EDGETL_INVALID_ARGUMENT, "text: the tokenizer makes more than %zu characters of it",
                most_points);
  }
  ids_.resize(std::min(ids_.size(), description_.before.size() + room_));
  ids_.insert(ids_.end(), description_.after.begin(), description_.after.end());
  if (!ids_.empty()) return succeed(error);
  return fail(error, EDGETL_INVALID_ARGUMENT, "text: expected a text with a token; this one has none");
}

bool Tokenizer::encode_text(const Points& text) {
  bool fits = true;
  each_section(
      description_.raw, text,
      [&](size_t begin, size_t end) {
        fits = encode_raw(begin, end);
        return fits && !is_full();
      },
      [&](int32_t id) {
        ids_.push_back(id);
        return !is_full();
      });
  return fits;
}

bool Tokenizer::encode_raw(size_t begin, size_t end) {
  section_.assign(text_, begin, end - begin);
  if (!normalize(description_.normalize, section_, scratch_)) return false;
  bool fits = true;
  each_section(
      description_.normalized, section_,
      [&](size_t from, size_t to) {
        fits = encode_section(from, to, begin == 0 && from == 0);
        return fits && !is_full();
      },
      [&](int32_t id) {
        ids_.push_back(id);
        return !is_full();
      });
  return fits;
}

bool Tokenizer::encode_section(size_t begin, size_t end, bool first) {
  words_.clear();
  words_.points.assign(section_, begin, end - begin);
  words_.end_word();
  if (!cut(description_.cut, first, words_, other_words_)) return false;
  for (size_t word = 0; word < words_.ends.size() && !is_full(); ++word) {
    const size_t from = words_.begin(word);
    encode_word(description_.model, words_.points.data() + from, words_.ends[word] - from, memory_, ids_);
  }
  return true;
}

}  // namespace edgetl
