#include "unicode.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "text_tables.h"

namespace edgetl {
namespace {

namespace tables = text_tables;

// --- sets

struct Ranges {
  const uint32_t* values;  // first and last code point, in turn
  size_t count;            // of values
};

template <size_t Count>
constexpr Ranges ranges(const uint32_t (&values)[Count]) {
  return {values, Count};
}

// In the order of Set.
constexpr Ranges sets[] = {
    ranges(tables::control),   ranges(tables::blank),      ranges(tables::cjk),     ranges(tables::punctuation),
    ranges(tables::white),     ranges(tables::nonspacing), ranges(tables::mark),    ranges(tables::letter),
    ranges(tables::number),    ranges(tables::word),       ranges(tables::numeric), ranges(tables::joined),
    ranges(tables::prepended), ranges(tables::alone),
};

// --- maps

// What takes the place of `point`; empty if nothing does.
template <size_t Count, size_t Begins, size_t News>
std::pair<const uint32_t*, const uint32_t*> mapped(char32_t point, const uint32_t (&old)[Count],
                                                   const uint16_t (&begin)[Begins], const uint32_t (&made)[News]) {
  const uint32_t* found = std::lower_bound(std::begin(old), std::end(old), static_cast<uint32_t>(point));
  if (found == std::end(old) || *found != point) return {made, made};
  const auto place = static_cast<size_t>(found - old);
  return {made + begin[place], made + begin[place + 1]};
}

// --- Hangul, Unicode 3.12

constexpr char32_t syllables = 0xAC00, leads = 0x1100, vowels = 0x1161, tails = 0x11A7;
constexpr char32_t lead_count = 19, vowel_count = 21, tail_count = 28;
constexpr char32_t syllable_count = lead_count * vowel_count * tail_count;

bool is_syllable(char32_t point) { return point >= syllables && point < syllables + syllable_count; }

void append_jamo(char32_t syllable, Points& out) {
  const char32_t index = syllable - syllables, tail = index % tail_count;
  out.push_back(leads + index / (vowel_count * tail_count));
  out.push_back(vowels + index % (vowel_count * tail_count) / tail_count);
  if (tail != 0) out.push_back(tails + tail);
}

// 0 if they are not parts of a syllable.
char32_t compose_jamo(char32_t first, char32_t second) {
  if (first >= leads && first < leads + lead_count && second >= vowels && second < vowels + vowel_count) {
    return syllables + ((first - leads) * vowel_count + (second - vowels)) * tail_count;
  }
  const bool open = is_syllable(first) && (first - syllables) % tail_count == 0;
  return open && second > tails && second < tails + tail_count ? first + (second - tails) : 0;
}

// --- normalization

uint32_t class_of(char32_t point) {
  size_t low = 0, high = point < tables::combining[0] ? 0 : std::size(tables::combining) / 3;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const uint32_t* row = tables::combining + 3 * middle;
    if (point < row[0]) {
      high = middle;
    } else if (point > row[1]) {
      low = middle + 1;
    } else {
      return row[2];
    }
  }
  return 0;
}

// Those of one class stay as they were. std::stable_sort takes memory for its work: only where a text is strange.
void sort_marks(char32_t* marks, size_t count) {
  constexpr size_t few = 32;
  const auto lower_class = [](char32_t a, char32_t b) { return class_of(a) < class_of(b); };
  if (count > few) return std::stable_sort(marks, marks + count, lower_class);
  for (size_t end = 1; end < count; ++end) {
    for (size_t at = end; at > 0 && lower_class(marks[at], marks[at - 1]); --at) std::swap(marks[at], marks[at - 1]);
  }
}

// 0 if they do not compose.
char32_t composed(char32_t first, char32_t second) {
  if (const char32_t syllable = compose_jamo(first, second)) return syllable;
  size_t low = 0, high = std::size(tables::composed) / 3;
  while (low < high) {
    const size_t middle = (low + high) / 2;
    const uint32_t* row = tables::composed + 3 * middle;
    if (row[0] == first && row[1] == second) return row[2];
    if (row[0] < first || (row[0] == first && row[1] < second)) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return 0;
}

// --- clusters

enum class Jamo { none, lead, vowel, tail, open, closed };

Jamo jamo_of(char32_t point) {
  if (is_syllable(point)) return (point - syllables) % tail_count == 0 ? Jamo::open : Jamo::closed;
  if ((point >= 0x1100 && point <= 0x115F) || (point >= 0xA960 && point <= 0xA97C)) return Jamo::lead;
  if ((point >= 0x1160 && point <= 0x11A7) || (point >= 0xD7B0 && point <= 0xD7C6)) return Jamo::vowel;
  if ((point >= 0x11A8 && point <= 0x11FF) || (point >= 0xD7CB && point <= 0xD7FB)) return Jamo::tail;
  return Jamo::none;
}

// GB6 to GB8
bool same_syllable(Jamo left, Jamo right) {
  switch (left) {
    case Jamo::lead: return right != Jamo::none && right != Jamo::tail;
    case Jamo::vowel:
    case Jamo::open: return right == Jamo::vowel || right == Jamo::tail;
    case Jamo::tail:
    case Jamo::closed: return right == Jamo::tail;
    case Jamo::none: break;
  }
  return false;
}

bool breaks(char32_t left, char32_t right) {
  if (left == '\r' && right == '\n') return false;
  if (belongs(Set::alone, left) || belongs(Set::alone, right)) return true;
  if (belongs(Set::joined, right) || belongs(Set::prepended, left)) return false;
  return !same_syllable(jamo_of(left), jamo_of(right));
}

}  // namespace

bool belongs(Set set, char32_t point) {
  const Ranges& found = sets[static_cast<size_t>(set)];
  // an odd place: behind the first of a range, and not behind its last
  const uint32_t* after = std::upper_bound(found.values, found.values + found.count, static_cast<uint32_t>(point));
  const auto place = static_cast<size_t>(after - found.values);
  return place % 2 == 1 || (place > 0 && found.values[place - 1] == point);
}

void append_lower(char32_t point, Points& out) {
  const auto [begin, end] = mapped(point, tables::lower_old, tables::lower_begin, tables::lower_new);
  if (begin == end) out.push_back(point);
  out.append(begin, end);
}

void append_decomposed(char32_t point, bool compatible, Points& out) {
  if (is_syllable(point)) return append_jamo(point, out);
  if (compatible) {
    const auto [begin, end] = mapped(point, tables::nfkd_old, tables::nfkd_begin, tables::nfkd_new);
    out.append(begin, end);
    if (begin != end) return;
  }
  const auto [begin, end] = mapped(point, tables::nfd_old, tables::nfd_begin, tables::nfd_new);
  if (begin == end) out.push_back(point);
  out.append(begin, end);
}

void order_marks(Points& text) {
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    bool ordered = true;
    for (uint32_t last = 0; end < text.size(); ++end) {
      const uint32_t found = class_of(text[end]);
      if (found == 0) break;
      ordered = ordered && last <= found;
      last = found;
    }
    if (!ordered) sort_marks(&text[at], end - at);
    at = end + 1;
  }
}

void compose(Points& text) {
  size_t kept = 0, starter = text.size();
  uint32_t last = 0;  // class of what was kept last after the starter; 0: nothing was
  for (size_t at = 0; at < text.size(); ++at) {
    const char32_t point = text[at];
    const uint32_t found = class_of(point);
    const bool adjacent = starter < kept && starter + 1 == kept;
    const char32_t made = starter < kept && (adjacent || last < found) ? composed(text[starter], point) : 0;
    if (made != 0) {
      text[starter] = made;
      continue;
    }
    if (found == 0) starter = kept;
    last = found;
    text[kept++] = point;
  }
  text.resize(kept);
}

size_t cluster_end(const Points& text, size_t begin) {
  size_t end = begin + 1;
  while (end < text.size() && !breaks(text[end - 1], text[end])) ++end;
  return end;
}

}  // namespace edgetl
