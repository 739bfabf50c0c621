#include "cut.h"

#include <algorithm>

#include "unicode.h"

namespace edgetl {
namespace {

// A word of the step before.
struct Span {
  const char32_t* begin;
  const char32_t* end;
};

bool is_letter(char32_t point) { return belongs(Set::letter, point); }
bool is_number(char32_t point) { return belongs(Set::number, point); }
bool is_line_end(char32_t point) { return point == '\r' || point == '\n'; }
bool is_other(char32_t point) { return !is_white(point) && !is_letter(point) && !is_number(point); }

template <typename Test>
const char32_t* skip(const char32_t* at, const char32_t* end, Test test) {
  return std::find_if_not(at, end, test);
}

// --- expressions: the end of the match at `at`, which is before `end`

// 's 't 'm 'd 're 've 'll; `at` if it is none.
const char32_t* contraction_end(const char32_t* at, const char32_t* end, bool any_case) {
  const auto letter = [&](size_t place) -> char32_t {
    if (static_cast<size_t>(end - at) <= place) return 0;
    const char32_t point = at[place];
    if (!any_case) return point;
    return point == 0x17F ? U's' : point >= 'A' && point <= 'Z' ? point + 32 : point;  // 0x17F: a long s
  };
  if (*at != '\'') return at;
  const char32_t one = letter(1), two = letter(2);
  if (one == 's' || one == 't' || one == 'm' || one == 'd') return at + 2;
  const bool pair = ((one == 'r' || one == 'v') && two == 'e') || (one == 'l' && two == 'l');
  return pair ? at + 3 : at;
}

// White space up to a word: the last of it belongs to what follows, if it is not all there is.
const char32_t* white_end(const char32_t* at, const char32_t* end) {
  const char32_t* after = skip(at, end, is_white);
  return after == end || after - at == 1 ? after : after - 1;
}

const char32_t* gpt2_end(const char32_t* at, const char32_t* end) {
  const char32_t* after = contraction_end(at, end, false);
  if (after != at) return after;
  const char32_t* begin = *at == ' ' && at + 1 != end ? at + 1 : at;
  if (is_letter(*begin)) return skip(begin, end, is_letter);
  if (is_number(*begin)) return skip(begin, end, is_number);
  if (is_other(*begin)) return skip(begin, end, is_other);
  return white_end(at, end);
}

const char32_t* llama3_end(const char32_t* at, const char32_t* end, size_t digits) {
  const char32_t* after = contraction_end(at, end, true);
  if (after != at) return after;
  if (is_letter(*at)) return skip(at, end, is_letter);
  if (is_number(*at)) return skip(at, std::min(at + digits, end), is_number);
  if (!is_line_end(*at) && at + 1 != end && is_letter(at[1])) return skip(at + 1, end, is_letter);
  const char32_t* begin = *at == ' ' && at + 1 != end ? at + 1 : at;
  if (is_other(*begin)) return skip(skip(begin, end, is_other), end, is_line_end);
  const char32_t* white = skip(at, end, is_white);
  for (const char32_t* last = white; last != at; --last) {
    if (is_line_end(last[-1])) return last;
  }
  return white_end(at, end);
}

// --- the steps

template <typename End>
void cut_matches(Span word, Words& out, End match_end) {
  while (word.begin != word.end) {
    const char32_t* end = match_end(word.begin, word.end);
    out.points.append(word.begin, end);
    out.end_word();
    word.begin = end;
  }
}

// Characters of one kind in a row are a word; those of kind 0 are left out, those of kind 1 are words of their own.
template <typename KindOf>
void cut_runs(Span word, Words& out, KindOf kind_of) {
  int before = 0;
  for (; word.begin != word.end; ++word.begin) {
    const int kind = kind_of(*word.begin);
    if (kind != before || kind == 1) out.end_word();
    if (kind != 0) out.points.push_back(*word.begin);
    before = kind;
  }
  out.end_word();
}

void mark_spaces(const Cutting& step, Span word, bool first, Words& out) {
  const auto marked = [&](char32_t point) { return point == ' ' ? step.mark : point; };
  const bool wanted = step.prepend == Cutting::Prepend::always || (step.prepend == Cutting::Prepend::first && first);
  if (wanted && marked(*word.begin) != step.mark) out.points.push_back(step.mark);
  const char32_t* const begin = word.begin;
  for (; word.begin != word.end; ++word.begin) {
    const char32_t point = marked(*word.begin);
    if (step.cut && point == step.mark && word.begin != begin) out.end_word();
    out.points.push_back(point);
  }
  out.end_word();
}

void spell_bytes(const Cutting& step, Span word, Words& out) {
  for (; word.begin != word.end; ++word.begin) {
    uint8_t bytes[4];
    const size_t count = encode_utf8(*word.begin, bytes);
    for (size_t i = 0; i < count; ++i) out.points.push_back(step.alphabet[bytes[i]]);
  }
  out.end_word();
}

void cut_word(const Cutting& step, Span word, bool first, Words& out) {
  using Kind = Cutting::Kind;
  switch (step.kind) {
    case Kind::white: return cut_runs(word, out, [](char32_t point) { return is_white(point) ? 0 : 2; });
    case Kind::punctuation:
      return cut_runs(word, out, [](char32_t point) { return belongs(Set::punctuation, point) ? 1 : 2; });
    case Kind::word:
      return cut_runs(word, out, [](char32_t point) {
        return belongs(Set::word, point) ? 2 : is_white(point) ? 0 : 3;
      });
    case Kind::digits:
      return cut_runs(word, out, [&](char32_t point) {
        return !belongs(Set::numeric, point) ? 2 : step.single ? 1 : 3;
      });
    case Kind::gpt2: return cut_matches(word, out, gpt2_end);
    case Kind::llama3:
      return cut_matches(word, out,
                         [&](const char32_t* at, const char32_t* end) { return llama3_end(at, end, step.digits); });
    case Kind::prefix_space:
      if (*word.begin != ' ') out.points.push_back(U' ');
      out.points.append(word.begin, word.end);
      return out.end_word();
    case Kind::metaspace: return mark_spaces(step, word, first, out);
    case Kind::bytes: return spell_bytes(step, word, out);
  }
}

}  // namespace

bool cut(const std::vector<Cutting>& steps, bool first, Words& words, Words& scratch) {
  for (const Cutting& step : steps) {
    scratch.clear();
    for (size_t word = 0; word < words.ends.size(); ++word) {
      const char32_t* points = words.points.data();
      cut_word(step, {points + words.begin(word), points + words.ends[word]}, first, scratch);
      if (scratch.points.size() > most_points) return false;
    }
    std::swap(words, scratch);
  }
  return true;
}

}  // namespace edgetl
